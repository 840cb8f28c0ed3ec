// Package rpc answers the erasure service's RPCs: it turns requests into domain calls and results into messages. One file holds
// one RPC. Callers have been authenticated, authorised and their requests validated when a handler runs.
package rpc

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/idempotency"
	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
	typev1 "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
	"github.com/privacyops/privacyops/services/erasure/internal/erasure"
)

// Erasures keeps what the RPCs of erasures read and change.
type Erasures interface {
	// Insert stores a new erasure with its identifiers and its first job, in the caller's transaction.
	Insert(ctx context.Context, tx sqldb.Tx, e *erasure.Erasure, ids []erasure.Identifier) error
	// Active finds an erasure of the same person on the same ground that has not ended; nil where there is none.
	Active(ctx context.Context, tx sqldb.Tx, c erasure.ControllerID, subjectRef string, g erasure.Ground) (*erasure.Erasure, error)
	// Get reads one; sqldb.ErrNoRows where there is none.
	Get(ctx context.Context, c erasure.ControllerID, id erasure.ID) (*erasure.Erasure, error)
	// List reads a page, newest first, beginning below the id `before`.
	List(ctx context.Context, c erasure.ControllerID, before string, limit int) ([]*erasure.Erasure, error)
	// Change applies what a person decided, with its event, in one transaction.
	Change(ctx context.Context, c erasure.ControllerID, id erasure.ID, event outbox.Event, fn func(*erasure.Erasure) (bool, error)) (*erasure.Erasure, error)
	// Recorded gives an erasure as it stands, for the digests of its events; nil where there is none.
	Recorded(ctx context.Context, tx sqldb.Tx, c erasure.ControllerID, id erasure.ID) (any, error)
}

// Server answers the RPCs.
type Server struct {
	erasurev1.UnsafeErasuresServer
	Store        Erasures
	Registers    erasure.Registers
	Participants erasure.Participants
	Replies      *idempotency.Replies
	Outbox       *outbox.Outbox
	Keyring      *keyring.Keyring
	Clock        clock.Clock
	NewID        func() string
	// WatchEvery is how often a watched erasure is looked at.
	WatchEvery time.Duration
}

var _ erasurev1.ErasuresServer = (*Server)(nil)

// parseName takes `controllers/{c}/{collection}/{id}` apart. Its form has been validated.
func parseName(name string) (controller, id string) {
	parts := strings.Split(name, "/")
	if len(parts) != 4 {
		return "", ""
	}
	return parts[1], parts[3]
}

func parseParent(parent string) erasure.ControllerID {
	return erasure.ControllerID(strings.TrimPrefix(parent, "controllers/"))
}

// found makes the fault of an absent resource of a store's error.
func found(err error) error {
	if errors.Is(err, sqldb.ErrNoRows) {
		return fault.Missing()
	}
	return err
}

// identifiers gathers the identifiers of a request, each once, in the order given.
func identifiers(one *typev1.Subject, more []*typev1.Subject) (ids []erasure.Identifier) {
	seen := map[erasure.Identifier]bool{}
	if one != nil {
		more = append([]*typev1.Subject{one}, more...)
	}
	for _, s := range more {
		id := erasure.Identifier{Type: s.GetType().String(), Value: s.GetValue()}
		if !seen[id] {
			seen[id], ids = true, append(ids, id)
		}
	}
	return ids
}

func (s *Server) pseudonyms(c erasure.ControllerID, ids []erasure.Identifier) []string {
	refs := make([]string, 0, len(ids))
	for _, id := range ids {
		refs = append(refs, s.Keyring.Subject(string(c), id.Type, id.Value))
	}
	return refs
}
