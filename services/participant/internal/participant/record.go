package participant

import "encoding/json"

// Record is one row of an export.
type Record struct {
	Dataset string
	Key     string // the row's key, columns joined by '/', stable between exports
	Columns []Field
}

// Field is one cell, in the order of the table's columns. Value is JSON: null,
// true or false, a number, a string (times in ISO 8601), for bytes the object
// {"encoding":"base64","data":"…"}, or the document itself where the column
// holds JSON.
type Field struct {
	Name  string
	Value json.RawMessage
}
