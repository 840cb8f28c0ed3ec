package rpc

import (
	"context"
	"fmt"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/idempotency"
	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/libs/sqldb"
	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
	"github.com/privacyops/privacyops/services/erasure/internal/roster"
	"github.com/privacyops/privacyops/services/erasure/internal/rosters"
)

// RosterStore keeps extracts of rosters and the people in them.
type RosterStore interface {
	// InsertImport stores an extract and what decide makes of it, in the caller's transaction.
	InsertImport(ctx context.Context, tx sqldb.Tx, i *rosters.Import, extract roster.Extract, key rosters.Key, decide rosters.Decider) error
	// GetImport reads one; sqldb.ErrNoRows where there is none.
	GetImport(ctx context.Context, controller, id string) (*rosters.Import, error)
	// SettleImport ends the waiting of a held extract; the same again changes nothing.
	SettleImport(ctx context.Context, s rosters.Settlement) (*rosters.Import, error)
}

// RosterServer answers the RPCs of rosters.
type RosterServer struct {
	erasurev1.UnsafeRostersServer
	Store   RosterStore
	Replies *idempotency.Replies
	Keyring *keyring.Keyring
	Clock   clock.Clock
	NewID   func() string
	Limits  roster.Limits
}

var _ erasurev1.RostersServer = (*RosterServer)(nil)

// key makes pseudonyms of user names: those that the same person has everywhere in the suite.
func (s *RosterServer) key(controller string) rosters.Key {
	return func(u roster.UserID) roster.Pseudonym {
		return roster.Pseudonym(s.Keyring.Subject(controller, "UNILOGIN", string(u)))
	}
}

func rosterMessage(i *rosters.Import) *erasurev1.Roster {
	return &erasurev1.Roster{Name: i.Name(), State: erasurev1.Roster_State(erasurev1.Roster_State_value[i.State]),
		Institution: i.Institution, Present: int64(i.Present), Arrived: int64(i.Arrived), Left: int64(i.Left),
		Returned: int64(i.Returned), HeldReason: i.HeldReason, Warnings: i.Warnings, Sha256: i.SHA256, CreateTime: timestamp(i.CreateTime)}
}

func warnings(list []roster.Warning) (out []string) {
	for _, w := range list {
		out = append(out, fmt.Sprintf("%s: %d", w.Code, w.Count))
	}
	return out
}
