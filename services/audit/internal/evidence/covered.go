package evidence

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/privacyops/privacyops/services/audit/internal/dossier"
)

// Covered finds the entries of a period, and a checkpoint that covers them and the one after them. Where the log has witnesses it waits
// for them for a while: ErrNotYet.
func (s Sources) Covered(ctx context.Context, e *Evidence, now time.Time) (Span, Head, error) {
	span, err := s.Entries.Span(ctx, e.Controller, e.Start, e.End)
	if err != nil {
		return span, Head{}, fmt.Errorf("evidence: find the entries: %w", err)
	}
	if span.After == 0 {
		return span, Head{}, ErrNotYet
	}
	head, err := s.Log.Head(ctx, span.AfterIndex)
	if err != nil {
		return span, head, fmt.Errorf("evidence: read the checkpoint: %w", err)
	}
	if head.Size <= span.AfterIndex {
		return span, head, ErrNotYet
	}
	if err := head.cosign(s.Log); err != nil {
		return span, head, err
	}
	if head.cosigned != nil && !head.cosigned.Enough && now.Sub(e.Created) < WitnessTime {
		return span, head, ErrNotYet
	}
	return span, head, nil
}

// cosign finds out which witnesses have signed the checkpoint, and leaves no signatures of others in it.
func (h *Head) cosign(log Log) error {
	key, err := note.NewVerifier(log.Public())
	if err != nil {
		return fmt.Errorf("evidence: the log's key: %w", err)
	}
	var witnesses []dossier.Witness
	if text := log.Policy(); text != nil {
		if h.policy, err = dossier.ParsePolicy(text); err != nil {
			return fmt.Errorf("evidence: %w", err)
		}
		witnesses = h.policy.Witnesses
	}
	if h.Checkpoint, err = dossier.Reduce(h.Checkpoint, key, witnesses); err != nil {
		return fmt.Errorf("%w: %w", ErrContradiction, err)
	}
	_, by, _, err := dossier.OpenCheckpoint(h.Checkpoint, key, witnesses)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrContradiction, err)
	}
	if h.policy != nil {
		h.cosigned = h.policy.Cosigned(by)
	}
	return nil
}
