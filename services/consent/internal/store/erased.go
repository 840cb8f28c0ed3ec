package store

import (
	"context"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// AddErased implements consent.ErasedSubjects.
func (Store) AddErased(ctx context.Context, tx sqldb.Tx, e consent.Erasure) error {
	for _, ref := range e.Subjects {
		_, err := tx.Exec(ctx, `INSERT INTO erased_subject (controller, subject_ref, erasure, erase_time, record_time)
			VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING`,
			string(e.Controller), string(ref), e.Resource, sqldb.Micros(e.Time), sqldb.Micros(e.RecordTime))
		if err != nil {
			return wrap("note an erased subject", err)
		}
	}
	return nil
}

// Erased implements consent.ErasedSubjects.
func (Store) Erased(ctx context.Context, q sqldb.Querier, controller consent.ControllerID, refs []consent.SubjectRef) (bool, error) {
	var n int64
	err := q.QueryRow(ctx, `SELECT COUNT(*) FROM erased_subject WHERE controller = $1 AND subject_ref IN (`+list(2, len(refs))+`)`,
		arguments([]any{string(controller)}, refs)...).Scan(&n)
	return n > 0, wrap("look for erased subjects", err)
}
