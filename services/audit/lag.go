package audit

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

// acceptor is what takes reports in; see audit.Recorder.
type acceptor interface {
	Accept(ctx context.Context, events []audit.Event) ([]audit.Receipt, error)
}

// intake takes reports in and knows since when any wait: a log whose disk is full refuses them and one whose disk hangs does not
// answer, and in both cases the log itself knows nothing of what waits. It is safe for concurrent use.
type intake struct {
	to    acceptor
	clock clock.Clock

	mu sync.Mutex
	// open are the calls that are not answered yet.
	open map[uint64]taking
	next uint64
	// failed is when the first of the calls began that have failed since the last success; zero if none has.
	failed time.Time
}

// taking is a call that is not answered yet. Its caller may have gone away; what it brought waits all the same.
type taking struct {
	began time.Time
	gone  unanswered
}

// unanswered is the error of a call whose caller went away; see audit.UnansweredError.
type unanswered interface {
	error
	Answered() (ok bool, err error)
}

func newIntake(to acceptor, c clock.Clock) *intake {
	return &intake{to: to, clock: c, open: map[uint64]taking{}}
}

// Accept takes a report in. One that breaks a rule is answered for good; any other failure leaves events that their service will send
// again.
func (i *intake) Accept(ctx context.Context, events []audit.Event) ([]audit.Receipt, error) {
	if len(events) == 0 {
		return i.to.Accept(ctx, events)
	}
	i.mu.Lock()
	call, began := i.next, i.clock.Now()
	i.next++
	i.open[call] = taking{began: began}
	i.mu.Unlock()

	receipts, err := i.to.Accept(ctx, events)

	i.mu.Lock()
	defer i.mu.Unlock()
	if gone := unanswered(nil); errors.As(err, &gone) {
		i.open[call] = taking{began, gone}
	} else {
		i.end(call, err)
	}
	return receipts, err
}

// end notes how a call has ended.
func (i *intake) end(call uint64, err error) {
	began := i.open[call].began
	delete(i.open, call)
	var invalid *audit.InvalidEventError
	switch {
	case err == nil:
		i.failed = time.Time{}
	case errors.As(err, &invalid):
	case i.failed.IsZero() || began.Before(i.failed):
		i.failed = began
	}
}

// waiting is how long the oldest report has waited that could not be taken in; 0 where none waits.
func (i *intake) waiting() time.Duration {
	i.mu.Lock()
	defer i.mu.Unlock()
	for call, c := range i.open {
		if c.gone == nil {
			continue
		}
		if answered, err := c.gone.Answered(); answered {
			i.end(call, err)
		}
	}
	now := i.clock.Now()
	oldest := now
	if !i.failed.IsZero() {
		oldest = i.failed
	}
	for _, c := range i.open {
		if c.began.Before(oldest) {
			oldest = c.began
		}
	}
	return now.Sub(oldest)
}

// publishedSize is the place up to which checkpoints reach.
func (s *Service) publishedSize(ctx context.Context) (uint64, error) {
	size, _, err := s.log.Covered(ctx)
	return size, err
}

// publicationLag is how long the oldest event that has come in has waited for what makes it public: the log, the index, and a
// checkpoint.
func (s *Service) publicationLag(ctx context.Context) (time.Duration, error) {
	waited := s.intake.waiting()
	now := s.cfg.Clock.Now()
	if count, oldest := s.follower.Backlog(); count > 0 {
		waited = max(waited, now.Sub(oldest))
	}
	size, err := s.publishedSize(ctx)
	if err != nil {
		return waited, err
	}
	rows, err := s.store.Window(ctx, size, 1)
	if err != nil {
		return waited, err
	}
	if len(rows) > 0 {
		waited = max(waited, now.Sub(rows[0].Keys.ReceivedTime))
	}
	return waited, nil
}
