package sqlmap

import (
	"context"
	"database/sql"
	"slices"
)

// family groups the column types of an engine by what can be done with them.
type family string

const (
	famText    family = "text"
	famInteger family = "integer"
	famDecimal family = "decimal"
	famReal    family = "floating point"
	famBool    family = "boolean"
	famBytes   family = "bytes"
	famDate    family = "date"
	famTime    family = "timestamp"
	famUUID    family = "UUID"
	famJSON    family = "JSON"
	famAny     family = "untyped" // SQLite column without a declared type
	famOther   family = "other"
)

// column is a column as the catalogue has it.
type column struct {
	name      string
	family    family
	sqlType   string // PostgreSQL: type to cast a text parameter to, without length
	notNull   bool
	maxLen    int  // characters, 0 = unlimited or unknown
	generated bool // cannot be written
	unique    bool // alone in a unique index or primary key
}

// foreignKey is a constraint of the live database.
type foreignKey struct {
	column   string // first column; composite keys are told by it
	single   bool
	refTable string
	refCol   string
	onDelete string // upper case: CASCADE, SET NULL, SET DEFAULT, RESTRICT, NO ACTION
}

// table is a table as the catalogue has it.
type table struct {
	name    string
	columns []*column
	byName  map[string]*column
	key     []string // primary key, else the first unique index over NOT NULL columns; may be empty
	foreign []foreignKey
}

// catalogue is every base table of the database's schema.
type catalogue map[string]*table

func (c catalogue) names() []string {
	out := make([]string, 0, len(c))
	for n := range c {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

func (t *table) columnNames() []string {
	out := make([]string, len(t.columns))
	for i, c := range t.columns {
		out[i] = c.name
	}
	return out
}

func (c catalogue) table(name string) *table {
	t := c[name]
	if t == nil {
		t = &table{name: name, byName: map[string]*column{}}
		c[name] = t
	}
	return t
}

func (t *table) add(c *column) {
	t.columns = append(t.columns, c)
	t.byName[c.name] = c
}

// index is a unique index; the primary key is one of them.
type index struct {
	table   string
	id      string
	primary bool
	columns []string
}

// apply notes what the unique indexes say about tables and columns.
func (c catalogue) apply(indexes []index) {
	for _, ix := range indexes {
		t := c[ix.table]
		if t == nil {
			continue
		}
		whole := true
		for _, name := range ix.columns {
			col := t.byName[name]
			whole = whole && col != nil && (col.notNull || ix.primary)
		}
		if len(ix.columns) == 1 && t.byName[ix.columns[0]] != nil {
			t.byName[ix.columns[0]].unique = true
		}
		if whole && (ix.primary || t.key == nil) {
			t.key = ix.columns
		}
	}
}

// querier is what *sql.DB, *sql.Tx and *sql.Conn have in common.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// scan runs a query and calls each for every row, with a function to read it.
func scan(ctx context.Context, q querier, query string, args []any, each func(read func(...any) error) error) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}
