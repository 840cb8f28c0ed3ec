package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

// Window implements audit.Index.
func (s *Store) Window(ctx context.Context, from uint64, limit int) ([]audit.Row, error) {
	var rows []positioned
	var refs []subjectAt
	var ranges []rangeAt
	err := s.db.Read(ctx, func(ctx context.Context, q sqldb.Querier) (err error) {
		rows, err = collect(ctx, q, scanPositioned, `SELECT e.position, p.log_index, e.leaf, e.event_id, e.controller,
			e.controller_sequence, e.received_at, e.service, e.action, e.kind, e.actor_ref, e.resource, e.outcome, e.trace_id, e.decisions
			FROM placement p JOIN entry e ON e.position = p.position WHERE p.log_index >= $1 ORDER BY p.log_index LIMIT $2`,
			int64(from), limit)
		if err != nil || len(rows) == 0 {
			return err
		}
		to := int64(rows[len(rows)-1].row.Index)
		refs, err = collect(ctx, q, scanSubjectAt, `SELECT s.position, s.subject_ref FROM placement p
			JOIN entry_subject s ON s.position = p.position WHERE p.log_index >= $1 AND p.log_index <= $2`, int64(from), to)
		if err != nil {
			return err
		}
		ranges, err = collect(ctx, q, scanRangeAt, `SELECT d.position, d.controller, d.first_id, d.last_id FROM placement p
			JOIN entry_decisions d ON d.position = p.position WHERE p.log_index >= $1 AND p.log_index <= $2
			ORDER BY d.first_id, d.last_id`, int64(from), to)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("store: reading rows: %w", err)
	}
	return rowsOf(rows, refs, ranges), nil
}

// rowsOf puts the keys of other tables into the rows that they belong to. A range that stands under another controller than its
// entry's would not be found, and is not the row's.
func rowsOf(rows []positioned, refs []subjectAt, ranges []rangeAt) []audit.Row {
	out := make([]audit.Row, len(rows))
	at := make(map[int64]*audit.Keys, len(rows))
	for i, r := range rows {
		out[i] = r.row
		at[r.position] = &out[i].Keys
	}
	for _, r := range refs {
		at[r.position].SubjectRefs = append(at[r.position].SubjectRefs, r.ref)
	}
	for _, r := range ranges {
		if k := at[r.position]; k.Controller == r.controller {
			k.IDRanges = append(k.IDRanges, r.ids)
		}
	}
	for i := range out {
		slices.Sort(out[i].Keys.SubjectRefs) // not ORDER BY: engines sort text in different ways
	}
	return out
}

type positioned struct {
	position int64
	row      audit.Row
}

func scanPositioned(rows sqldb.Rows) (p positioned, err error) {
	var index, sequence, received, decisions int64
	k := &p.row.Keys
	err = rows.Scan(&p.position, &index, &p.row.Leaf, (*string)(&k.ID), (*string)(&k.Controller), &sequence, &received,
		&k.Service, &k.Action, (*string)(&k.Kind), &k.ActorRef, &k.Resource, (*string)(&k.Outcome), &k.TraceID, &decisions)
	p.row.Index, k.ControllerSequence, k.ReceivedTime = uint64(index), uint64(sequence), sqldb.Time(received)
	k.Decisions = int(decisions)
	return p, err
}

type subjectAt struct {
	position int64
	ref      audit.SubjectRef
}

func scanSubjectAt(rows sqldb.Rows) (s subjectAt, err error) {
	err = rows.Scan(&s.position, (*string)(&s.ref))
	return s, err
}

type rangeAt struct {
	position   int64
	controller audit.ControllerID
	ids        audit.IDRange
}

func scanRangeAt(rows sqldb.Rows) (r rangeAt, err error) {
	var first, last []byte
	err = rows.Scan(&r.position, (*string)(&r.controller), &first, &last)
	copy(r.ids.First[:], first)
	copy(r.ids.Last[:], last)
	return r, err
}

// Backlog implements audit.Index.
func (s *Store) Backlog(ctx context.Context) (count uint64, oldest time.Time, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, q sqldb.Querier) error {
		var n, since int64
		err := q.QueryRow(ctx, `SELECT count(*), COALESCE(MIN(e.received_at), 0) FROM queue q
			JOIN entry e ON e.position = q.position`).Scan(&n, &since)
		count, oldest = uint64(n), sqldb.Time(since)
		return err
	})
	if err != nil {
		return 0, time.Time{}, fmt.Errorf("store: measuring the queue: %w", err)
	}
	return count, oldest, nil
}

// Strays implements audit.Index.
func (s *Store) Strays(ctx context.Context) (count uint64, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, q sqldb.Querier) error {
		var n int64
		err := q.QueryRow(ctx, `SELECT count(*) FROM entry e
			WHERE NOT EXISTS (SELECT 1 FROM placement p WHERE p.position = e.position)
			AND NOT EXISTS (SELECT 1 FROM queue q WHERE q.position = e.position)`).Scan(&n)
		count = uint64(n)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("store: looking for stray entries: %w", err)
	}
	return count, nil
}
