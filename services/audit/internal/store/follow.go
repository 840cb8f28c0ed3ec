package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

// Add implements audit.Index.
func (s *Store) Add(ctx context.Context, entries []audit.Placed) error {
	err := s.db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
		if err := advance(ctx, tx, entries); err != nil {
			return err
		}
		return insert(ctx, tx, entries)
	})
	if sqldb.IsUniqueViolation(err) {
		err = fmt.Errorf("%w: an event between the indices %d and %d is known", audit.ErrDiverged, entries[0].Index, entries[len(entries)-1].Index)
	}
	if err != nil {
		return fmt.Errorf("store: adding entries: %w", err)
	}
	return nil
}

// advance checks that entries continue the index and moves the numbers of their controllers.
func advance(ctx context.Context, tx sqldb.Tx, entries []audit.Placed) error {
	next, err := nextIndex(ctx, tx)
	if err != nil {
		return err
	}
	heads := map[audit.ControllerID]uint64{}
	for i := range entries {
		e := &entries[i]
		if e.Index != next+uint64(i) {
			return fmt.Errorf("%w: index %d cannot follow %d", audit.ErrDiverged, e.Index, next+uint64(i))
		}
		last, read := heads[e.Controller]
		if !read {
			if last, err = sequenceOf(ctx, tx, e.Controller); err != nil {
				return err
			}
		}
		if e.ControllerSequence != last+1 {
			return fmt.Errorf("%w: at index %d the controller's number is %d and not %d", audit.ErrDiverged, e.Index, e.ControllerSequence, last+1)
		}
		heads[e.Controller] = e.ControllerSequence
	}
	for c, sequence := range heads {
		if _, err := tx.Exec(ctx, `INSERT INTO controller_head (controller, sequence) VALUES ($1, $2)
			ON CONFLICT (controller) DO UPDATE SET sequence = excluded.sequence`, string(c), int64(sequence)); err != nil {
			return err
		}
	}
	return nil
}

func sequenceOf(ctx context.Context, tx sqldb.Tx, c audit.ControllerID) (uint64, error) {
	var last int64
	err := tx.QueryRow(ctx, `SELECT sequence FROM controller_head WHERE controller = $1`, string(c)).Scan(&last)
	if errors.Is(err, sqldb.ErrNoRows) {
		return 0, nil
	}
	return uint64(last), err
}

// nextIndex is the place behind the last entry, also where that was dropped. Add leaves no gaps.
func nextIndex(ctx context.Context, q sqldb.Querier) (uint64, error) {
	var next int64
	err := q.QueryRow(ctx, `SELECT MAX(next) FROM (SELECT COALESCE(MAX(position) + 1, 0) AS next FROM entry
		UNION ALL SELECT COALESCE(MAX(end_position), 0) FROM tombstone) AS ends`).Scan(&next)
	return uint64(next), err
}

// together is how many entries have their rows written out at once: those of a whole addition would be a slice of megabytes.
const together = 256

// insert stores the rows of entries, many with one statement, and those of one table in its order.
func insert(ctx context.Context, tx sqldb.Tx, entries []audit.Placed) error {
	var rows rows
	for some := range slices.Chunk(entries, together) {
		rows.write(some)
		for _, t := range []struct {
			table table
			args  []any
		}{{entryTable, rows.entries}, {personTable, rows.people}, {peopleTable, rows.marks}, {decisionsTable, rows.ranges}} {
			if err := t.table.insert(ctx, tx, t.args); err != nil {
				return err
			}
		}
	}
	return nil
}

// rows are values of rows that follow each other, of each table.
type rows struct{ entries, people, marks, ranges []any }

// write writes the rows of entries, in the place of those before.
func (r *rows) write(entries []audit.Placed) {
	r.entries, r.people, r.marks, r.ranges = r.entries[:0], r.people[:0], r.marks[:0], r.ranges[:0]
	for i := range entries {
		e := &entries[i]
		k, at := audit.KeysOf(e.Entry), int64(e.Index)
		r.entries = append(r.entries, at, string(k.ID), e.Digest[:], string(k.Controller), int64(k.ControllerSequence), sqldb.Micros(k.ReceivedTime),
			k.Service, k.Action, string(k.Kind), k.ActorRef, k.Resource, string(k.Outcome), k.TraceID, k.Decisions, e.Leaf)
		for _, person := range k.People {
			r.people = append(r.people, person[:], at)
		}
		if k.Decisions > 0 {
			r.marks = append(r.marks, at, string(k.Controller), sqldb.Micros(k.ReceivedTime), k.Marks)
		}
		for _, ids := range k.IDRanges {
			r.ranges = append(r.ranges, string(k.Controller), ids.First[:], ids.Last[:], at)
		}
	}
}

// Heads implements audit.Index.
func (s *Store) Heads(ctx context.Context) (h audit.Heads, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, q sqldb.Querier) error {
		if h.Next, err = nextIndex(ctx, q); err != nil {
			return err
		}
		var received int64
		if err := q.QueryRow(ctx, `SELECT COALESCE(MAX(received_at), 0) FROM entry WHERE position = $1`, int64(h.Next)-1).Scan(&received); err != nil {
			return err
		}
		h.LastReceived = sqldb.Time(received)
		heads, err := collect(ctx, q, func(rows sqldb.Rows) (c head, err error) {
			err = rows.Scan((*string)(&c.controller), &c.sequence)
			return c, err
		}, `SELECT controller, sequence FROM controller_head`)
		h.Sequences = make(map[audit.ControllerID]uint64, len(heads))
		for _, c := range heads {
			h.Sequences[c.controller] = uint64(c.sequence)
		}
		return err
	})
	if err != nil {
		return audit.Heads{}, fmt.Errorf("store: reading the heads: %w", err)
	}
	return h, nil
}

type head struct {
	controller audit.ControllerID
	sequence   int64
}

// Known implements audit.Index.
func (s *Store) Known(ctx context.Context, ids []audit.EventID) (map[audit.EventID]audit.Known, error) {
	out := map[audit.EventID]audit.Known{}
	if len(ids) == 0 {
		return out, nil
	}
	err := s.db.Read(ctx, func(ctx context.Context, q sqldb.Querier) error {
		for rest := ids; len(rest) > 0; {
			n := 1
			for n < maxIDs && 2*n <= len(rest) {
				n *= 2
			}
			if err := known(ctx, q, rest[:n], out); err != nil {
				return err
			}
			rest = rest[n:]
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("store: looking events up: %w", err)
	}
	return out, nil
}

func known(ctx context.Context, q sqldb.Querier, ids []audit.EventID, out map[audit.EventID]audit.Known) error {
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = string(id)
	}
	rows, err := q.Query(ctx, knownQueries[len(ids)], args...)
	if err != nil {
		return err
	}
	defer rows.Close() // what matters is Err
	for rows.Next() {
		var id audit.EventID
		var digest []byte
		var received, sequence int64
		if err := rows.Scan((*string)(&id), &digest, &received, &sequence); err != nil {
			return err
		}
		k := audit.Known{ReceivedTime: sqldb.Time(received), ControllerSequence: uint64(sequence)}
		copy(k.Digest[:], digest)
		out[id] = k
	}
	return rows.Err()
}

// Waiting returns the leaves of entries that a release before this one accepted and did not bring into the log, in their order.
func (s *Store) Waiting(ctx context.Context) (leaves [][]byte, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, q sqldb.Querier) error {
		leaves, err = collect(ctx, q, func(rows sqldb.Rows) (leaf []byte, err error) {
			err = rows.Scan(&leaf)
			return leaf, err
		}, `SELECT leaf FROM entry_waiting ORDER BY position`)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("store: reading what waits: %w", err)
	}
	return leaves, nil
}
