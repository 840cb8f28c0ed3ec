package move

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"
	"unicode/utf8"
)

// kind is a type of columns: how its values leave SQLite, travel to PostgreSQL and are read back to be compared. In the
// formulas, %s is the column.
type kind struct {
	name string
	// array is the type of the list in which a batch travels.
	array string
	// read is the SQLite expression of the value, write the PostgreSQL expression that makes the stored value of what
	// travelled, and check the one that reads it back.
	read, write, check string
	// same gives the one form that a value has whichever engine it was read from: nil, int64, string or []byte. Its errors
	// tell no value.
	same func(v any) (any, error)
}

var (
	errType = errors.New("a value is of another type than its column")
	errText = errors.New("a text holds bytes that PostgreSQL does not take (a zero byte, or no UTF-8)")
	errJSON = errors.New("a value is no JSON")
	errTime = errors.New("a time cannot be read")
)

const asIs = "%s"

// kinds are the types of PostgreSQL's columns, as its catalog names them. Below the first three, only River's tables have them.
var kinds = map[string]kind{
	"bigint": {"number", "bigint", asIs, asIs, asIs, number},
	"text":   {"text", "text", asIs, asIs, asIs, text},
	"bytea":  {"bytes", "bytea", asIs, asIs, asIs, blob},

	"integer":  {"number", "bigint", asIs, "%s::integer", "%s::bigint", number},
	"smallint": {"number", "bigint", asIs, "%s::smallint", "%s::bigint", number},
	"bit(8)":   {"bits", "bigint", asIs, "%s::integer::bit(8)", "%s::integer::bigint", number},
	"timestamp with time zone": {"time", "bigint", "CAST(%s AS TEXT)", "TIMESTAMPTZ 'epoch' + %s * INTERVAL '1 microsecond'",
		"(extract(epoch FROM %s) * 1000000)::bigint", moment},
	"jsonb": {"JSON", "text", "json(%s)", "%s::jsonb", "%s::text", document},
	"jsonb[]": {"list of JSON", "text", "json(%s)", "CASE WHEN %[1]s IS NOT NULL THEN ARRAY(SELECT jsonb_array_elements(%[1]s::jsonb)) END",
		"to_jsonb(%s)::text", document},
	"text[]":                   words,
	"character varying(255)[]": words,
}

var words = kind{"list of texts", "text", "json(%s)", "CASE WHEN %[1]s IS NOT NULL THEN ARRAY(SELECT jsonb_array_elements_text(%[1]s::jsonb)) END",
	"to_jsonb(%s)::text", document}

// jobState is the type of a job's state, an enumeration in the schema of the job table.
const jobState = "river_job_state"

// kindOf finds the kind of a type. ok is false for one that nobody has thought about.
func kindOf(pgType string) (k kind, ok bool) {
	if pgType == jobState || strings.HasSuffix(pgType, "."+jobState) {
		return kind{"state of a job", "text", asIs, "%s::" + pgType, "%s::text", restingState}, true
	}
	k, ok = kinds[pgType]
	return k, ok
}

// on fills a column into a formula.
func on(formula, column string) string {
	if strings.Contains(formula, "%[1]s") {
		return strings.ReplaceAll(formula, "%[1]s", column)
	}
	return strings.Replace(formula, "%s", column, 1)
}

func number(v any) (any, error) {
	switch v.(type) {
	case nil, int64:
		return v, nil
	}
	return nil, errType
}

func text(v any) (any, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case string:
		if !utf8.ValidString(v) || strings.ContainsRune(v, 0) {
			return nil, errText
		}
		return v, nil
	}
	return nil, errType
}

// blob keeps an empty value apart from none.
func blob(v any) (any, error) {
	switch v := v.(type) {
	case nil:
		return nil, nil
	case []byte:
		return append([]byte{}, v...), nil
	}
	return nil, errType
}

// restingState makes a job that was at work wait: whoever worked on it is gone, or there would have been no lock to take.
func restingState(v any) (any, error) {
	v, err := text(v)
	if v == "running" {
		return "available", err
	}
	return v, err
}

// layouts are the forms in which River and the SQLite driver store times; without a zone they are UTC.
var layouts = []string{"2006-01-02 15:04:05.999999999", "2006-01-02 15:04:05.999999999 -0700 MST", "2006-01-02 15:04:05.999999999-07:00",
	"2006-01-02T15:04:05.999999999Z07:00"}

// moment is microseconds since 1970.
func moment(v any) (any, error) {
	s, ok := v.(string)
	if !ok {
		return number(v)
	}
	s, _, _ = strings.Cut(s, " m=")
	for _, layout := range layouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UnixMicro(), nil
		}
	}
	return nil, errTime
}

// document is JSON with its members in order, without spaces, and with plain numbers: PostgreSQL keeps neither order nor
// spaces, nor how a number was written.
func document(v any) (any, error) {
	v, err := text(v)
	s, ok := v.(string)
	if err != nil || !ok {
		return nil, err
	}
	in := json.NewDecoder(strings.NewReader(s))
	in.UseNumber()
	var parsed any
	if in.Decode(&parsed) != nil || in.More() {
		return nil, errJSON
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(plainNumbers(parsed)); err != nil {
		return nil, errJSON
	}
	return strings.TrimSuffix(out.String(), "\n"), nil
}

// plainNumbers writes each number without exponent and without zeros at its end.
func plainNumbers(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key, member := range v {
			v[key] = plainNumbers(member)
		}
	case []any:
		for i, member := range v {
			v[i] = plainNumbers(member)
		}
	case json.Number:
		return plain(v)
	}
	return v
}

// longest bounds how many digits a number is written out to.
const longest = 400

func plain(n json.Number) json.Number {
	if !strings.ContainsAny(string(n), ".eE") && n != "-0" {
		return n
	}
	f, err := n.Float64() // tells how large it is, which its exact value may be too large for
	if err != nil || (f != 0 && (f > 1e300 || f < -1e300 || (f < 1e-100 && f > -1e-100))) {
		return n
	}
	exact, ok := new(big.Rat).SetString(string(n))
	if !ok {
		return n
	}
	if exact.IsInt() {
		return json.Number(exact.Num().String())
	}
	return json.Number(strings.TrimRight(exact.FloatString(longest), "0"))
}

// unknownType is the error for a column that nobody has thought about.
func unknownType(t table, column, pgType string) error {
	return fmt.Errorf("%s: this program does not know how to carry the type %s of column %s", t, pgType, column)
}
