package keys

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

const (
	// RequiredApprovals is how many different operators have to approve that all of a controller's keys are destroyed.
	RequiredApprovals = 2
	// ApprovalTime is how long an approval counts.
	ApprovalTime = 7 * 24 * time.Hour
)

// Termination is how the end of a controller's part of the log stands.
type Termination struct {
	// Approvals that count, and when the first of them lapses.
	Approvals int
	Expires   time.Time
	// Destroyed tells that the keys are gone.
	Destroyed bool
}

// Terminate notes that an operator approves the end of a controller's part of the log. Where enough have, it destroys the controller's
// key. What is destroyed already is so after the approvals of as many again.
func (d *Destroyer) Terminate(ctx context.Context, c audit.ControllerID, operator string, cause Cause) (Termination, error) {
	now := d.keys.Clock.Now()
	since, err := d.keys.Store.Approve(ctx, c, operator, now, now.Add(-ApprovalTime))
	if err != nil {
		return Termination{}, err
	}
	out := Termination{Approvals: len(since), Expires: since[0].Add(ApprovalTime)}
	if out.Approvals < RequiredApprovals {
		return out, nil
	}
	_, err = d.Controller(ctx, c, cause)
	out.Destroyed = err == nil
	return out, err
}

// Rotate replaces the key over a controller's keys by a new one, and returns how many it is over: none, where there is no such key.
func (d *Destroyer) Rotate(ctx context.Context, c audit.ControllerID) (rewrapped int, err error) {
	for range 3 {
		if rewrapped, err = d.rotate(ctx, c); !errors.Is(err, ErrGone) {
			break
		}
	}
	if err != nil {
		return 0, err
	}
	return rewrapped, d.keys.Store.Scrub(ctx)
}

func (d *Destroyer) rotate(ctx context.Context, c audit.ControllerID) (int, error) {
	k := d.keys
	k.rotation.Lock()
	defer k.rotation.Unlock()
	all, err := k.Store.Controllers(ctx)
	if err != nil || !slices.Contains(all, c) { // nothing is made where nothing was
		return 0, err
	}
	old, err := k.controllerKey(ctx, c)
	if err != nil {
		return 0, err
	}
	envelope, fresh, err := k.Keyring.NewEnvelope(envelopeOf(c))
	if err != nil {
		return 0, err
	}
	n, err := k.Store.Rewrap(ctx, c, old.wrapped, fresh, func(row Row) ([]byte, error) {
		plain, err := old.Open(row.Wrapped)
		if err != nil {
			return nil, err
		}
		defer clear(plain)
		return envelope.Seal(plain)
	})
	k.memory.replaced(c) // also if it is not known what the store has done
	d.stale.Store(scrubs)
	return n, err
}
