package sqlmap

import (
	"context"
	"fmt"
	"slices"

	"github.com/privacyops/privacyops/services/participant/internal/participant"
)

// personRow is a row of the person table that belongs to the subject.
type personRow struct {
	key      any
	values   map[*column]any // of plan.columns
	strength int             // index of the strongest identifier that led here
}

// found is the result of looking a subject up.
type found struct {
	people []*personRow
	ends   map[*column][]any // values that paths may end at, per person column
	shared []participant.SharedIdentifier
}

// valid checks what every call needs.
func valid(s participant.Subject) error {
	if len(s.Identifiers) == 0 {
		return fmt.Errorf("%w: at least one identifier is required", participant.ErrInvalid)
	}
	for _, id := range s.Identifiers {
		if id.Type == "" || id.Value == "" {
			return fmt.Errorf("%w: an identifier needs a type and a value", participant.ErrInvalid)
		}
	}
	return nil
}

// share notes a shared identifier once.
func (f *found) share(s participant.SharedIdentifier) {
	for i, old := range f.shared {
		if old.Type == s.Type && old.Dataset == s.Dataset {
			f.shared[i].People = max(old.People, s.People)
			return
		}
	}
	f.shared = append(f.shared, s)
}

// resolve finds the person rows that the subject's identifiers lead to. It follows an
// identifier only when exactly one row of the controller holds it.
func (a *Adapter) resolve(ctx context.Context, q querier, s participant.Subject) (*found, error) {
	f := &found{ends: map[*column][]any{}}
	for _, id := range s.Identifiers {
		h, err := a.holders(ctx, q, s.Controller, id)
		if err != nil {
			return nil, err
		}
		switch {
		case h.row == nil && h.people == 0:
		case h.row == nil || a.contradicts(h.row, s):
			f.share(participant.SharedIdentifier{Type: id.Type, Dataset: a.plan.m.Identity().Name, People: h.people})
		default:
			f.add(h.row)
		}
	}
	return f, a.pathEnds(ctx, q, f)
}

func (f *found) add(row *personRow) {
	for _, old := range f.people {
		if show(old.key) == show(row.key) {
			return
		}
	}
	f.people = append(f.people, row)
}

// holders is who has an identifier.
type holders struct {
	people int64
	row    *personRow // nil unless the identifier leads to exactly one person
}

// holders counts the people of a controller who have an identifier in any column of
// its type. A column that is shared by nature counts, but never leads anywhere.
func (a *Adapter) holders(ctx context.Context, q querier, controller string, id participant.Identifier) (holders, error) {
	var columns []identifier
	for _, i := range a.plan.ids {
		if i.def.Type == string(id.Type) && len(parameters(a.e, i.col, id.Value)) > 0 {
			columns = append(columns, i)
		}
	}
	if len(columns) == 0 {
		return holders{}, nil
	}
	where := func(s *stmt) {
		s.sql(" WHERE (")
		for n, i := range columns {
			if n > 0 {
				s.sql(" OR ")
			}
			s.in("t", i.col, parameters(a.e, i.col, id.Value))
		}
		s.sql(")")
		a.ofController(s, controller)
	}
	n, err := a.count(ctx, q, "counting an identifier", a.countOf(a.plan.table, where))
	if err != nil || n != 1 {
		return holders{people: n}, err
	}
	rows, err := a.people(ctx, q, where)
	if err != nil || len(rows) != 1 {
		return holders{people: n}, err
	}
	row := rows[0]
	for n, i := range a.plan.ids {
		if i.def.Type == string(id.Type) && slices.Contains(parameters(a.e, i.col, id.Value), row.values[i.col]) {
			if i.def.Shared { // also a value that stands in the person's own column as well
				return holders{people: 1}, nil
			}
			row.strength = min(row.strength, n)
		}
	}
	return holders{1, row}, nil
}

// countOf begins SELECT COUNT(*) of a table.
func (a *Adapter) countOf(t *table, where func(*stmt)) *stmt {
	s := a.stmt().sql("SELECT COUNT(*) FROM ").table(t, "t")
	where(s)
	return s
}

// ofController narrows person rows t to one controller.
func (a *Adapter) ofController(s *stmt, controller string) {
	if a.plan.controller != nil {
		s.sql(" AND ").in("t", a.plan.controller, parameters(a.e, a.plan.controller, controller))
	}
}

// people reads at most two person rows.
func (a *Adapter) people(ctx context.Context, q querier, where func(*stmt)) ([]*personRow, error) {
	s := a.stmt().sql("SELECT ")
	for i, c := range a.plan.columns {
		if i > 0 {
			s.sql(", ")
		}
		s.read(c)
	}
	s.sql(" FROM ").table(a.plan.table, "t")
	where(s)
	s.sql(" LIMIT 2")
	var out []*personRow
	err := a.query(ctx, q, "reading a person", s, func(read func(...any) error) error {
		cells, err := readCells(read, len(a.plan.columns))
		if err != nil {
			return err
		}
		row := &personRow{values: map[*column]any{}, strength: len(a.plan.ids)}
		for i, c := range a.plan.columns {
			row.values[c] = cells[i]
		}
		row.key = row.values[a.plan.key]
		out = append(out, row)
		return nil
	})
	return out, err
}

// readCells reads n cells of a row.
func readCells(read func(...any) error, n int) ([]any, error) {
	cells, dest := make([]any, n), make([]any, n)
	for i := range cells {
		dest[i] = &cells[i]
	}
	return cells, read(dest...)
}

// contradicts reports whether a row has another value than the request for an
// identifier stronger than the one that led to the row.
func (a *Adapter) contradicts(row *personRow, s participant.Subject) bool {
	for _, i := range a.plan.ids[:row.strength] {
		value := row.values[i.col]
		if i.def.Shared || show(value) == "" {
			continue
		}
		named, same := false, false
		for _, id := range s.Identifiers {
			if string(id.Type) == i.def.Type {
				named = true
				same = same || slices.Contains(parameters(a.e, i.col, id.Value), value)
			}
		}
		if named && !same {
			return true
		}
	}
	return false
}

// pathEnds collects the values that paths end at. A value other than the key that
// several people have is reported and not followed.
func (a *Adapter) pathEnds(ctx context.Context, q querier, f *found) error {
	for _, d := range a.plan.datasets {
		if _, done := f.ends[d.target]; done {
			continue
		}
		f.ends[d.target] = nil
		for _, p := range f.people {
			v := p.values[d.target]
			if show(v) == "" {
				continue
			}
			if d.target != a.plan.key {
				n, err := a.count(ctx, q, "counting an identifier", a.countOf(a.plan.table, func(s *stmt) {
					s.sql(" WHERE ").equal(d.target, v)
				}))
				if err != nil {
					return err
				}
				if n > 1 {
					f.share(participant.SharedIdentifier{Type: a.typeOf(d.target), Dataset: d.def.Name, People: n})
					continue
				}
			}
			f.ends[d.target] = append(f.ends[d.target], v)
		}
	}
	return nil
}

// typeOf is the identifier type of a person column; empty when it is none.
func (a *Adapter) typeOf(c *column) participant.IdentifierType {
	for _, i := range a.plan.ids {
		if i.col == c {
			return participant.IdentifierType(i.def.Type)
		}
	}
	return ""
}

// reach appends the condition that row t of the dataset's table leads to one of the
// ends. It joins by nested IN, so that a row is never seen twice.
func (d *dataset) reach(s *stmt, ends map[*column][]any) {
	d.follow(s, func(s *stmt, alias string, c *column) { s.in(alias, c, ends[d.target]) })
}

// follow writes the joins and lets end write the condition on the last column.
func (d *dataset) follow(s *stmt, end func(s *stmt, alias string, c *column)) {
	if len(d.hops) == 0 {
		end(s, "t", d.target)
		return
	}
	alias, closing := "t", ""
	for i, h := range d.hops {
		if i == len(d.hops)-1 {
			end(s, alias, h.from)
			break
		}
		s.col(alias, h.from)
		alias = "j" + string(rune('1'+i))
		s.sql(" IN (SELECT ").col(alias, h.to).sql(" FROM ").table(h.table, alias).sql(" WHERE ")
		closing += ")"
	}
	s.sql(closing)
}
