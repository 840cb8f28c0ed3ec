package sqlmap

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/privacyops/privacyops/services/participant/internal/participant"
)

// job is one erasure while it runs.
type job struct {
	a       *Adapter
	r       participant.EraseRequest
	actions map[string]participant.Action
}

func (j *job) action(d *dataset) participant.Action { return j.actions[d.def.Name] }

// look records the targets of all datasets from one snapshot of the database. The
// first look decides who the person is; later ones only follow the keys recorded then,
// because an identifier that two people had may have become one person's since.
func (j *job) look(ctx context.Context, first bool) error {
	err := j.a.read(ctx, "looking for rows to erase", func(tx *sql.Tx) error {
		f, err := j.people(ctx, tx, first)
		if err != nil {
			return err
		}
		for _, d := range j.a.plan.datasets {
			if err := j.lookAt(ctx, tx, d, f, first); err != nil {
				return err
			}
		}
		if first {
			return j.countMentions(ctx, tx, f)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return j.settle(ctx)
}

// people resolves the subject on the first look and reads the recorded rows later.
func (j *job) people(ctx context.Context, tx *sql.Tx, first bool) (*found, error) {
	if !first {
		return j.a.recorded(ctx, tx, j.r.Request)
	}
	f, err := j.a.resolve(ctx, tx, j.r.Subject)
	if err != nil {
		return nil, err
	}
	var shared []string
	for _, s := range f.shared {
		shared = append(shared, string(s.Type))
	}
	if err := j.a.ledger.share(ctx, j.r.Request, strings.Join(shared, ",")); err != nil {
		return nil, err
	}
	for _, p := range f.people {
		key, err := encode([]any{p.key})
		if err != nil {
			return nil, err
		}
		if err := j.a.ledger.people(ctx, j.r.Request, key, j.a.guards(j.r.Request, p)); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// lookAt records the targets of one dataset.
func (j *job) lookAt(ctx context.Context, q querier, d *dataset, f *found, first bool) error {
	a, name := j.a, d.def.Name
	kept := j.action(d) == participant.Keep
	recorded := int64(0)
	if !kept || j.contested(d) {
		n, err := j.recordRows(ctx, q, d, f, kept)
		if err != nil {
			return err
		}
		recorded = n
	}
	if !kept && len(d.hops) > 1 {
		if err := j.recordParents(ctx, q, d, f); err != nil {
			return err
		}
	}
	if !first || j.action(d) == participant.Erase {
		return nil
	}
	n, err := a.count(ctx, q, "counting dataset "+name, a.countOf(d.table, func(s *stmt) {
		s.sql(" WHERE ")
		d.reach(s, f.ends)
	}))
	if err != nil {
		return err
	}
	if !kept {
		n -= recorded
	}
	return a.ledger.idle(ctx, j.r.Request, name, n)
}

// countMentions notes how many texts of others are kept.
func (j *job) countMentions(ctx context.Context, q querier, f *found) error {
	for _, m := range j.a.plan.mentions {
		n, err := j.a.countMention(ctx, q, m, f)
		if err != nil {
			return err
		}
		if err := j.a.ledger.idle(ctx, j.r.Request, m.def.Name, n); err != nil {
			return err
		}
	}
	return nil
}

// contested reports whether a dataset that is kept shares its table with one that is
// not.
func (j *job) contested(d *dataset) bool {
	return slices.ContainsFunc(j.a.plan.datasets, func(o *dataset) bool {
		return o != d && o.table == d.table && j.action(o) != participant.Keep
	})
}

// recordRows records the rows that a dataset reaches, for ANONYMISE those that need a
// change, and returns their number.
func (j *job) recordRows(ctx context.Context, q querier, d *dataset, f *found, kept bool) (int64, error) {
	a, n := j.a, int64(0)
	s := a.stmt().sql("SELECT ")
	for i, c := range append(slices.Clone(d.key), d.links()...) {
		if i > 0 {
			s.sql(", ")
		}
		s.read(c)
	}
	s.sql(" FROM ").table(d.table, "t").sql(" WHERE ")
	d.reach(s, f.ends)
	if j.action(d) == participant.Anonymise {
		s.sql(" AND ")
		differs(s, d.changes)
	}
	var batch []target
	flush := func() error {
		n += int64(len(batch))
		err := a.ledger.record(ctx, j.r.Request, d.def.Name, batch, kept)
		batch = batch[:0]
		return err
	}
	err := a.query(ctx, q, "recording dataset "+d.def.Name, s, func(read func(...any) error) error {
		cells, err := readCells(read, len(d.key)+len(d.links()))
		if err != nil {
			return err
		}
		var t target
		if t.key, err = encode(cells[:len(d.key)]); err != nil {
			return err
		}
		if t.link, err = encode(cells[len(d.key):]); err != nil {
			return err
		}
		if batch = append(batch, t); len(batch) == chunk {
			return flush()
		}
		return nil
	})
	if err == nil {
		err = flush()
	}
	return n, err
}

// links is the link column as a list, empty for the person's own row.
func (d *dataset) links() []*column {
	if c := d.link(); c != nil {
		return []*column{c}
	}
	return nil
}

// parent is the dataset's path without its first join: the rows its targets hang on.
func (d *dataset) parent() *dataset {
	return &dataset{table: d.hops[0].table, hops: d.hops[1:], target: d.target}
}

// recordParents records the values that the targets' first join points at, so that a
// child which arrives when its parent is gone is still found.
func (j *job) recordParents(ctx context.Context, q querier, d *dataset, f *found) error {
	a := j.a
	s := a.stmt().sql("SELECT DISTINCT ").read(d.hops[0].to).sql(" FROM ").table(d.hops[0].table, "t").sql(" WHERE ")
	d.parent().reach(s, f.ends)
	var batch [][]byte
	flush := func() error {
		err := a.ledger.parents(ctx, j.r.Request, d.def.Name, batch)
		batch = batch[:0]
		return err
	}
	err := a.query(ctx, q, "recording dataset "+d.def.Name, s, func(read func(...any) error) error {
		cells, err := readCells(read, 1)
		if err != nil || cells[0] == nil {
			return err
		}
		v, err := encode(cells)
		if err != nil {
			return err
		}
		if batch = append(batch, v); len(batch) == chunk {
			return flush()
		}
		return nil
	})
	if err == nil {
		err = flush()
	}
	return err
}

// settle decides about rows that several datasets reach: keep before delete before
// columns, and of two deletes the first.
func (j *job) settle(ctx context.Context) error {
	for i, d := range j.a.plan.datasets {
		if j.action(d) == participant.Keep {
			continue
		}
		for k, w := range j.a.plan.datasets {
			if w == d || w.table != d.table || !outranks(j.action(w), j.action(d), k < i) {
				continue
			}
			if err := j.a.ledger.yield(ctx, j.r.Request, d.def.Name, w.def.Name); err != nil {
				return err
			}
		}
	}
	return nil
}

// outranks reports whether a row of action over is left to action a.
func outranks(a, over participant.Action, earlier bool) bool {
	return a == participant.Keep || a == participant.Erase && (over == participant.Anonymise || earlier)
}
