package datamap

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
)

// Map is a data map that was read without error. Its exported fields are not to
// be changed; the digest is taken over them.
type Map struct {
	File     string `json:"-"` // file name for errors, without folders
	Version  int
	System   string
	Schema   string `json:",omitempty"`
	Person   Person
	Datasets []Dataset
	Mentions []Mention `json:",omitempty"`
}

// Person is the table with one row per person.
type Person struct {
	Pos         Pos `json:"-"`
	Table       string
	TablePos    Pos `json:"-"`
	Key         string
	KeyPos      Pos    `json:"-"`
	Controller  string `json:",omitempty"` // column, empty when the database has one controller
	CtrlPos     Pos    `json:"-"`
	Identifiers []Identifier
}

// Identifier is a column of the person table that names the person.
type Identifier struct {
	Pos     Pos `json:"-"`
	Type    string
	Column  string
	Shared  bool // belongs to several people by nature
	Provide bool // offered to other systems
}

// Dataset is one table reached by one path.
type Dataset struct {
	Pos             Pos `json:"-"`
	Name            string
	Table           string
	TablePos        Pos      `json:"-"`
	Key             []string `json:",omitempty"` // empty: the primary key
	KeyPos          Pos      `json:"-"`
	Path            []Join   `json:",omitempty"` // empty: the person's own row
	Category        string
	Activity        string
	SubjectProvided bool
	Others          []Column  `json:",omitempty"`
	Exclude         []Exclude `json:",omitempty"`
	Erase           Erase
}

// Identity reports whether the dataset is the person's own row.
func (d *Dataset) Identity() bool { return len(d.Path) == 0 }

// Column is a column name where it was written.
type Column struct {
	Pos  Pos `json:"-"`
	Name string
}

// Exclude is a column that exports leave out, with the reason.
type Exclude struct {
	Pos     Pos `json:"-"`
	Column  string
	Ground  string
	Article string
}

// Join leads from a column of the table before it to a column of the next table.
// The last join of a path has Person set, and Table and ToColumn are then the
// person table and its column.
type Join struct {
	Pos      Pos `json:"-"`
	Column   string
	Table    string
	ToColumn string
	ToPos    Pos `json:"-"`
	Person   bool
}

// Action is what erasure does with the rows of a dataset.
type Action string

// The three erasure actions.
const (
	Delete  Action = "delete"
	Columns Action = "columns"
	Keep    Action = "keep"
)

// Erase is the erasure rule of a dataset.
type Erase struct {
	Pos         Pos `json:"-"`
	Action      Action
	Columns     []Change    `json:",omitempty"` // in the order of the file, for action columns
	Ground      string      `json:",omitempty"`
	Article     string      `json:",omitempty"`
	Explanation Explanation `json:",omitzero"`
}

// Explanation is said to the data subject, in Danish and English.
type Explanation struct {
	DA string
	EN string
}

// Do is what happens to one column.
type Do string

// The four things that can be done to a column.
const (
	Null       Do = "null"
	Replace    Do = "replace"
	Generalise Do = "generalise"
	KeepColumn Do = "keep"
)

// Change is the rule for one column of a dataset with action columns.
type Change struct {
	Pos    Pos `json:"-"`
	Column string
	Do     Do
	With   string `json:",omitempty"` // for replace; may contain KeyMark
	To     string `json:",omitempty"` // for generalise: year, month or day
	Unit   string `json:",omitempty"` // for generalise of integers
}

// KeyMark stands for the row's key in the constant of a replace.
const KeyMark = "{key}"

// Mention is a text column in which others may name the person.
type Mention struct {
	Pos         Pos `json:"-"`
	Name        string
	Table       string
	TablePos    Pos `json:"-"`
	Column      string
	ColumnPos   Pos `json:"-"`
	Match       []Column
	Category    string
	Activity    string
	Ground      string
	Article     string
	Explanation Explanation
}

// Digest is the lower-case hex SHA-256 of the canonical form of the map: its
// meaning in a fixed order, without comments, layout, positions and file name.
// Two files that declare the same have the same digest.
func (m *Map) Digest() string {
	b, err := json.Marshal(m)
	if err != nil { // strings, numbers and booleans only
		panic(err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// Identity returns the dataset of the person's own row.
func (m *Map) Identity() *Dataset {
	for i := range m.Datasets {
		if m.Datasets[i].Identity() {
			return &m.Datasets[i]
		}
	}
	return nil // not in a map that Parse returned
}
