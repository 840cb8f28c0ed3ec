package erasure

import (
	"context"
	"errors"
	"time"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/fault"
)

// Engine does the work of erasures.
type Engine struct {
	Store        Store
	Registers    Registers
	Participants Participants
	Proofs       Proofs
	Erased       Erased
	Keys         Keys
	Pseudonyms   Pseudonyms
	Signer       Signer
	Clock        clock.Clock
	NewID        func() string
	// Backoff is the pause after the n-th attempt in a row that left something undone, from 1.
	Backoff func(attempt int) time.Duration
	// ProofWait is how long to look for an announcement in the log before the work is put off; default 8 s.
	ProofWait time.Duration
}

// Backoff is the default pause: a second, growing by the factor 3 to at most an hour. Work is never given up: a system that is
// back after a week is erased then.
func Backoff(attempt int) time.Duration {
	d := time.Second
	for range min(attempt-1, 10) {
		d = min(3*d, time.Hour)
	}
	return d
}

// work is one worker's hold on one erasure.
type work struct {
	*Engine
	e   *Erasure
	ids []Identifier
}

// Advance does what can be done for an erasure now, and returns when there is nothing more to do at once: it waits for people,
// for its time, or has ended. It may be interrupted anywhere and called again.
func (g *Engine) Advance(ctx context.Context, c ControllerID, id ID) error {
	e, ids, err := g.Store.Take(ctx, c, id, g.Clock.Now())
	if errors.Is(err, ErrNoWork) {
		return nil
	}
	if err != nil {
		return err
	}
	w := &work{Engine: g, e: e, ids: ids}
	for {
		at, ok := e.NextWork()
		if !ok || at.After(g.Clock.Now()) {
			return nil
		}
		if err := w.step(ctx); err != nil {
			if errors.Is(err, ErrFenced) {
				return nil // whoever overtook us goes on
			}
			return err
		}
	}
}

func (w *work) step(ctx context.Context) error {
	switch w.e.State {
	case Planning:
		return w.plan(ctx)
	case AwaitingApproval:
		return w.lapse(ctx)
	case Grace:
		return w.begin(ctx)
	case Running:
		return w.run(ctx)
	case Verifying:
		if w.e.Statement != "" {
			return w.certify(ctx)
		}
		return w.verify(ctx)
	case Partial:
		return w.resume(ctx)
	default:
		return ErrNoWork
	}
}

// putOff leaves the state as it is because somebody else did not answer, and tries again after a pause.
func (w *work) putOff(ctx context.Context, action string, cause error) error {
	if ctx.Err() != nil {
		return ctx.Err() // we are stopping: nobody else is at fault
	}
	return w.later(ctx, action, fault.From(cause).Reason())
}

// later leaves the state as it is and tries again after a pause.
func (w *work) later(ctx context.Context, action, reason string) error {
	w.pause()
	return w.save(ctx, Change{Event: Event{Action: action, Outcome: "FAILED", Reason: reason}})
}

// pause sets the time of the next attempt.
func (w *work) pause() {
	w.e.Attempts++
	now := w.Clock.Now()
	w.e.NextAttempt, w.e.UpdateTime = now.Add(w.Backoff(w.e.Attempts)), now
	if w.e.State == Grace {
		w.e.GraceEnd = w.e.NextAttempt
	}
}

// fail ends an erasure that cannot be planned.
func (w *work) fail(ctx context.Context, cause error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	f := fault.From(cause)
	w.e.Reason = f.Message()
	if err := w.e.move(Failed, w.Clock.Now()); err != nil {
		return err
	}
	return w.save(ctx, Change{DestroyIdentifiers: true, Event: Event{Action: "erasure.fail", Outcome: "FAILED", Reason: f.Reason()}})
}

func (w *work) save(ctx context.Context, change Change) error {
	change.Erasure, change.Event.Reason = w.e, reasonWord(change.Event.Reason)
	return w.Store.Save(ctx, change)
}
