package redis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/privacyops/privacyops/libs/clock"
)

// proveTimeout bounds a read of the database that several callers wait for. A longer one would prove nothing any more.
const proveTimeout = ProofAge

// maxRevision is the largest number that a script in Redis tells from the next one.
const maxRevision = int64(1) << 53

var errRevision = errors.New("redis: a revision is between 0 and 2^53")

// LocalRevisions is [Revisions] in one process. Its proofs end too: another process, such as a command line, may write to the
// same database.
type LocalRevisions struct {
	known  *standings
	source Source
	flight singleflight.Group
}

// NewLocalRevisions makes one that asks source.
func NewLocalRevisions(source Source, c clock.Clock) *LocalRevisions {
	return &LocalRevisions{known: newStandings(c), source: source}
}

// Publish fulfils [Revisions].
func (r *LocalRevisions) Publish(_ context.Context, controller Controller, revision int64) error {
	if revision < 0 || revision > maxRevision {
		return errRevision
	}
	r.known.learn(controller, revision)
	return nil
}

// Fresh fulfils [Revisions].
func (r *LocalRevisions) Fresh(controller Controller) (int64, time.Time, bool) {
	return r.known.fresh(controller)
}

// Watch fulfils [Revisions].
func (r *LocalRevisions) Watch(fn func(Controller, int64)) (stop func()) { return r.known.watch(fn) }

// Prove fulfils [Revisions].
func (r *LocalRevisions) Prove(ctx context.Context, controller Controller) (int64, time.Time, error) {
	return r.join(ctx, controller, r.prove)
}

// prove reads the database. What it gives is proven for the moment before the read.
func (r *LocalRevisions) prove(ctx context.Context, controller Controller) error {
	at := r.known.clock.Now()
	revision, err := r.source(ctx, controller)
	if err != nil {
		return err
	}
	if revision < 0 || revision > maxRevision {
		return errRevision
	}
	r.known.prove(controller, revision, at)
	return nil
}

// join runs prove once for all who ask at the same time. It goes on for the others when one of them gives up.
func (r *LocalRevisions) join(ctx context.Context, controller Controller, prove func(context.Context, Controller) error) (int64, time.Time, error) {
	done := r.flight.DoChan(string(controller), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), proveTimeout)
		defer cancel()
		return nil, prove(ctx, controller)
	})
	select {
	case <-ctx.Done():
		return 0, time.Time{}, ctx.Err()
	case result := <-done:
		if result.Err != nil {
			return 0, time.Time{}, fmt.Errorf("redis: newest revision: %w", result.Err)
		}
		revision, at := r.known.read(controller)
		return revision, at, nil
	}
}

// Run fulfils [Revisions].
func (r *LocalRevisions) Run(ctx context.Context) error {
	r.renew(ctx, renewAge, func(context.Context, []Controller) {}, r.Prove)
	return nil
}

// beat is the time between two looks at the controllers that are asked for.
const beat = 250 * time.Millisecond

// renew calls observe for the controllers that are asked for, and prove for those whose proof is then older than age.
func (r *LocalRevisions) renew(ctx context.Context, age time.Duration, observe func(context.Context, []Controller),
	prove func(context.Context, Controller) (int64, time.Time, error),
) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(beat + spread(beat/2)): // replicas that began together do not go in step
		}
		asked := r.known.asked()
		observe(ctx, asked)
		for _, controller := range asked {
			if r.known.due(controller, age) {
				// An error shows where it matters: the proof ends, and who asks then reads the database and sees it.
				_, _, _ = prove(ctx, controller)
			}
		}
	}
}
