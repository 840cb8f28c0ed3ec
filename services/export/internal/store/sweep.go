package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/export/internal/export"
)

// takeoverEvery is how often at most a job is added for an export whose job was fetched by a worker that died.
const takeoverEvery = 30 * time.Second

// sweepLimit bounds one sweep; the next one goes on.
const sweepLimit = 500

// Sweep enqueues a job for every export that is due and that nobody works on, and for every package whose time has come. It is
// the net under everything else: whatever happens to a job, an export is taken up again. It looks at all controllers' exports
// by their times alone and hands out only names; the jobs read them, controller by controller.
func (s *Store) Sweep(ctx context.Context, now time.Time) error {
	at := sqldb.Micros(now)
	err := s.sweep(ctx, now, JobAdvance, `SELECT controller, id, fence FROM export
		WHERE settled = 0 AND next_time <= $1 AND lease_until <= $2 ORDER BY next_time LIMIT $3`, at, at, sweepLimit)
	err = errors.Join(err, s.sweep(ctx, now, JobExpire, `SELECT controller, id, fence FROM export
		WHERE package_file <> '' AND expire_time <= $1 ORDER BY expire_time LIMIT $2`, at, sweepLimit))
	s.scrub(ctx)
	return err
}

type taken struct {
	export.Ref
	fence int64
}

func (s *Store) sweep(ctx context.Context, now time.Time, kind, query string, args ...any) error {
	var due []taken
	err := s.db.Read(ctx, func(ctx context.Context, q sqldb.Querier) (err error) {
		due, err = collect(ctx, q, func(r sqldb.Rows) (t taken, err error) {
			err = r.Scan(&t.Controller, &t.ID, &t.fence)
			return t, err
		}, query, args...)
		return err
	})
	if err != nil || len(due) == 0 {
		return err
	}
	return s.db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
		for _, t := range due {
			job := jobOf(kind, t.Ref, t.fence)
			// A worker that died between fetching its job and taking the export left the fence as it was.
			job.TakeoverKey = fmt.Sprintf("%s/%d", job.UniqueKey, now.UnixNano()/int64(takeoverEvery))
			if err := tx.Enqueue(ctx, job); err != nil {
				return err
			}
		}
		return nil
	})
}

// FreeAll ends every lease. It is right only where no other process works on the database: those that held them are gone.
func (s *Store) FreeAll(ctx context.Context) error {
	return s.db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE export SET lease_until = 0 WHERE lease_until <> 0`)
		return err
	})
}

// Refers reports whether any export has the file, as its package or as the draft of one.
func (s *Store) Refers(ctx context.Context, file export.FileID) (found bool, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, q sqldb.Querier) error {
		var n int64
		err := q.QueryRow(ctx, `SELECT (SELECT COUNT(*) FROM export WHERE draft <> '' AND draft = $1)
			+ (SELECT COUNT(*) FROM export WHERE package_file <> '' AND package_file = $2)`, file, file).Scan(&n)
		found = n > 0
		return err
	})
	if err != nil {
		return false, fmt.Errorf("store: look for a file's export: %w", err)
	}
	return found, nil
}

// scrubAfter removes the keys that w has lost from the database's own log, where they would outlive their row.
func (s *Store) scrubAfter(ctx context.Context, w *export.Work) {
	if w.Settled {
		s.unscrubbed.Store(true)
		s.scrub(ctx)
	}
}

// scrub clears the database's log where keys were destroyed. A reader may stand in the way; the next sweep tries again.
func (s *Store) scrub(ctx context.Context) {
	if s.unscrubbed.Swap(false) && s.db.Scrub(ctx) != nil {
		s.unscrubbed.Store(true)
	}
}

// Ping asks the database for an answer.
func (s *Store) Ping(ctx context.Context) error { return s.db.Ping(ctx) }
