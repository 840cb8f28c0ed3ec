package store

import (
	"context"
	"fmt"
	"time"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/erasure/internal/erasure"
)

// JobAdvance is the kind of the jobs that do the work of an erasure.
const JobAdvance = "erasure.advance"

// AdvanceArgs are the arguments of such a job: ids only.
type AdvanceArgs struct {
	Controller string `json:"controller"`
	Erasure    string `json:"erasure"`
}

// Lease is how long a worker that has taken an erasure is left alone with it before the sweeper looks for another one. A worker
// that lives renews it.
const Lease = 30 * time.Second

func nextWork(e *erasure.Erasure) int64 {
	at, ok := e.NextWork()
	if !ok {
		return -1
	}
	return sqldb.Micros(at)
}

// enqueue makes the job for the erasure's next work. Its key holds revision and fence: a job that waits for an earlier
// revision's time, or died with an earlier worker, does not stand in the way of a new one.
func (s *Store) enqueue(ctx context.Context, tx sqldb.Tx, e *erasure.Erasure) error {
	if job, ok := jobOf(e); ok {
		return tx.Enqueue(ctx, job)
	}
	return nil
}

func jobOf(e *erasure.Erasure) (job sqldb.Job, ok bool) {
	at, ok := e.NextWork()
	return sqldb.Job{Kind: JobAdvance, RunAt: at,
		Args:      AdvanceArgs{Controller: string(e.Controller), Erasure: string(e.ID)},
		UniqueKey: fmt.Sprintf("%s/%s/%d/%d", e.Controller, e.ID, e.Revision, e.Fence)}, ok
}

// goOn makes the job for what a worker leaves for later. What can be done at once the worker itself does: its lease goes on.
func (s *Store) goOn(ctx context.Context, tx sqldb.Tx, e *erasure.Erasure) error {
	at, ok := e.NextWork()
	if now := s.clock.Now(); ok && !at.After(now) {
		return s.lease(ctx, tx, e.Controller, e.ID)
	}
	return s.enqueue(ctx, tx, e)
}

func (s *Store) lease(ctx context.Context, tx sqldb.Tx, c erasure.ControllerID, id erasure.ID) error {
	return s.lookAgain(ctx, tx, c, id, s.clock.Now().Add(Lease))
}

// lookAgain sets when the sweeper looks.
func (s *Store) lookAgain(ctx context.Context, tx sqldb.Tx, c erasure.ControllerID, id erasure.ID, at time.Time) error {
	_, err := tx.Exec(ctx, `UPDATE erasure SET next_work = $1 WHERE controller = $2 AND id = $3 AND next_work >= 0`,
		sqldb.Micros(at), string(c), string(id))
	return err
}

// Renew extends the lease of a worker that lives. What the column says is only when the sweeper looks, so that renewing what
// has just been left for later does no harm.
func (s *Store) Renew(ctx context.Context, a AdvanceArgs) error {
	return s.db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
		return s.lease(ctx, tx, erasure.ControllerID(a.Controller), erasure.ID(a.Erasure))
	})
}

// Due lists erasures with work that is due, for the sweeper: a job may have been lost with its process.
func (s *Store) Due(ctx context.Context, now time.Time, limit int) (due []AdvanceArgs, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, q sqldb.Querier) error {
		rows, err := q.Query(ctx, `SELECT controller, id FROM erasure WHERE next_work >= 0 AND next_work <= $1 ORDER BY next_work LIMIT $2`,
			sqldb.Micros(now), limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var a AdvanceArgs
			if err := rows.Scan(&a.Controller, &a.Erasure); err != nil {
				return err
			}
			due = append(due, a)
		}
		return rows.Err()
	})
	return due, err
}

// Wake makes sure that there is a job for an erasure that Due has listed. It is not listed again before the job had its time, so
// that those behind it in the list have their turn.
func (s *Store) Wake(ctx context.Context, a AdvanceArgs) error {
	return s.db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
		e, err := s.lock(ctx, tx, erasure.ControllerID(a.Controller), erasure.ID(a.Erasure))
		if err != nil {
			return err
		}
		now := s.clock.Now()
		next := now.Add(Lease)
		if at, ok := e.NextWork(); ok && at.After(next) { // a lease was renewed when the work had just been left for later
			next = at
		}
		if err := s.lookAgain(ctx, tx, e.Controller, e.ID, next); err != nil {
			return err
		}
		job, ok := jobOf(e)
		if !ok {
			return nil
		}
		// A worker that died between fetching its job and taking the erasure left the fence as it was.
		job.TakeoverKey = fmt.Sprintf("%s/%d", job.UniqueKey, now.UnixNano()/int64(Lease))
		return tx.Enqueue(ctx, job)
	})
}
