package recorder

import (
	"context"
	"sync"
	"time"

	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
)

const (
	// MostHeld is how many decisions a buffer holds at most that are not on disk yet.
	MostHeld = 10_000
	// HeldFor is how long it holds them before it begins to write them.
	HeldFor = 20 * time.Millisecond
	// again is the pause after a commit that failed.
	again = 100 * time.Millisecond
	// lastFlush bounds how long the end waits for the database.
	lastFlush = 5 * time.Second
)

// Buffer gives decisions out before they are on disk, and writes them a moment later, many together: for who prefers a faster
// answer to one that is certain to be in the log. What a crash can take is bounded: the decisions that were given since the last
// write began, which is begun every HeldFor, and never more than MostHeld. Where so many wait, because the database is slow or
// away, further ones are written before they are given, as without a buffer. All else is recorded as by a Recorder.
type Buffer struct {
	*Recorder
	wake chan struct{}

	mu   sync.Mutex
	held []outbox.Decided
	size int
}

// NewBuffer makes a buffer in front of a recorder. It writes while Run runs.
func NewBuffer(r *Recorder) *Buffer { return &Buffer{Recorder: r, wake: make(chan struct{}, 1)} }

// RecordDecisions takes decisions.
func (b *Buffer) RecordDecisions(ctx context.Context, answers ...outbox.Answer) error {
	decided := outbox.DecidedBy(ctx, answers...)
	if !b.hold(decided) {
		return b.take(ctx, decided)
	}
	decided.Taken()
	select {
	case b.wake <- struct{}{}:
	default:
	}
	return nil
}

func (b *Buffer) hold(d outbox.Decided) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.size+len(d.Answers) > MostHeld {
		return false
	}
	b.held, b.size = append(b.held, d), b.size+len(d.Answers)
	return true
}

// Run writes what is held until ctx ends, and then the rest.
func (b *Buffer) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			b.finish(ctx)
			return
		case <-b.wake:
			pause(ctx, HeldFor)
		}
		for b.write(ctx) != nil && ctx.Err() == nil {
			pause(ctx, again)
		}
	}
}

// finish writes what is left when ctx has ended.
func (b *Buffer) finish(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastFlush)
	defer cancel()
	for b.write(ctx) != nil && ctx.Err() == nil {
		pause(ctx, again)
	}
}

// write writes what is held. What could not be written stays.
func (b *Buffer) write(ctx context.Context) error {
	b.mu.Lock()
	now := b.held
	b.held = nil
	b.mu.Unlock()
	// Whether a commit that was given up has happened could not be told, and the decisions would be in the log twice.
	ctx = sqldb.WithAllControllers(context.WithoutCancel(ctx))
	for len(now) > 0 {
		n, size := portion(now)
		if err := b.take(ctx, now[:n]...); err != nil {
			b.mu.Lock()
			b.held = append(now, b.held...)
			b.mu.Unlock()
			return err
		}
		now = now[n:]
		b.mu.Lock()
		b.size -= size
		b.mu.Unlock()
	}
	return nil
}

// portion is how many calls go into one transaction, and how many decisions they have.
func portion(held []outbox.Decided) (calls, decisions int) {
	for calls < len(held) && (calls == 0 || decisions+len(held[calls].Answers) <= maxGroup) {
		decisions += len(held[calls].Answers)
		calls++
	}
	return calls, decisions
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
