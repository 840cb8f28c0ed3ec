package sqlmap

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/privacyops/privacyops/services/participant/internal/participant"
)

// Export streams the person's rows from one snapshot of the database.
func (a *Adapter) Export(ctx context.Context, r participant.ExportRequest, yield func(participant.Record) error) ([]participant.Omission, error) {
	if err := valid(r.Subject); err != nil {
		return nil, err
	}
	if err := a.known(r.Datasets); err != nil {
		return nil, err
	}
	wanted := func(name string) bool { return len(r.Datasets) == 0 || slices.Contains(r.Datasets, name) }
	var out []participant.Omission
	err := a.read(ctx, "exporting", func(tx *sql.Tx) error {
		f, err := a.resolve(ctx, tx, r.Subject)
		if err != nil {
			return err
		}
		for _, d := range a.plan.datasets {
			if !wanted(d.def.Name) {
				continue
			}
			omitted, err := a.exportDataset(ctx, tx, d, f, yield)
			if err != nil {
				return err
			}
			out = append(out, omitted...)
		}
		for _, m := range a.plan.mentions {
			if !wanted(m.def.Name) {
				continue
			}
			n, err := a.countMention(ctx, tx, m, f)
			if err != nil {
				return err
			}
			if n > 0 {
				out = append(out, participant.Omission{Dataset: m.def.Name, Column: m.col.name, Count: n,
					Ground: othersGround, Article: othersArticle})
			}
		}
		return nil
	})
	return out, err
}

// known refuses names that are no dataset or mention.
func (a *Adapter) known(names []string) error {
	for _, n := range names {
		if !slices.ContainsFunc(a.plan.datasets, func(d *dataset) bool { return d.def.Name == n }) &&
			!slices.ContainsFunc(a.plan.mentions, func(m *mention) bool { return m.def.Name == n }) {
			return fmt.Errorf("%w: there is no dataset %q", participant.ErrInvalid, n)
		}
	}
	return nil
}

// exportDataset yields the rows of one dataset and counts the cells it withholds.
func (a *Adapter) exportDataset(ctx context.Context, q querier, d *dataset, f *found, yield func(participant.Record) error) ([]participant.Omission, error) {
	if len(f.ends[d.target]) == 0 {
		return nil, nil
	}
	held := make([]int64, len(d.withheld))
	doing := "exporting dataset " + d.def.Name
	err := a.query(ctx, q, doing, a.exportStmt(d, f), func(read func(...any) error) error {
		cells, err := readCells(read, len(d.key)+len(d.withheld)+max(1, len(d.exported)))
		if err != nil {
			return err
		}
		key, rest := cells[:len(d.key)], cells[len(d.key):]
		for i := range held {
			if rest[i] != nil {
				held[i]++
			}
		}
		r := participant.Record{Dataset: d.def.Name, Key: showKey(key)}
		for i, c := range d.exported {
			r.Columns = append(r.Columns, participant.Field{Name: c.name, Value: a.json(c, rest[len(held)+i])})
		}
		return yield(r)
	})
	if err != nil {
		return nil, err
	}
	var out []participant.Omission
	for i, w := range d.withheld {
		if held[i] > 0 {
			out = append(out, participant.Omission{Dataset: d.def.Name, Column: w.col.name, Count: held[i], Ground: w.ground, Article: w.article})
		}
	}
	return out, nil
}

// exportStmt reads key, withheld and exported columns. Of a withheld cell only its
// presence leaves the database.
func (a *Adapter) exportStmt(d *dataset, f *found) *stmt {
	s := a.stmt().sql("SELECT ")
	for _, c := range d.key {
		s.read(c).sql(", ")
	}
	for _, w := range d.withheld {
		s.sql("CASE WHEN ").col("t", w.col).sql(" IS NULL THEN NULL ELSE 1 END, ")
	}
	for i, c := range d.exported {
		if i > 0 {
			s.sql(", ")
		}
		a.exportCell(s, c)
	}
	if len(d.exported) == 0 {
		s.sql("1")
	}
	s.sql(" FROM ").table(d.table, "t").sql(" WHERE ")
	d.reach(s, f.ends)
	s.sql(" ORDER BY ")
	for i, c := range d.key {
		if i > 0 {
			s.sql(", ")
		}
		s.col("t", c)
	}
	return s
}

// exportCell lets PostgreSQL write JSON itself: it knows its types.
func (a *Adapter) exportCell(s *stmt, c *column) {
	switch {
	case a.e == SQLite:
		s.read(c)
	case c.family == famBytes:
		s.col("t", c)
	default:
		s.sql("CAST(to_json(").col("t", c).sql(") AS text)")
	}
}

// json is a cell as JSON; see participant.Field.
func (a *Adapter) json(c *column, cell any) json.RawMessage {
	if cell == nil {
		return json.RawMessage("null")
	}
	if b, ok := cell.([]byte); ok {
		return bytesJSON(b)
	}
	if a.e == PostgreSQL {
		return compactJSON(show(cell))
	}
	switch v := cell.(type) {
	case int64:
		if c.family == famBool && (v == 0 || v == 1) {
			return json.RawMessage(strconv.FormatBool(v == 1))
		}
		return json.RawMessage(strconv.FormatInt(v, 10))
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return textJSON(strconv.FormatFloat(v, 'g', -1, 64))
		}
		return json.RawMessage(strconv.FormatFloat(v, 'g', -1, 64))
	case string:
		if c.family == famJSON && json.Valid([]byte(v)) {
			return compactJSON(v)
		}
		return textJSON(v)
	}
	return textJSON(fmt.Sprint(cell))
}

// compactJSON takes JSON on to one line; what is no JSON becomes a string.
func compactJSON(v string) json.RawMessage {
	var out bytes.Buffer
	if err := json.Compact(&out, []byte(v)); err != nil {
		return textJSON(v)
	}
	return out.Bytes()
}

func bytesJSON(b []byte) json.RawMessage {
	return json.RawMessage(`{"encoding":"base64","data":"` + base64.StdEncoding.EncodeToString(b) + `"}`)
}

// textJSON writes a string; text that is not UTF-8 goes out as bytes, unharmed.
func textJSON(v string) json.RawMessage {
	if !utf8.ValidString(v) {
		return bytesJSON([]byte(v))
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil { // a valid string always encodes
		panic(err)
	}
	return bytes.TrimRight(out.Bytes(), "\n")
}

// showKey is a row's key for people.
func showKey(cells []any) string {
	parts := make([]string, len(cells))
	for i, c := range cells {
		parts[i] = show(c)
	}
	return strings.Join(parts, "/")
}
