package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/audit/internal/evidence"
)

// Entries implements evidence.Entries on the index.
type Entries struct{ db *sqldb.DB }

var _ evidence.Entries = Entries{}

// NewEntries reads the index in db, whose schema is up to date.
func NewEntries(db *sqldb.DB) Entries { return Entries{db} }

// eventsSQL counts the events of a period: an entry may stand for many decisions.
const eventsSQL = `SELECT CAST(COALESCE(SUM(CASE WHEN decisions > 0 THEN decisions ELSE 1 END), 0) AS BIGINT) FROM entry
	WHERE controller = $1 AND received_at >= $2 AND received_at < $3`

// Span finds the entries of a period; see evidence.Entries.
func (s Entries) Span(ctx context.Context, c evidence.ControllerID, start, end time.Time) (span evidence.Span, err error) {
	from, to := sqldb.Micros(ceilMicros(start)), sqldb.Micros(ceilMicros(end))
	err = s.db.Read(ctx, func(ctx context.Context, q sqldb.Querier) error {
		var received, before, after, index int64
		err := q.QueryRow(ctx, `SELECT received_at, controller_sequence FROM entry WHERE controller = $1 AND received_at < $2
			ORDER BY received_at DESC, controller_sequence DESC LIMIT 1`, c, from).Scan(&received, &before)
		switch {
		case err == nil:
			span.Before = evidence.Cursor{Received: sqldb.Time(received), Number: uint64(before)}
		case !errors.Is(err, sqldb.ErrNoRows):
			return err
		}
		err = q.QueryRow(ctx, `SELECT controller_sequence, position FROM entry WHERE controller = $1 AND received_at >= $2
			ORDER BY received_at, controller_sequence LIMIT 1`, c, to).Scan(&after, &index)
		if errors.Is(err, sqldb.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		span.After, span.AfterIndex = uint64(after), uint64(index)
		return q.QueryRow(ctx, eventsSQL, c, from, to).Scan(&span.Events)
	})
	if err != nil {
		return span, fmt.Errorf("store: the entries of a period: %w", err)
	}
	return span, nil
}

// Following returns the entries behind a place; see evidence.Entries.
func (s Entries) Following(ctx context.Context, c evidence.ControllerID, after evidence.Cursor, limit int) (out []evidence.Entry, err error) {
	received := int64(0)
	if !after.Received.IsZero() {
		received = sqldb.Micros(after.Received)
	}
	err = s.db.Read(ctx, func(ctx context.Context, q sqldb.Querier) error {
		out, err = collect(ctx, q, func(r sqldb.Rows) (e evidence.Entry, err error) {
			var at, number, index int64
			err = r.Scan(&at, &number, &index, &e.Leaf)
			e.Received, e.Number, e.Index = sqldb.Time(at), uint64(number), uint64(index)
			return e, err
		}, `SELECT received_at, controller_sequence, position, leaf FROM entry
			WHERE controller = $1 AND (received_at, controller_sequence) > ($2, $3)
			ORDER BY received_at, controller_sequence LIMIT $4`, c, received, int64(after.Number), limit)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("store: entries in their order: %w", err)
	}
	return out, nil
}
