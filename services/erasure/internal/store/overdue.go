package store

import (
	"context"
	"fmt"
	"time"

	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/erasure/internal/erasure"
)

// overdueLimit bounds how many overdue erasures are looked at in one go.
const overdueLimit = 500

// Overdue lists erasures that still go on though the time to answer is over, those that should have ended first before the others.
func (s *Store) Overdue(ctx context.Context, now time.Time) (out []AdvanceArgs, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, q sqldb.Querier) error {
		rows, err := q.Query(ctx, `SELECT controller, id FROM erasure WHERE due_time > 0 AND due_time <= $1
			AND state IN ('PLANNING', 'AWAITING_APPROVAL', 'GRACE', 'RUNNING', 'VERIFYING', 'PARTIAL') ORDER BY due_time LIMIT $2`,
			sqldb.Micros(now), overdueLimit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var a AdvanceArgs
			if err := rows.Scan(&a.Controller, &a.Erasure); err != nil {
				return err
			}
			out = append(out, a)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("looking for overdue erasures: %w", err)
	}
	return out, nil
}

// TellOverdue writes the event of an overdue erasure.
func (s *Store) TellOverdue(ctx context.Context, a AdvanceArgs) error {
	return s.db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
		_, err := s.outbox.Record(ctx, tx, outbox.Event{Controller: a.Controller, Action: "erasure.overdue", Kind: outbox.Admin,
			Resource: erasure.Name(erasure.ControllerID(a.Controller), erasure.ID(a.Erasure)), Outcome: outbox.Failed, Reason: "OVERDUE"})
		return err
	})
}
