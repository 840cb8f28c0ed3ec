package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

// recordColumns are what scanRecord reads.
const recordColumns = `e.leaf, e.position`

// Get implements audit.Index.
func (s *Store) Get(ctx context.Context, controller audit.ControllerID, id audit.EventID) (record audit.Record, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, q sqldb.Querier) error {
		record, err = scanRecord(q.QueryRow(ctx, `SELECT `+recordColumns+` FROM entry e
			WHERE e.event_id = $1 AND e.controller = $2`, string(id), string(controller)))
		if errors.Is(err, sqldb.ErrNoRows) {
			record, err = decision(ctx, q, controller, id)
		}
		return err
	})
	if errors.Is(err, audit.ErrNotFound) {
		return audit.Record{}, audit.ErrNotFound
	}
	if err != nil {
		return audit.Record{}, fmt.Errorf("store: reading an entry: %w", err)
	}
	return record, nil
}

// decision looks for a decision in the entries whose ranges of ids may hold it.
func decision(ctx context.Context, q sqldb.Querier, controller audit.ControllerID, id audit.EventID) (audit.Record, error) {
	from, at, ok := audit.RangesWith(id)
	if !ok {
		return audit.Record{}, audit.ErrNotFound
	}
	rows, err := q.Query(ctx, `SELECT `+recordColumns+` FROM entry_decisions d JOIN entry e ON e.position = d.position
		WHERE d.controller = $1 AND d.first_id >= $2 AND d.first_id <= $3 AND d.last_id >= $4 ORDER BY d.first_id DESC`,
		string(controller), from[:], at[:], at[:])
	if err != nil {
		return audit.Record{}, err
	}
	defer rows.Close() // what matters is Err
	for rows.Next() {
		record, err := scanRecord(rows)
		if err != nil {
			return audit.Record{}, err
		}
		if one, found := record.Of(id); found {
			return one, nil
		}
	}
	if err := rows.Err(); err != nil {
		return audit.Record{}, err
	}
	return audit.Record{}, audit.ErrNotFound
}

// The rows that a search reads with one statement: a first few, as the decisions of one batch may fill the page, and more each
// time when they did not.
const (
	firstRows = 64
	mostRows  = 512
)

// Search implements audit.Index.
func (s *Store) Search(ctx context.Context, query audit.Query) (out []audit.Record, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, q sqldb.Querier) error {
		out, err = search(ctx, q, query)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("store: searching entries: %w", err)
	}
	return out, nil
}

// search reads rows until the page is full or there are no more.
func search(ctx context.Context, q sqldb.Querier, query audit.Query) ([]audit.Record, error) {
	var out []audit.Record
	for limit := firstRows; ; limit = min(2*limit, mostRows) {
		read, last, err := searchRows(ctx, q, query, limit, &out)
		if err != nil {
			return nil, err
		}
		if read < limit || len(out) >= query.Limit {
			return out, nil
		}
		query.After = last
	}
}

// searchRows reads at most `limit` rows of a search and adds what they show to out, up to the query's limit. It returns how many
// rows it has read and a cursor behind the last one.
func searchRows(ctx context.Context, q sqldb.Querier, query audit.Query, limit int, out *[]audit.Record) (read int, last audit.Cursor, err error) {
	text, args := searchSQL(query, limit)
	if people := query.Persons(); len(people) > 0 {
		positions, err := positionsAbout(ctx, q, query, people, limit)
		if err != nil || len(positions) == 0 {
			return 0, last, err
		}
		text, args = positionsSQL(positions)
	}
	rows, err := q.Query(ctx, text, args...)
	if err != nil {
		return 0, last, err
	}
	defer rows.Close() // what matters is Err
	for len(*out) < query.Limit && rows.Next() {
		row, err := scanFound(rows)
		if err != nil {
			return 0, last, err
		}
		read, last = read+1, row.cursor
		if row.decisions > 0 && !query.Filter.MayFit(row.leaf) {
			continue
		}
		record, err := row.record()
		if err != nil {
			return 0, last, err
		}
		*out = query.Unfold(*out, record, query.Limit-len(*out))
	}
	return read, last, rows.Err()
}

// found is a row of a search, whose leaf is not parsed yet.
type found struct {
	stored
	cursor    audit.Cursor
	decisions int64
}

func scanFound(rows sqldb.Rows) (f found, err error) {
	var received, sequence int64
	err = rows.Scan(&f.leaf, &f.index, &received, &sequence, &f.decisions)
	f.cursor = audit.Cursor{ReceivedTime: sqldb.Time(received), ControllerSequence: uint64(sequence)}
	return f, err
}

// stored is a leaf and its index.
type stored struct {
	leaf  []byte
	index int64
}

// record parses the leaf: what the caller sees is what is hashed.
func (s stored) record() (audit.Record, error) {
	entry, err := audit.ParseLeaf(s.leaf)
	if err != nil {
		return audit.Record{}, err
	}
	return audit.Record{Entry: entry, Leaf: s.leaf, Index: uint64(s.index)}, nil
}

func scanRecord(row sqldb.Row) (audit.Record, error) {
	var s stored
	if err := row.Scan(&s.leaf, &s.index); err != nil {
		return audit.Record{}, err
	}
	return s.record()
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

// searchSQL writes the statement that finds the next rows of a search in the controller's index by time. It finds a batch whenever
// one of its decisions may fit; which do is for Query.Unfold.
func searchSQL(q audit.Query, limit int) (string, []any) {
	var s statement
	s.bounds(q)
	s.filter(q.Filter)
	return foundColumns + "FROM entry e WHERE " + strings.Join(s.conditions, " AND ") +
		" ORDER BY e.received_at DESC, e.controller_sequence DESC LIMIT " + s.bind(limit), s.args
}

// foundColumns are what scanFound reads.
const foundColumns = "SELECT " + recordColumns + ", e.received_at, e.controller_sequence, e.decisions "

// bounds keeps the rows of a search to the controller's, to the time and to those behind the cursor.
func (s *statement) bounds(q audit.Query) {
	s.where("e.controller = " + s.bind(string(q.Controller)))
	if !q.Start.IsZero() {
		s.where("e.received_at >= " + s.bind(sqldb.Micros(ceilMicros(q.Start))))
	}
	if !q.End.IsZero() {
		s.where("e.received_at < " + s.bind(sqldb.Micros(ceilMicros(q.End))))
	}
	if !q.After.IsZero() {
		before := " < ("
		if q.After.Place > 0 { // the entry itself has more
			before = " <= ("
		}
		s.where("(e.received_at, e.controller_sequence)" + before +
			s.bind(sqldb.Micros(q.After.ReceivedTime)) + ", " + s.bind(int64(q.After.ControllerSequence)) + ")")
	}
}

// filter adds the conditions of a filter. Service, action, kind and outcome are the same for a batch and for its decisions;
// the others a batch has for each decision, and not in columns.
func (s *statement) filter(f audit.Filter) {
	for _, equal := range []struct{ column, value string }{
		{"e.service", f.Service}, {"e.kind", string(f.Kind)}, {"e.outcome", string(f.Outcome)},
	} {
		if equal.value != "" {
			s.where(equal.column + " = " + s.bind(equal.value))
		}
	}
	for _, equal := range []struct{ column, value string }{
		{"e.actor_ref", f.ActorRef}, {"e.trace_id", f.TraceID},
	} {
		if equal.value != "" {
			s.where("(e.decisions > 0 OR " + equal.column + " = " + s.bind(equal.value) + ")")
		}
	}
	if f.Resource != "" { // a sealed entry has none in the open; whether it is the one is for who can open it
		s.where("(e.decisions > 0 OR e.resource = '' OR e.resource = " + s.bind(f.Resource) + ")")
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
