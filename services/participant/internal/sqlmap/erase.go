package sqlmap

import (
	"context"
	"database/sql"
	"slices"

	"github.com/privacyops/privacyops/services/participant/internal/participant"
)

// maxLooks bounds how often an erasure looks for rows that arrived meanwhile.
const maxLooks = 10

// Erase carries out an erasure, or what is left of it. See the package comment.
func (a *Adapter) Erase(ctx context.Context, r participant.EraseRequest) (participant.EraseResult, error) {
	if err := a.admit(r); err != nil {
		return participant.EraseResult{}, err
	}
	release, err := a.hold(ctx, r.Request)
	if err != nil {
		return participant.EraseResult{}, err
	}
	defer release()
	j := &job{a: a, r: r, actions: a.actions(r.Datasets)}
	if err := j.run(ctx); err != nil {
		return participant.EraseResult{}, err
	}
	return a.result(ctx, r.Request)
}

// run takes the request from the state in which the ledger has it to done.
func (j *job) run(ctx context.Context) error {
	l := j.a.ledger
	if j.r.DataMapDigest != j.a.digest {
		if state, err := l.state(ctx, j.r.Request); err != nil || (state != stateDone && state != statePurged) {
			return first(err, participant.ErrDataMapChanged)
		}
	}
	state, err := l.begin(ctx, j.entry())
	if err != nil {
		return err
	}
	if state == stateDone || state == statePurged {
		return nil
	}
	if state == stateRecording {
		if err := j.recordAll(ctx); err != nil {
			return err
		}
	}
	if err := j.carryOut(ctx, state == stateRecording); err != nil {
		return err
	}
	if err := l.fence(ctx, j.r.Request, j.r.FencingToken); err != nil {
		return err
	}
	if err := l.complete(ctx, j.r.Request); err != nil {
		return err
	}
	return j.a.scrub(ctx)
}

// first is err, or otherwise when there is none.
func first(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// recordAll makes the first look. What an interrupted one recorded is forgotten:
// nothing was touched yet.
func (j *job) recordAll(ctx context.Context) error {
	var names []string
	for _, d := range j.a.plan.datasets {
		names = append(names, d.def.Name)
	}
	for _, m := range j.a.plan.mentions {
		names = append(names, m.def.Name)
	}
	if err := j.a.ledger.restart(ctx, j.r.Request, names, j.actions); err != nil {
		return err
	}
	if err := j.look(ctx, true); err != nil {
		return err
	}
	return j.a.ledger.advance(ctx, j.r.Request, stateErasing)
}

// carryOut deals with all datasets but the person's own row until a look finds no
// more, and then with that row. looked says that a look was just made; a resumed
// erasure looks first, because the look that was cut off may be incomplete.
func (j *job) carryOut(ctx context.Context, looked bool) error {
	order := j.a.plan.order
	others, identity := order[:len(order)-1], order[len(order)-1]
	for range maxLooks {
		if !looked {
			if err := j.look(ctx, false); err != nil {
				return err
			}
			open, err := j.a.ledger.open(ctx, j.r.Request, identity.def.Name)
			if err != nil {
				return err
			}
			if open == 0 {
				return j.carryOutOne(ctx, identity)
			}
		}
		looked = false
		for _, d := range others {
			if err := j.carryOutOne(ctx, d); err != nil {
				return err
			}
		}
	}
	return participant.ErrUnsettled
}

// carryOutOne deals with the open targets of one dataset in one transaction.
func (j *job) carryOutOne(ctx context.Context, d *dataset) error {
	name := d.def.Name
	rows, err := j.a.ledger.chunkOf(ctx, j.r.Request, name, nil, true)
	if err != nil || len(rows) == 0 || j.action(d) == participant.Keep {
		return err
	}
	doing := "erasing dataset " + name
	tx, err := j.a.db.BeginTx(ctx, nil)
	if err != nil {
		return failed(doing, err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(ctx, j.a.deferral()); err != nil {
		return failed(doing, err)
	}
	for len(rows) > 0 {
		last := rows[len(rows)-1].key
		if err := j.change(ctx, tx, d, rows); err != nil {
			return err
		}
		if rows, err = j.a.ledger.chunkOf(ctx, j.r.Request, name, last, true); err != nil {
			return err
		}
	}
	if err := j.a.ledger.fence(ctx, j.r.Request, j.r.FencingToken); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return failed(doing, err)
	}
	return j.a.ledger.finish(ctx, j.r.Request, name)
}

// deferral lets rows of one dataset that refer to each other go in any order.
func (a *Adapter) deferral() string {
	if a.e == PostgreSQL {
		return "SET CONSTRAINTS ALL DEFERRED"
	}
	return "PRAGMA defer_foreign_keys = ON"
}

// change deletes or updates the rows of one chunk, as far as they are still the same.
func (j *job) change(ctx context.Context, tx *sql.Tx, d *dataset, rows []target) error {
	rows, err := j.stillTheirs(ctx, tx, d, rows)
	if err != nil || len(rows) == 0 {
		return err
	}
	s := j.a.stmt()
	if j.action(d) == participant.Erase {
		s.sql("DELETE FROM ").table(d.table, "t").sql(" WHERE ")
	} else if len(d.changes) == 0 {
		return nil // every column is said to be kept
	} else {
		s.sql("UPDATE ").table(d.table, "t").sql(" SET ")
		for i := range d.changes {
			if i > 0 {
				s.sql(", ")
			}
			s.name(d.changes[i].col.name).sql(" = ")
			d.changes[i].to(s)
		}
		s.sql(" WHERE ")
		differs(s, d.changes)
		s.sql(" AND ")
	}
	if err := d.matches(s, rows); err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, s.text.String(), s.args...)
	return failed("erasing dataset "+d.def.Name, err)
}

// stillTheirs drops, for the person's own row, keys that now name somebody else.
func (j *job) stillTheirs(ctx context.Context, tx *sql.Tx, d *dataset, rows []target) ([]target, error) {
	if !d.def.Identity() {
		return rows, nil // the link tells
	}
	keys, err := j.a.ledger.personKeys(ctx, j.r.Request)
	if err != nil {
		return nil, err
	}
	var out []target
	for _, t := range rows {
		row, err := j.a.personByKey(ctx, tx, t.key)
		if err != nil {
			return nil, err
		}
		if row != nil && j.a.same(j.r.Request, row, keys[string(t.key)]) {
			out = append(out, t)
		}
	}
	return out, nil
}

// matches appends the condition that row t is one of the targets: the same key, and
// the same link as when it was recorded.
func (d *dataset) matches(s *stmt, rows []target) error {
	columns := append(slices.Clone(d.key), d.links()...)
	s.sql("(")
	for i, t := range rows {
		cells, err := decode(append(slices.Clone(t.key), t.link...))
		if err != nil {
			return err
		}
		if len(cells) != len(columns) {
			return errCell
		}
		if i > 0 {
			s.sql(" OR ")
		}
		s.sql("(")
		for n, c := range columns {
			if n > 0 {
				s.sql(" AND ")
			}
			s.equal(c, cells[n])
		}
		s.sql(")")
	}
	s.sql(")")
	return nil
}

// result reads the counts in the order of the map, mentions last.
func (a *Adapter) result(ctx context.Context, request string) (participant.EraseResult, error) {
	counts, err := a.ledger.result(ctx, request)
	if err != nil {
		return participant.EraseResult{}, err
	}
	var out participant.EraseResult
	add := func(name string) {
		c := counts[name]
		c.Dataset = name
		out.Datasets = append(out.Datasets, c)
	}
	for _, d := range a.plan.datasets {
		add(d.def.Name)
	}
	for _, m := range a.plan.mentions {
		add(m.def.Name)
	}
	return out, nil
}

// scrub empties SQLite's write-ahead log, where earlier versions of pages wait. A
// reader may keep part of it until the next erasure or until the database is closed.
func (a *Adapter) scrub(ctx context.Context) error {
	if a.e != SQLite {
		return nil
	}
	_, err := a.db.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)")
	return failed("emptying the write-ahead log", err)
}
