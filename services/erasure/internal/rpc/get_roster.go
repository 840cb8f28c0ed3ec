package rpc

import (
	"context"

	"github.com/privacyops/privacyops/libs/outbox"
	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
)

// GetRoster reads what came of an extract.
func (s *RosterServer) GetRoster(ctx context.Context, req *erasurev1.GetRosterRequest) (*erasurev1.Roster, error) {
	outbox.About(ctx, req.GetName())
	c, id := parseName(req.GetName())
	i, err := s.Store.GetImport(ctx, c, id)
	if err != nil {
		return nil, found(err)
	}
	return rosterMessage(i), nil
}
