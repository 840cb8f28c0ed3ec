package sqlmap

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/privacyops/privacyops/services/participant/internal/datamap"
)

// change is what happens to one column of a dataset with action columns.
type change struct {
	col   *column
	def   *datamap.Change
	value any     // for replace without the key mark: the cell
	key   *column // for replace with the key mark: the key
}

// change checks one rule; do: keep yields nothing.
func (b *binder) change(d *dataset, def *datamap.Change) []change {
	c := b.column(def.Pos, d.table, def.Column)
	if c == nil || def.Do == datamap.KeepColumn {
		return nil
	}
	for _, k := range d.key {
		if k == c {
			b.fail(def.Pos, "column %q is part of the key and cannot be changed", c.name)
			return nil
		}
	}
	if c.generated {
		b.fail(def.Pos, "column %q is generated and cannot be changed", c.name)
	}
	out := change{col: c, def: def}
	switch def.Do {
	case datamap.Null:
		if c.notNull {
			b.fail(def.Pos, "column %q of table %q is NOT NULL; use do: replace", c.name, d.table.name)
		}
	case datamap.Replace:
		b.replace(d, &out)
	case datamap.Generalise:
		b.generalise(&out)
	case datamap.KeepColumn: // has returned above
	}
	return []change{out}
}

func (b *binder) replace(d *dataset, ch *change) {
	c, with := ch.col, ch.def.With
	marked := strings.Contains(with, datamap.KeyMark)
	switch {
	case marked && len(d.key) != 1:
		b.fail(ch.def.Pos, "%s needs a key of one column; table %q has %d", datamap.KeyMark, d.table.name, len(d.key))
		return
	case marked && c.family != famText && c.family != famAny:
		b.fail(ch.def.Pos, "%s can be written into text only; column %q is of type %s", datamap.KeyMark, c.name, c.family)
		return
	case c.unique && !marked:
		b.fail(ch.def.Pos, "column %q is unique: a second person would get the same value; put %s into with", c.name, datamap.KeyMark)
		return
	}
	if n := utf8.RuneCountInString(strings.ReplaceAll(with, datamap.KeyMark, "")); c.maxLen > 0 && n > c.maxLen {
		b.fail(ch.def.Pos, "column %q holds %d characters; the constant has %d", c.name, c.maxLen, n)
	}
	if marked {
		ch.key = d.key[0]
		return
	}
	value, ok := b.constant(c, with)
	if !ok {
		b.fail(ch.def.Pos, "the constant does not fit column %q, which is of type %s", c.name, c.family)
	}
	ch.value = value
}

// constant turns the text of a map into a cell for the column.
func (b *binder) constant(c *column, text string) (any, bool) {
	switch c.family {
	case famInteger:
		n, err := strconv.ParseInt(text, 10, 64)
		if b.e == PostgreSQL {
			return strconv.FormatInt(n, 10), err == nil && fits(n, c.sqlType)
		}
		return n, err == nil
	case famDecimal, famReal:
		f, err := strconv.ParseFloat(text, 64)
		if b.e == PostgreSQL {
			return text, err == nil
		}
		return f, err == nil
	case famBool:
		truth, err := strconv.ParseBool(text)
		if b.e == PostgreSQL {
			return strconv.FormatBool(truth), err == nil
		}
		if truth {
			return int64(1), err == nil
		}
		return int64(0), err == nil
	case famUUID:
		if b.e == PostgreSQL {
			v := parameters(b.e, c, text)
			return text, len(v) > 0
		}
	case famBytes:
		if b.e == PostgreSQL {
			return "\\x" + hexText(text), true
		}
		return []byte(text), true
	case famText, famDate, famTime, famJSON, famAny, famOther: // the database reads text
	}
	return text, true
}

func hexText(s string) string { return show([]byte(s)) }

// generalise checks that the column can hold a date.
func (b *binder) generalise(ch *change) {
	switch ch.col.family {
	case famDate, famTime, famText, famInteger, famAny:
	default:
		b.fail(ch.def.Pos, "column %q is of type %s and cannot be generalised to a %s", ch.col.name, ch.col.family, ch.def.To)
	}
	if ch.def.Unit != "" && ch.col.family != famInteger && b.e == PostgreSQL {
		b.fail(ch.def.Pos, "unit is for integer columns; column %q is of type %s", ch.col.name, ch.col.family)
	}
}

// to appends the new value of the column as an SQL expression over row t.
func (ch *change) to(s *stmt) {
	switch ch.def.Do {
	case datamap.Null:
		if s.e == PostgreSQL {
			s.sql("CAST(NULL AS ", ch.col.sqlType, ")")
			return
		}
		s.sql("NULL")
	case datamap.Replace:
		if ch.key == nil {
			s.cell(ch.value, ch.col)
			return
		}
		ch.marked(s)
	case datamap.Generalise:
		if s.e == PostgreSQL {
			ch.postgresDate(s)
			return
		}
		ch.sqliteDate(s)
	case datamap.KeepColumn: // makes no change
	}
}

// marked joins the parts of a constant with the row's key between them.
func (ch *change) marked(s *stmt) {
	if s.e == PostgreSQL {
		s.sql("CAST(")
		defer s.sql(" AS ", ch.col.sqlType, ")")
	}
	s.sql("(")
	for i, part := range strings.Split(ch.def.With, datamap.KeyMark) {
		if i > 0 {
			s.sql(" || ").asText("t", ch.key).sql(" || ")
		}
		s.str(part)
	}
	s.sql(")")
}

// unit is how many of the column's ticks make a second.
func (ch *change) unit() string {
	switch ch.def.Unit {
	case "milliseconds":
		return "1000"
	case "microseconds":
		return "1000000"
	}
	return "1"
}

// postgresDate truncates dates, timestamps, unix integers and ISO 8601 text, in UTC.
// Text that is no date becomes empty: it must not survive a rule that was to blur it.
func (ch *change) postgresDate(s *stmt) {
	c, to := ch.col, ch.def.To
	switch {
	case c.family == famDate:
		s.sql("CAST(date_trunc('", to, "', CAST(").col("t", c).sql(" AS timestamp)) AS date)")
	case c.family == famTime && c.sqlType == "timestamp with time zone":
		s.sql("date_trunc('", to, "', ").col("t", c).sql(", 'UTC')")
	case c.family == famTime:
		s.sql("date_trunc('", to, "', ").col("t", c).sql(")")
	case c.family == famInteger:
		s.sql("CAST(extract(epoch FROM date_trunc('", to, "', to_timestamp(floor(CAST(").col("t", c).
			sql(" AS numeric) / ", ch.unit(), ")), 'UTC')) * ", ch.unit(), " AS ", c.sqlType, ")")
	default:
		s.sql("CASE WHEN ").col("t", c).sql(" IS NULL THEN NULL WHEN ").asText("t", c).
			sql(` ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}' THEN `)
		ch.prefix(s)
		s.sql(" ELSE '' END")
	}
}

// sqliteDate does the same by what the cell holds, not by what the column declares.
func (ch *change) sqliteDate(s *stmt) {
	c, u := ch.col, ch.unit()
	s.sql("CASE typeof(").col("t", c).sql(") WHEN 'null' THEN NULL WHEN 'integer' THEN COALESCE(CAST(strftime('%s', (").
		col("t", c).sql(" - ((").col("t", c).sql(" % ", u, ") + ", u, ") % ", u, ") / ", u, ", 'unixepoch', 'start of ", ch.def.To,
		"') AS INTEGER) * ", u, ", 0) WHEN 'text' THEN CASE WHEN ").col("t", c).
		sql(" GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*' THEN ")
	ch.prefix(s)
	s.sql(" ELSE '' END ELSE '' END")
}

// prefix appends the first day of the year, month or day that ISO 8601 text begins with.
func (ch *change) prefix(s *stmt) {
	n, rest := "10", ""
	switch ch.def.To {
	case "year":
		n, rest = "4", " || '-01-01'"
	case "month":
		n, rest = "7", " || '-01'"
	}
	s.sql("substr(").asText("t", ch.col).sql(", 1, ", n, ")", rest)
}

// differs appends the condition that at least one column does not have its new value.
func differs(s *stmt, changes []change) {
	s.sql("(")
	for i := range changes {
		if i > 0 {
			s.sql(" OR ")
		}
		if changes[i].col.sqlType == "json" { // has no equality of its own
			s.asText("t", changes[i].col).sql(" IS DISTINCT FROM CAST(")
			changes[i].to(s)
			s.sql(" AS text)")
			continue
		}
		s.col("t", changes[i].col).sql(" IS DISTINCT FROM ")
		changes[i].to(s)
	}
	if len(changes) == 0 {
		s.sql("1 = 0")
	}
	s.sql(")")
}
