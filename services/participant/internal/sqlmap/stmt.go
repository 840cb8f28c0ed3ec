package sqlmap

import (
	"strconv"
	"strings"
)

// stmt builds one SQL statement: fixed text, quoted names and parameters.
type stmt struct {
	e      Engine
	schema string
	text   strings.Builder
	args   []any
}

// sql appends fixed text. It is never called with anything from a map or a request.
func (s *stmt) sql(parts ...string) *stmt {
	for _, p := range parts {
		s.text.WriteString(p)
	}
	return s
}

// name appends a quoted identifier.
func (s *stmt) name(n string) *stmt {
	s.text.WriteString(quote(n))
	return s
}

// quote makes an identifier of any name: double quotes around it, and doubled inside.
func quote(n string) string { return `"` + strings.ReplaceAll(n, `"`, `""`) + `"` }

// table appends a table with an alias.
func (s *stmt) table(t *table, alias string) *stmt {
	if s.schema != "" {
		s.name(s.schema).sql(".")
	}
	return s.name(t.name).sql(" AS ", alias)
}

// col appends a column of an alias.
func (s *stmt) col(alias string, c *column) *stmt { return s.sql(alias, ".").name(c.name) }

// bind appends a parameter without a type.
func (s *stmt) bind(v any) *stmt {
	s.args = append(s.args, v)
	if s.e == PostgreSQL {
		return s.sql("$", strconv.Itoa(len(s.args)))
	}
	return s.sql("?")
}

// text parameter: PostgreSQL needs to be told.
func (s *stmt) str(v string) *stmt {
	if s.e == PostgreSQL {
		return s.sql("CAST(").bind(v).sql(" AS text)")
	}
	return s.bind(v)
}

// cell appends a value as it was read by read, to be compared with or stored in c.
// PostgreSQL reads its own text form back; the index on the column stays usable.
func (s *stmt) cell(v any, c *column) {
	if s.e == PostgreSQL && c.sqlType != "" {
		s.sql("CAST(CAST(").bind(v).sql(" AS text) AS ", c.sqlType, ")")
		return
	}
	s.bind(v)
}

// read appends an expression that yields a cell of row t exactly: in PostgreSQL its text
// form, in SQLite the stored value (the unary plus keeps the driver from guessing at
// times and booleans by the declared type).
func (s *stmt) read(c *column) *stmt {
	if s.e == PostgreSQL {
		return s.sql("CAST(").col("t", c).sql(" AS text)")
	}
	return s.sql("+").col("t", c)
}

// asText appends the cell as text, for searching.
func (s *stmt) asText(alias string, c *column) *stmt {
	return s.sql("CAST(").col(alias, c).sql(" AS TEXT)")
}

// equal appends a comparison of row t's column with a cell, also where the cell is null.
func (s *stmt) equal(c *column, v any) {
	if v == nil {
		s.col("t", c).sql(" IS NULL")
		return
	}
	s.col("t", c).sql(" = ").cell(v, c)
}

// in appends column IN (values), or a condition that never holds for no values.
func (s *stmt) in(alias string, c *column, values []any) *stmt {
	if len(values) == 0 {
		return s.sql("1 = 0")
	}
	s.col(alias, c).sql(" IN (")
	for i, v := range values {
		if i > 0 {
			s.sql(", ")
		}
		s.cell(v, c)
	}
	return s.sql(")")
}
