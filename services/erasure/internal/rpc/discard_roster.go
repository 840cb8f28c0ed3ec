package rpc

import (
	"context"

	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
	"github.com/privacyops/privacyops/services/erasure/internal/rosters"
)

// DiscardRoster drops a held extract.
func (s *RosterServer) DiscardRoster(ctx context.Context, req *erasurev1.DiscardRosterRequest) (*erasurev1.Roster, error) {
	return s.settle(ctx, req.GetName(), rosters.Discarded, nil)
}
