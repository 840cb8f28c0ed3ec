package evidence

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/privacyops/privacyops/libs/logkey"
	"github.com/privacyops/privacyops/services/audit/internal/dossier"
)

// Cover is where the entries of a period lie, and the checkpoints that cover them and those at its two sides.
type Cover struct {
	Span
	shards   []Shard           // that the entries are in, one after the other
	policy   *dossier.Policy   // of the witnesses; nil: there are none
	cosigned *dossier.Cosigned // of the shard whose checkpoint they signed least; nil without witnesses
}

// from is the place behind which the entries begin, the last one before the period included.
func (s Span) from() Cursor {
	from := s.Before
	if from.Number > 0 {
		from.Number--
	}
	return from
}

// Covered finds the entries of a period, and checkpoints that cover them and the one after them. Where the log has witnesses it waits
// for them for a while, for each shard: ErrNotYet.
func (s Sources) Covered(ctx context.Context, e *Evidence, now time.Time) (c Cover, err error) {
	if c.Span, err = s.Entries.Span(ctx, e.Controller, e.Start, e.End); err != nil {
		return c, fmt.Errorf("evidence: find the entries: %w", err)
	}
	if c.After == 0 {
		return c, ErrNotYet
	}
	all, err := s.Log.Shards(ctx, c.AfterIndex)
	if err != nil {
		return c, fmt.Errorf("evidence: read the checkpoints: %w", err)
	}
	for _, shard := range all {
		if c.Before.Number == 0 && shard.Dropped[e.Controller] > 0 {
			return c, ErrDropped
		}
	}
	first, err := s.Entries.Following(ctx, e.Controller, c.from(), 1)
	if err != nil {
		return c, fmt.Errorf("evidence: find the entries: %w", err)
	}
	if len(first) == 0 {
		return c, fmt.Errorf("%w: an entry is missing", ErrContradiction)
	}
	c.shards = between(all, first[0].Index, c.AfterIndex)
	if c.shards[len(c.shards)-1].End() <= c.AfterIndex {
		return c, ErrNotYet
	}
	if err := c.cosign(s.Log); err != nil {
		return c, err
	}
	if c.cosigned != nil && !c.cosigned.Enough && now.Sub(e.Created) < WitnessTime {
		return c, ErrNotYet
	}
	return c, nil
}

// between are the shards from that of one place to that of another.
func between(shards []Shard, first, last uint64) []Shard {
	for len(shards) > 1 && shards[1].First <= first {
		shards = shards[1:]
	}
	for len(shards) > 1 && shards[len(shards)-1].First > last {
		shards = shards[:len(shards)-1]
	}
	return shards
}

// cosign finds out which witnesses have signed the checkpoints, and leaves no signatures of others in them.
func (c *Cover) cosign(log Log) (err error) {
	var witnesses []dossier.Witness
	if text := log.Policy(); text != nil {
		if c.policy, err = dossier.ParsePolicy(text); err != nil {
			return fmt.Errorf("evidence: %w", err)
		}
		witnesses = c.policy.Witnesses
	}
	signers := make([][]dossier.Cosignature, len(c.shards))
	for i := range c.shards {
		if signers[i], err = c.shards[i].cosign(log.Public(), witnesses); err != nil {
			return err
		}
	}
	if c.policy != nil {
		c.cosigned = c.policy.Least(signers)
	}
	return nil
}

// cosign says which witnesses have signed a shard's checkpoint, and leaves no signatures of others in it.
func (s *Shard) cosign(public string, witnesses []dossier.Witness) ([]dossier.Cosignature, error) {
	if s.Dropped != nil {
		return nil, ErrDropped
	}
	text, err := logkey.Shard(public, s.Year)
	if err != nil {
		return nil, fmt.Errorf("evidence: the log's key: %w", err)
	}
	key, err := note.NewVerifier(text)
	if err != nil {
		return nil, fmt.Errorf("evidence: the log's key: %w", err)
	}
	if s.Checkpoint, err = dossier.Reduce(s.Checkpoint, key, witnesses); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrContradiction, err)
	}
	_, by, _, err := dossier.OpenCheckpoint(s.Checkpoint, key, witnesses)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrContradiction, err)
	}
	return by, nil
}
