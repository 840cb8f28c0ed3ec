package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

// Accept implements audit.Inbox.
func (s *Store) Accept(ctx context.Context, now time.Time, events []audit.Event) ([]audit.Receipt, error) {
	receipts := make([]audit.Receipt, len(events))
	err := s.db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
		heads, err := openHeads(ctx, tx)
		if err != nil {
			return err
		}
		received := later(now, heads.lastReceived)
		for i, e := range events {
			if receipts[i], err = acceptOne(ctx, tx, heads, received, e); err != nil {
				return err
			}
		}
		return heads.save(ctx, tx)
	})
	if err != nil {
		return nil, fmt.Errorf("store: accepting events: %w", err)
	}
	return receipts, nil
}

// acceptOne stores an event unless its id is known.
func acceptOne(ctx context.Context, tx sqldb.Tx, heads *heads, received time.Time, e audit.Event) (audit.Receipt, error) {
	sequence, err := heads.nextSequence(ctx, tx, e.Controller)
	if err != nil {
		return audit.Receipt{}, err
	}
	entry := audit.Entry{Event: e, ReceivedTime: received, ControllerSequence: sequence}
	isNew, err := insertEntry(ctx, tx, heads.nextPosition, entry)
	if err != nil {
		return audit.Receipt{}, err
	}
	if !isNew {
		return knownReceipt(ctx, tx, e)
	}
	if _, err := tx.Exec(ctx, `INSERT INTO queue (position) VALUES ($1)`, heads.nextPosition); err != nil {
		return audit.Receipt{}, err
	}
	heads.advance(entry)
	return audit.Receipt{ID: e.ID, Status: audit.Accepted, ReceivedTime: received, ControllerSequence: sequence}, nil
}

// insertEntry stores an entry and the rows by which it is found at a position. It changes nothing and returns false when the event's id is
// known.
func insertEntry(ctx context.Context, tx sqldb.Tx, position int64, e audit.Entry) (bool, error) {
	leaf, err := e.Leaf()
	if err != nil {
		return false, err
	}
	keys := audit.KeysOf(e)
	digest, err := e.Digest()
	if err != nil {
		return false, err
	}
	n, err := tx.Exec(ctx, `INSERT INTO entry (position, event_id, event_digest, controller, controller_sequence, received_at,
			service, action, kind, actor_ref, resource, outcome, trace_id, leaf, decisions)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
		ON CONFLICT (event_id) DO NOTHING`,
		position, string(e.ID), digest[:], string(e.Controller), int64(e.ControllerSequence), sqldb.Micros(e.ReceivedTime),
		e.Service, e.Action, string(e.Kind), e.Actor.Ref, e.Resource, string(e.Outcome), e.TraceID(), leaf, keys.Decisions)
	if err != nil || n == 0 {
		return false, err
	}
	if err := insertSubjects(ctx, tx, position, keys.SubjectRefs); err != nil {
		return false, err
	}
	return true, insertRanges(ctx, tx, position, e.Controller, keys.IDRanges)
}

// insertSubjects stores the pseudonyms that an entry names, many with one statement. Their number is always a power of two, so
// that there are few different statements and the engines keep them prepared.
func insertSubjects(ctx context.Context, tx sqldb.Tx, position int64, refs []audit.SubjectRef) error {
	for size := len(subjectInserts) - 1; size >= 0; size-- {
		for n := 1 << size; len(refs) >= n; refs = refs[n:] {
			args := make([]any, 0, 2*n)
			for _, ref := range refs[:n] {
				args = append(args, string(ref), position)
			}
			if _, err := tx.Exec(ctx, subjectInserts[size], args...); err != nil {
				return err
			}
		}
	}
	return nil
}

// subjectInserts are the statements that store 1, 2, 4, … 128 pseudonyms.
var subjectInserts = func() (out [8]string) {
	for size := range out {
		rows := make([]string, 1<<size)
		for i := range rows {
			rows[i] = fmt.Sprintf("($%d, $%d)", 2*i+1, 2*i+2)
		}
		out[size] = "INSERT INTO entry_subject (subject_ref, position) VALUES " + strings.Join(rows, ", ")
	}
	return out
}()

// insertRanges stores the ranges of the ids of an entry's decisions; there is one, but for ids that do not begin with a time.
func insertRanges(ctx context.Context, tx sqldb.Tx, position int64, controller audit.ControllerID, ranges []audit.IDRange) error {
	for _, r := range ranges {
		if _, err := tx.Exec(ctx, `INSERT INTO entry_decisions (controller, first_id, last_id, position) VALUES ($1, $2, $3, $4)`,
			string(controller), r.First[:], r.Last[:], position); err != nil {
			return err
		}
	}
	return nil
}

// knownReceipt answers an event whose id is known.
func knownReceipt(ctx context.Context, tx sqldb.Tx, e audit.Event) (audit.Receipt, error) {
	var known []byte
	var received, sequence int64
	err := tx.QueryRow(ctx, `SELECT event_digest, received_at, controller_sequence FROM entry WHERE event_id = $1`, string(e.ID)).
		Scan(&known, &received, &sequence)
	if err != nil {
		return audit.Receipt{}, err
	}
	digest, err := e.Digest()
	if err != nil {
		return audit.Receipt{}, err
	}
	if !bytes.Equal(known, digest[:]) {
		return audit.Receipt{ID: e.ID, Status: audit.Conflict}, nil
	}
	return audit.Receipt{
		ID: e.ID, Status: audit.Duplicate,
		ReceivedTime: sqldb.Time(received), ControllerSequence: uint64(sequence),
	}, nil
}

// heads are the ends of the log and of each controller's numbers, as one transaction sees and moves them.
type heads struct {
	nextPosition int64
	lastReceived time.Time
	sequences    map[audit.ControllerID]int64
	touched      map[audit.ControllerID]bool
}

// openHeads reads the head and, on engines that run writers side by side, makes other ones wait until this transaction has
// ended: positions are given in the order of commits.
func openHeads(ctx context.Context, tx sqldb.Tx) (*heads, error) {
	var received int64
	h := &heads{sequences: map[audit.ControllerID]int64{}, touched: map[audit.ControllerID]bool{}}
	err := tx.QueryRow(ctx, `UPDATE log_head SET next_position = next_position WHERE id = 1 RETURNING next_position, last_received`).
		Scan(&h.nextPosition, &received)
	h.lastReceived = sqldb.Time(received)
	return h, err
}

func (h *heads) nextSequence(ctx context.Context, tx sqldb.Tx, c audit.ControllerID) (uint64, error) {
	if _, known := h.sequences[c]; !known {
		var last int64
		err := tx.QueryRow(ctx, `SELECT sequence FROM controller_head WHERE controller = $1`, string(c)).Scan(&last)
		if err != nil && !errors.Is(err, sqldb.ErrNoRows) {
			return 0, err
		}
		h.sequences[c] = last
	}
	return uint64(h.sequences[c]) + 1, nil
}

// advance moves the heads behind an entry that was stored at nextPosition.
func (h *heads) advance(e audit.Entry) {
	h.nextPosition++
	h.lastReceived = later(h.lastReceived, e.ReceivedTime)
	h.sequences[e.Controller] = max(h.sequences[e.Controller], int64(e.ControllerSequence))
	h.touched[e.Controller] = true
}

func (h *heads) save(ctx context.Context, tx sqldb.Tx) error {
	if len(h.touched) == 0 {
		return nil
	}
	if _, err := tx.Exec(ctx, `UPDATE log_head SET next_position = $1, last_received = $2 WHERE id = 1`,
		h.nextPosition, sqldb.Micros(h.lastReceived)); err != nil {
		return err
	}
	for c := range h.touched {
		if _, err := tx.Exec(ctx, `INSERT INTO controller_head (controller, sequence) VALUES ($1, $2)
			ON CONFLICT (controller) DO UPDATE SET sequence = excluded.sequence`, string(c), h.sequences[c]); err != nil {
			return err
		}
	}
	return nil
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
