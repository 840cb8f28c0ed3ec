package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

// Get implements audit.Index.
func (s *Store) Get(ctx context.Context, controller audit.ControllerID, id audit.EventID) (record audit.Record, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, q sqldb.Querier) error {
		record, err = scanRecord(q.QueryRow(ctx, `SELECT e.leaf, COALESCE(p.log_index, -1) FROM entry e
			LEFT JOIN placement p ON p.position = e.position WHERE e.event_id = $1 AND e.controller = $2`,
			string(id), string(controller)))
		return err
	})
	if errors.Is(err, sqldb.ErrNoRows) {
		return audit.Record{}, audit.ErrNotFound
	}
	if err != nil {
		return audit.Record{}, fmt.Errorf("store: reading an entry: %w", err)
	}
	return record, nil
}

// Search implements audit.Index.
func (s *Store) Search(ctx context.Context, query audit.Query) ([]audit.Record, error) {
	text, args := searchSQL(query)
	var out []audit.Record
	err := s.db.Read(ctx, func(ctx context.Context, q sqldb.Querier) (err error) {
		out, err = collect(ctx, q, func(r sqldb.Rows) (audit.Record, error) { return scanRecord(r) }, text, args...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("store: searching entries: %w", err)
	}
	return out, nil
}

// scanRecord reads a leaf and its index, -1 for none. The leaf is parsed: what the caller sees is what is hashed.
func scanRecord(row sqldb.Row) (audit.Record, error) {
	var leaf []byte
	var index int64
	if err := row.Scan(&leaf, &index); err != nil {
		return audit.Record{}, err
	}
	entry, err := audit.ParseLeaf(leaf)
	if err != nil {
		return audit.Record{}, err
	}
	return audit.Record{Entry: entry, Leaf: leaf, Placed: index >= 0, Index: uint64(max(index, 0))}, nil
}

// statement collects the conditions of a search and its arguments in their order.
type statement struct {
	conditions []string
	args       []any
}

// bind takes an argument and returns the `$n` that stands for it.
func (s *statement) bind(arg any) string {
	s.args = append(s.args, arg)
	return "$" + strconv.Itoa(len(s.args))
}

func (s *statement) where(condition string) { s.conditions = append(s.conditions, condition) }

// searchSQL writes the statement for a search. With subjects it starts from their few entries, else from the controller's
// index by time.
func searchSQL(q audit.Query) (string, []any) {
	var s statement
	from := "entry e"
	if len(q.SubjectRefs) > 0 {
		refs := make([]string, len(q.SubjectRefs))
		for i, ref := range q.SubjectRefs {
			refs[i] = s.bind(string(ref))
		}
		from = "(SELECT DISTINCT position FROM entry_subject WHERE subject_ref IN (" + strings.Join(refs, ", ") + ")) s " +
			"JOIN entry e ON e.position = s.position"
	}
	s.where("e.controller = " + s.bind(string(q.Controller)))
	s.filter(q.Filter)
	if !q.Start.IsZero() {
		s.where("e.received_at >= " + s.bind(sqldb.Micros(ceilMicros(q.Start))))
	}
	if !q.End.IsZero() {
		s.where("e.received_at < " + s.bind(sqldb.Micros(ceilMicros(q.End))))
	}
	if !q.After.IsZero() {
		s.where("(e.received_at, e.controller_sequence) < (" +
			s.bind(sqldb.Micros(q.After.ReceivedTime)) + ", " + s.bind(int64(q.After.ControllerSequence)) + ")")
	}
	return "SELECT e.leaf, COALESCE(p.log_index, -1) FROM " + from + " LEFT JOIN placement p ON p.position = e.position WHERE " +
		strings.Join(s.conditions, " AND ") + " ORDER BY e.received_at DESC, e.controller_sequence DESC LIMIT " + s.bind(q.Limit), s.args
}

func (s *statement) filter(f audit.Filter) {
	for _, equal := range []struct{ column, value string }{
		{"e.service", f.Service}, {"e.kind", string(f.Kind)}, {"e.outcome", string(f.Outcome)},
		{"e.actor_ref", f.ActorRef}, {"e.resource", f.Resource}, {"e.trace_id", f.TraceID},
	} {
		if equal.value != "" {
			s.where(equal.column + " = " + s.bind(equal.value))
		}
	}
	switch action, prefix := f.ActionMatch(); {
	case action == "":
	case prefix:
		s.where("substr(e.action, 1, " + s.bind(len(action)) + ") = " + s.bind(action))
	default:
		s.where("e.action = " + s.bind(action))
	}
}

// ceilMicros rounds a bound up to the microseconds that times of receipt have, so that a finer bound keeps its meaning.
func ceilMicros(t time.Time) time.Time { return t.Add(time.Microsecond - 1).Truncate(time.Microsecond) }

// Window implements audit.Index.
func (s *Store) Window(ctx context.Context, from uint64, limit int) ([]audit.Row, error) {
	var rows []positioned
	var refs []subjectAt
	err := s.db.Read(ctx, func(ctx context.Context, q sqldb.Querier) (err error) {
		rows, err = collect(ctx, q, scanPositioned, `SELECT e.position, p.log_index, e.leaf, e.event_id, e.controller,
			e.controller_sequence, e.received_at, e.service, e.action, e.kind, e.actor_ref, e.resource, e.outcome, e.trace_id
			FROM placement p JOIN entry e ON e.position = p.position WHERE p.log_index >= $1 ORDER BY p.log_index LIMIT $2`,
			int64(from), limit)
		if err != nil || len(rows) == 0 {
			return err
		}
		refs, err = collect(ctx, q, scanSubjectAt, `SELECT s.position, s.subject_ref FROM placement p
			JOIN entry_subject s ON s.position = p.position WHERE p.log_index >= $1 AND p.log_index <= $2`,
			int64(from), int64(rows[len(rows)-1].row.Index))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("store: reading rows: %w", err)
	}
	byPosition := map[int64][]audit.SubjectRef{}
	for _, r := range refs {
		byPosition[r.position] = append(byPosition[r.position], r.ref)
	}
	out := make([]audit.Row, len(rows))
	for i, r := range rows {
		out[i] = r.row
		out[i].Keys.SubjectRefs = byPosition[r.position]
		slices.Sort(out[i].Keys.SubjectRefs) // not ORDER BY: engines sort text in different ways
	}
	return out, nil
}

type positioned struct {
	position int64
	row      audit.Row
}

func scanPositioned(rows sqldb.Rows) (p positioned, err error) {
	var index, sequence, received int64
	k := &p.row.Keys
	err = rows.Scan(&p.position, &index, &p.row.Leaf, (*string)(&k.ID), (*string)(&k.Controller), &sequence, &received,
		&k.Service, &k.Action, (*string)(&k.Kind), &k.ActorRef, &k.Resource, (*string)(&k.Outcome), &k.TraceID)
	p.row.Index, k.ControllerSequence, k.ReceivedTime = uint64(index), uint64(sequence), sqldb.Time(received)
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
