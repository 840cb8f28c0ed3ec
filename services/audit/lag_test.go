package audit

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

// answer is an acceptor that answers what it is given.
type answer chan error

func (a answer) Accept(context.Context, []audit.Event) ([]audit.Receipt, error) { return nil, <-a }

// gone is the error of a call whose caller went away.
type gone struct {
	error
	answered bool
	with     error
}

func (g *gone) Unwrap() error           { return g.error }
func (g *gone) Answered() (bool, error) { return g.answered, g.with }

// TestIntakeWithoutCallers: what a caller has brought waits also when the caller went away, until it is answered.
func TestIntakeWithoutCallers(t *testing.T) {
	t.Parallel()
	for name, with := range map[string]error{"taken in": nil, "refused for good": &audit.InvalidEventError{Err: &audit.FieldError{}}, "failed": errors.New("no space left on device")} {
		c := clock.NewFake(time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC))
		a := answer(make(chan error, 1))
		i, away := newIntake(a, c), &gone{error: context.Canceled, with: with}
		a <- away
		if _, err := i.Accept(t.Context(), make([]audit.Event, 1)); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: the caller is told %v", name, err)
		}
		if c.Advance(time.Minute); i.waiting() != time.Minute {
			t.Errorf("%s: waits for %v, want a minute", name, i.waiting())
		}
		away.answered = true
		want := time.Duration(0)
		if name == "failed" {
			want = time.Minute // its service sends it again
		}
		if got := i.waiting(); got != want {
			t.Errorf("%s: waits for %v, want %v", name, got, want)
		}
	}
}

// TestIntake: what is refused or not answered waits, from the beginning of the first call until one succeeds.
func TestIntake(t *testing.T) {
	t.Parallel()
	c := clock.NewFake(time.Date(2026, 11, 22, 6, 0, 0, 0, time.UTC))
	full := errors.New("no space left on device")
	a := answer(make(chan error, 1))
	i := newIntake(a, c)
	call := func(err error) {
		a <- err
		_, _ = i.Accept(t.Context(), make([]audit.Event, 1))
	}
	for _, s := range []struct {
		name string
		err  error
		want time.Duration
	}{
		{"taken in", nil, 0},
		{"refused for good", &audit.InvalidEventError{Err: &audit.FieldError{}}, 0},
		{"the disk is full", full, 0},
		{"still", full, 10 * time.Second},
		{"refused for good in between", &audit.InvalidEventError{Err: &audit.FieldError{}}, 20 * time.Second},
		{"another failure", context.DeadlineExceeded, 30 * time.Second},
		{"taken in again", nil, 0},
		{"nothing more", nil, 0},
	} {
		if call(s.err); i.waiting() != s.want {
			t.Errorf("%s: waits for %v, want %v", s.name, i.waiting(), s.want)
		}
		c.Advance(10 * time.Second)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = i.Accept(t.Context(), make([]audit.Event, 1))
	}()
	for began := time.Now(); ; time.Sleep(time.Millisecond) {
		i.mu.Lock()
		n := len(i.open)
		i.mu.Unlock()
		if n == 1 {
			break
		}
		if time.Since(began) > 5*time.Second {
			t.Fatal("a call does not count")
		}
	}
	if c.Advance(time.Minute); i.waiting() != time.Minute {
		t.Errorf("a call that hangs: waits for %v", i.waiting())
	}
	a <- nil
	if <-ended; i.waiting() != 0 {
		t.Errorf("once it is answered: waits for %v", i.waiting())
	}
}
