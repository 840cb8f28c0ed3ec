package rpc

import (
	"context"

	"github.com/privacyops/privacyops/libs/outbox"
	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
	"github.com/privacyops/privacyops/services/erasure/internal/roster"
	"github.com/privacyops/privacyops/services/erasure/internal/rosters"
)

// ConfirmRoster applies a held extract, compared with what is known now.
func (s *RosterServer) ConfirmRoster(ctx context.Context, req *erasurev1.ConfirmRosterRequest) (*erasurev1.Roster, error) {
	c, _ := parseName(req.GetName())
	return s.settle(ctx, req.GetName(), rosters.Applied, func(previous roster.State, extract roster.Extract) roster.Outcome {
		return roster.Diff(previous, extract, roster.Options{Now: s.Clock.Now(), Key: s.key(c), Confirmed: true})
	})
}

func (s *RosterServer) settle(ctx context.Context, name, state string, decide func(roster.State, roster.Extract) roster.Outcome) (*erasurev1.Roster, error) {
	outbox.About(ctx, name)
	c, id := parseName(name)
	i, err := s.Store.SettleImport(ctx, rosters.Settlement{Controller: c, ID: id, State: state, Key: s.key(c), Decide: decide})
	if err != nil {
		return nil, found(err)
	}
	return rosterMessage(i), nil
}
