package export

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/keyring"
)

// Config is what an engine works with. The ports, Keyring, Clock and NewID are required.
type Config struct {
	Register     Register
	Participants Participants
	Store        Store
	Packages     Packages
	Keyring      *keyring.Keyring
	Clock        clock.Clock
	// NewID gives the names of files: UUIDs.
	NewID func() string
	// Lease is how long an export stays with an engine that gives no sign of life; default 30 s.
	Lease time.Duration
	// Beat is how often it gives one, and so how soon it notices that the export was called off; default 2 s.
	Beat time.Duration
	// Retry is the pause after so many failures; default 10 s, doubled each time, up to 15 minutes.
	Retry func(failures int) time.Duration
}

// Engine carries exports on. It is safe for concurrent use.
type Engine struct{ Config }

// NewEngine makes an engine.
func NewEngine(cfg Config) (*Engine, error) {
	if cfg.Register == nil || cfg.Participants == nil || cfg.Store == nil || cfg.Packages == nil ||
		cfg.Keyring == nil || cfg.Clock == nil || cfg.NewID == nil {
		return nil, errors.New("export: an engine needs every port, a keyring, a clock and ids")
	}
	if cfg.Lease <= 0 {
		cfg.Lease = 30 * time.Second
	}
	if cfg.Beat <= 0 {
		cfg.Beat = 2 * time.Second
	}
	if cfg.Retry == nil {
		cfg.Retry = backoff
	}
	return &Engine{cfg}, nil
}

// backoff doubles from ten seconds up to a quarter of an hour.
func backoff(failures int) time.Duration {
	pause := 10 * time.Second
	for range failures - 1 {
		if pause *= 2; pause >= 15*time.Minute {
			return 15 * time.Minute
		}
	}
	return pause
}

// Advance does the next piece of work on an export and reports whether there is more to do at once. That somebody else has
// the export, that it has ended or that it was called off meanwhile is no error: there is nothing more to do here. After an
// error the export waits, and is tried again once its pause is over.
func (e *Engine) Advance(ctx context.Context, ref Ref) (more bool, err error) {
	w, err := e.Store.Take(ctx, ref, e.Clock.Now(), e.Lease)
	switch {
	case errors.Is(err, ErrIdle), errors.Is(err, ErrMissing):
		return false, nil
	case err != nil:
		return false, err
	}
	held, letGo := e.hold(ctx, w)
	err = e.step(held, w)
	overtaken := errors.Is(err, ErrFenced) || errors.Is(context.Cause(held), ErrFenced)
	letGo()
	switch {
	case err == nil:
		return !w.Settled && !w.Next.After(e.Clock.Now()), nil
	case overtaken:
		return false, nil
	}
	if err = e.putBack(ctx, w, err); errors.Is(err, ErrFenced) {
		return false, nil // its failure was that somebody else had cleared its work away
	}
	return false, err
}

// step does what comes after the state that the export is in.
func (e *Engine) step(ctx context.Context, w *Work) error {
	switch w.State {
	case Pending:
		return e.begin(ctx, w)
	case Locating:
		return e.locate(ctx, w)
	case Collecting, Packaging:
		return e.collect(ctx, w)
	case Partial:
		return e.tryAgain(ctx, w)
	case Ready, Failed, Cancelled, Expired:
	}
	return fmt.Errorf("export: nothing follows %s by itself", w.State)
}

// hold keeps the export for as long as the work lasts, and ends the work's context when somebody else takes it.
func (e *Engine) hold(ctx context.Context, w *Work) (held context.Context, letGo func()) {
	held, cancel := context.WithCancelCause(ctx)
	stopped := make(chan struct{})
	ref, fence := w.Ref, w.Fence
	go func() {
		defer close(stopped)
		beat := time.NewTicker(e.Beat)
		defer beat.Stop()
		for {
			select {
			case <-held.Done():
				return
			case <-beat.C:
				// Any other error passes, or the lease does.
				if err := e.Store.Extend(held, ref, fence, e.Clock.Now().Add(e.Lease)); errors.Is(err, ErrFenced) {
					cancel(ErrFenced)
				}
			}
		}
	}()
	return held, func() { cancel(nil); <-stopped }
}

// saveError is an error of the store's Save: what is in the row is not known, so nothing else may be written on top.
type saveError struct{ error }

func (e saveError) Unwrap() error { return e.error }

func (e *Engine) save(ctx context.Context, w *Work, event *Event, release bool) error {
	w.Updated = e.Clock.Now()
	if err := e.Store.Save(ctx, w, event, release); err != nil {
		return saveError{err}
	}
	return nil
}

// fatal is an error that no further attempt can heal.
type fatal struct {
	reason string
	error
}

func (e fatal) Unwrap() error { return e.error }

// putBack leaves the export for a later attempt, or ends it where its time is over or none can succeed.
func (e *Engine) putBack(ctx context.Context, w *Work, cause error) error {
	var unsaved saveError
	if errors.As(cause, &unsaved) {
		return cause // the lease ends by itself
	}
	now := e.Clock.Now()
	stopping := ctx.Err() != nil
	// The process may be stopping; the row is put right all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	var final fatal
	switch {
	case errors.As(cause, &final):
		return errors.Join(cause, e.giveUp(ctx, w, final.reason))
	case stopping:
		w.Next = now
	case now.Before(w.RetryUntil):
		w.wait(now, e.Retry)
	case w.Package != nil:
		return errors.Join(cause, e.settle(ctx, w))
	default:
		return errors.Join(cause, e.giveUp(ctx, w, "OUT_OF_TIME"))
	}
	return errors.Join(cause, e.save(ctx, w, nil, true))
}

// wait puts the next attempt off, but not beyond the time until which there are any.
func (w *Work) wait(now time.Time, pause func(int) time.Duration) {
	w.Failures++
	w.Next = now.Add(pause(w.Failures))
	if w.Next.After(w.RetryUntil) {
		w.Next = w.RetryUntil
	}
}

// giveUp ends an export that will have no package.
func (e *Engine) giveUp(ctx context.Context, w *Work, reason string) error {
	files := w.Files()
	if err := w.move(Failed); err != nil {
		return err
	}
	w.end()
	w.Package, w.Expires = nil, time.Time{}
	if err := e.save(ctx, w, w.event("export.fail", reason), true); err != nil {
		return err
	}
	e.discard(ctx, files)
	return nil
}

// settle ends an export whose mandatory systems did not all answer in time. Its package stays, and names them.
func (e *Engine) settle(ctx context.Context, w *Work) error {
	draft := w.Draft
	if w.State != Partial {
		if err := w.move(Partial); err != nil {
			return err
		}
	}
	w.end()
	if err := e.save(ctx, w, w.event("export.fail", "INCOMPLETE"), true); err != nil {
		return err
	}
	e.discard(ctx, []FileID{draft})
	return nil
}

// Expire deletes a package whose time has come, and every key with it. One whose time has not come stays.
func (e *Engine) Expire(ctx context.Context, ref Ref) error {
	w, err := e.Store.TakeExpired(ctx, ref, e.Clock.Now())
	if errors.Is(err, ErrIdle) || errors.Is(err, ErrMissing) {
		return nil
	}
	if err != nil {
		return err
	}
	files := w.Files()
	event := w.event("export.expire", "")
	if err := w.expire(e.Clock.Now()); err != nil {
		return err
	}
	if err := e.save(ctx, w, event, true); err != nil {
		if errors.Is(err, ErrFenced) {
			return nil // somebody else does it
		}
		return err
	}
	e.discard(ctx, files)
	return nil
}

// Files are those that an export may have on disk.
func (w *Work) Files() []FileID {
	files := []FileID{w.Draft}
	if w.Package != nil {
		files = append(files, w.Package.File)
	}
	return files
}

func (e *Engine) remove(ctx context.Context, files []FileID) error {
	var errs []error
	for _, f := range files {
		if f != "" {
			errs = append(errs, e.Packages.Remove(ctx, f))
		}
	}
	return errors.Join(errs...)
}

// discard deletes files that no row refers to any more. Their keys are gone with the row, and one that cannot be deleted now
// is found by whoever tidies the folder: it must not undo what was committed.
func (e *Engine) discard(ctx context.Context, files []FileID) {
	_ = e.remove(context.WithoutCancel(ctx), files)
}

// event tells what became of w, in counts.
func (w *Work) event(action, reason string) *Event {
	records, bytes := w.Totals()
	detail := map[string]string{
		"state": string(w.State), "records": fmt.Sprint(records), "bytes": fmt.Sprint(bytes),
		"systems": fmt.Sprint(len(w.Systems)), "missing": fmt.Sprint(len(w.Missing())), "omissions": fmt.Sprint(len(w.Omissions)),
	}
	if w.Package != nil {
		detail["sha256"] = w.Package.SHA256
	}
	return &Event{Action: action, Failed: reason != "", Reason: reason, Detail: detail}
}
