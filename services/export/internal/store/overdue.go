package store

import (
	"context"
	"fmt"
	"time"

	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/export/internal/export"
)

// Overdue gives exports that still go on though the time to answer is over, those that should have been ready first before the
// others. It looks at all controllers' by their times alone, and hands out only names.
func (s *Store) Overdue(ctx context.Context, now time.Time) (refs []export.Ref, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, q sqldb.Querier) error {
		refs, err = collect(ctx, q, func(r sqldb.Rows) (ref export.Ref, err error) {
			err = r.Scan(&ref.Controller, &ref.ID)
			return ref, err
		}, `SELECT controller, id FROM export WHERE settled = 0 AND due_time <= $1 ORDER BY due_time LIMIT $2`, sqldb.Micros(now), sweepLimit)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("store: looking for overdue exports: %w", err)
	}
	return refs, nil
}

// TellOverdue writes the event of an overdue export.
func (s *Store) TellOverdue(ctx context.Context, ref export.Ref) error {
	return s.db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
		_, err := s.recorder.Record(ctx, tx, outbox.Event{Controller: string(ref.Controller), Action: "export.overdue", Kind: outbox.Admin,
			Resource: ref.Name(), Outcome: outbox.Failed, Reason: "OVERDUE"})
		return err
	})
}
