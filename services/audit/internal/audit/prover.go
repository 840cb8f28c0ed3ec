package audit

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// ErrNotYet reports that an entry is accepted but was not covered by a checkpoint within the time given.
var ErrNotYet = errors.New("audit: the entry is not covered by a checkpoint yet")

// Proof shows that an entry is in the log.
type Proof struct {
	// Leaf is the entry's bytes in the log; its hash, SHA-256 of a zero byte and the leaf, is where the proof starts.
	Leaf []byte
	Inclusion
}

// Prover gives proofs.
type Prover struct {
	index Finder
	log   Published
	wait  time.Duration
	poll  time.Duration
}

// NewProver returns a prover that waits for a checkpoint at most for `wait`, looking for it every `poll`.
func NewProver(index Finder, log Published, wait, poll time.Duration) *Prover {
	return &Prover{index: index, log: log, wait: wait, poll: poll}
}

// Proof proves that a controller's entry is in the log. If the entry is new, it waits until a checkpoint covers it; it
// fails with ErrNotYet when that takes too long, with ErrNotFound when the controller has no such entry, and with ErrDropped when it has
// none and the id is of a time from which everything was dropped. Whether there was such an entry nobody knows any more.
func (p *Prover) Proof(ctx context.Context, controller ControllerID, id EventID) (Proof, error) {
	deadline := time.NewTimer(p.wait)
	defer deadline.Stop()
	for {
		proof, err := p.try(ctx, controller, id)
		if !errors.Is(err, ErrNotYet) {
			return proof, err
		}
		tick := time.NewTimer(p.poll)
		select {
		case <-tick.C:
		case <-deadline.C:
			tick.Stop()
			return Proof{}, err
		case <-ctx.Done():
			tick.Stop()
			return Proof{}, ctx.Err()
		}
	}
}

func (p *Prover) try(ctx context.Context, controller ControllerID, id EventID) (Proof, error) {
	r, err := p.index.Get(ctx, controller, id)
	if errors.Is(err, ErrNotFound) {
		return Proof{}, p.missing(ctx, id)
	}
	if err != nil {
		return Proof{}, err
	}
	inclusion, err := p.log.Inclusion(ctx, r.Index)
	if errors.Is(err, ErrNotFound) {
		return Proof{}, ErrNotYet
	}
	if err != nil {
		return Proof{}, fmt.Errorf("audit: proving index %d: %w", r.Index, err)
	}
	return Proof{Leaf: r.Leaf, Inclusion: inclusion}, nil
}

// missing is the error for an id of which there is no entry. It follows from the id alone, and not from who asks.
func (p *Prover) missing(ctx context.Context, id EventID) error {
	log, divided := p.log.(Sharded)
	made, ok := madeAt(id)
	if !divided || !ok {
		return ErrNotFound
	}
	shards, err := log.Shards(ctx)
	if err != nil {
		return err
	}
	for _, s := range shards {
		if s.Tombstone != nil && !made.After(s.Tombstone.End) {
			return ErrDropped
		}
	}
	return ErrNotFound
}

// madeAt is when an id was made, where it says so (UUIDv7, RFC 9562 section 5.7).
func madeAt(id EventID) (time.Time, bool) {
	if len(id) != 36 || id[14] != '7' {
		return time.Time{}, false
	}
	millis, err := strconv.ParseInt(string(id[:8]+id[9:13]), 16, 64)
	return time.UnixMilli(millis), err == nil
}
