package legalbasis

import (
	"context"
	"crypto/rand"
	"errors"
	"math/big"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
)

// How long to wait before a watch is begun again.
const (
	firstWait = 50 * time.Millisecond
	longWait  = 5 * time.Second
)

var (
	errSilent = errors.New("legalbasis: the watch was silent for too long")
	errLate   = errors.New("legalbasis: catching up took so long that the watch is begun again")
)

// Run follows the controller's changes until ctx ends, and gives nil. A watch that breaks is begun again where it was; one that cannot go
// on there empties the memory and begins at the present.
func (c *Client) Run(ctx context.Context) error {
	wait := firstWait
	for ctx.Err() == nil {
		caughtUp, broken := c.follow(ctx)
		c.lose(broken)
		if c.cfg.Broken != nil && ctx.Err() == nil {
			c.cfg.Broken(broken)
		}
		if wait = min(2*wait, longWait); caughtUp {
			wait = firstWait
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait + upTo(wait/2)):
		}
	}
	return nil
}

// follow is one watch, to its end. caughtUp: it was up to date once.
func (c *Client) follow(ctx context.Context) (caughtUp bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	patience := max(c.cfg.Bound, DefaultBound)
	silence := time.AfterFunc(patience, func() { cancel(errSilent) })
	defer silence.Stop()
	p := proof{began: c.cfg.Clock.Now()}
	stream, err := c.cfg.Service.WatchLegalBasis(ctx, &consentv1.WatchLegalBasisRequest{Parent: c.parent, ResumeToken: c.place()})
	for err == nil {
		var change *consentv1.LegalBasisChange
		if change, err = stream.Recv(); err == nil {
			silence.Reset(patience)
			err = c.take(change, &p)
		}
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return !p.first.IsZero(), err
}

// place is where the watch goes on.
func (c *Client) place() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.token
}

// take takes a message of the watch in.
func (c *Client) take(m *consentv1.LegalBasisChange, p *proof) error {
	now := c.cfg.Clock.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.token = m.GetResumeToken()
	if m.GetKind() != consentv1.LegalBasisChange_KIND_UNSPECIFIED {
		c.kept.drop(m)
		for f := range c.flights {
			if f.lost = f.lost || len(f.missed) == maxMissed; !f.lost {
				f.missed = append(f.missed, m)
			}
		}
		return nil
	}
	if m.GetChangeTime() == nil || c.token == "" {
		return nil // it does not say when it looked: that proves nothing
	}
	if p.first.IsZero() && now.Sub(p.began) > c.cfg.Bound/4 {
		return errLate // all later proofs would be as late as this one
	}
	c.shown, c.heard = p.of(m.GetChangeTime().AsTime(), now), now
	return nil
}

// lose stops answering from memory. Where the watch cannot go on from its place, what is kept is forgotten.
func (c *Client) lose(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shown = time.Time{}
	switch status.Code(err) {
	case codes.FailedPrecondition, codes.InvalidArgument, codes.OutOfRange:
		c.token, c.kept = "", newAnswers(c.cfg.MaxEntries)
		for f := range c.flights {
			f.lost = true
		}
	default: // it goes on where it was
	}
}

// proof tells what the service's messages prove, without knowing how far its clock is from ours. A message says when the service looked, by
// its own clock. The first of them looked after we had asked, so it proves that moment; a later one proves as much more as has passed
// between the two by the service's clock. However long a message was on its way, it proves no more than that.
type proof struct {
	began time.Time // when we asked, by our clock
	first time.Time // when the service looked for the first time, by its clock
}

// of gives the moment for which a message proves that nothing is missing, by our wall clock.
func (p *proof) of(looked, now time.Time) time.Time {
	if p.first.IsZero() {
		p.first = looked
	}
	at, now := p.began.Round(0).Add(looked.Sub(p.first)), now.Round(0)
	if at.After(now) { // the clocks do not go alike: it cannot have looked later than now
		return now
	}
	return at
}

// upTo is a random part of a time, so that clients that lost their watches together do not come back together.
func upTo(d time.Duration) time.Duration {
	n, err := rand.Int(rand.Reader, big.NewInt(int64(d)+1))
	if err != nil {
		return d
	}
	return time.Duration(n.Int64())
}
