// Package rpc answers the consent service's calls: it reads names and messages, asks the domain and the store, and writes
// answers. Who may call, what is recorded of a call and whether a message is well formed was decided before a handler runs
// (package server).
package rpc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/idempotency"
	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
	"github.com/privacyops/privacyops/services/consent/internal/memory"
	"github.com/privacyops/privacyops/services/consent/internal/signing"
)

// Database runs transactions; *sqldb.DB does.
type Database interface {
	Read(ctx context.Context, fn func(ctx context.Context, q sqldb.Querier) error) error
	Write(ctx context.Context, fn func(ctx context.Context, tx sqldb.Tx) error) error
}

// Recorder makes events durable without a change beside them; *recorder.Recorder does.
type Recorder interface {
	Record(ctx context.Context, events ...outbox.Event) error
	RecordDecisions(ctx context.Context, answers ...outbox.Answer) error
}

// Memory knows what answers are made of; *memory.Memory does.
type Memory interface {
	Snapshot(ctx context.Context, controller consent.ControllerID, asked []memory.Asked, f memory.Freshness) ([]memory.Known, consent.Revision, error)
}

// Parts are what the handlers work with. Every field is required.
type Parts struct {
	DB       Database
	Store    consent.Store
	Outbox   *outbox.Outbox
	Recorder Recorder
	Memory   Memory
	// Announce tells others of a change that was committed. It must not take long: the call's answer waits for it.
	Announce func(ctx context.Context, c consent.Change)
	// Notices wake watches.
	Notices Notices
	// WatchTimes may be zero.
	WatchTimes WatchTimes
	Replies    *idempotency.Replies
	Keyring    *keyring.Keyring
	// Signer signs decisions and receipts; Issuer is the installation's name in them.
	Signer *signing.Signer
	Issuer string
	Clock  clock.Clock
	// NewID makes UUIDv7.
	NewID func() string
}

// handlers is what the servers of this package share.
type handlers struct {
	Parts
	tokens  consent.Tokens
	pageKey []byte
}

// The servers of the service. A method that is added to the contract and not here stops the build.
type (
	registerServer struct {
		pb.UnsafeRegisterServer
		*handlers
	}
	readerServer struct {
		pb.UnsafeRegisterReaderServer
		*handlers
	}
	basisServer struct {
		pb.UnsafeLegalBasisServer
		*handlers
	}
	consentsServer struct {
		pb.UnsafeConsentsServer
		*handlers
	}
	erasedServer struct {
		pb.UnsafeErasedServer
		*handlers
	}
	rightsServer struct {
		pb.UnsafeRightsServer
		*handlers
	}
	documentsServer struct {
		pb.UnsafeDocumentsServer
		*handlers
	}
)

var (
	_ pb.RegisterServer       = (*registerServer)(nil)
	_ pb.RegisterReaderServer = (*readerServer)(nil)
	_ pb.LegalBasisServer     = (*basisServer)(nil)
	_ pb.ConsentsServer       = (*consentsServer)(nil)
	_ pb.ErasedServer         = (*erasedServer)(nil)
	_ pb.RightsServer         = (*rightsServer)(nil)
	_ pb.DocumentsServer      = (*documentsServer)(nil)
)

// Register puts the service's gRPC services on a server.
func Register(r grpc.ServiceRegistrar, p Parts) error {
	if p.DB == nil || p.Store == nil || p.Outbox == nil || p.Recorder == nil || p.Memory == nil || p.Announce == nil || p.Notices == nil || p.Replies == nil || p.Keyring == nil || p.Signer == nil || p.Issuer == "" ||
		p.Clock == nil || p.NewID == nil {
		return errors.New("rpc: every part is required")
	}
	h := &handlers{Parts: p, tokens: consent.NewTokens(p.Keyring.Derive("consent/consistency")), pageKey: p.Keyring.Derive("consent/page")}
	pb.RegisterRegisterServer(r, &registerServer{handlers: h})
	pb.RegisterRegisterReaderServer(r, &readerServer{handlers: h})
	pb.RegisterLegalBasisServer(r, &basisServer{handlers: h})
	pb.RegisterConsentsServer(r, &consentsServer{handlers: h})
	pb.RegisterErasedServer(r, &erasedServer{handlers: h})
	pb.RegisterRightsServer(r, &rightsServer{handlers: h})
	pb.RegisterDocumentsServer(r, &documentsServer{handlers: h})
	return nil
}

// now is the time as exactly as it is stored, so that an answer and what is read later are the same.
func (h *handlers) now() time.Time { return h.Clock.Now().UTC().Truncate(time.Microsecond) }

// record writes the change of the running call, and its event. Once they are committed, and before the call is answered, the
// change is announced. What is said of one identifier changes the answers about all that are linked to it, so they are all named.
func (h *handlers) record(ctx context.Context, tx sqldb.Tx, c consent.Change, e outbox.Event) (err error) {
	c.Time = h.now()
	if c.Subjects, err = h.expanded(ctx, tx, c.Controller, c.Subjects); err != nil {
		return err
	}
	if c.Previous, err = h.Store.AddChange(ctx, tx, c); err != nil {
		return err
	}
	if _, err := h.Outbox.Record(ctx, tx, e); err != nil {
		return fmt.Errorf("rpc: record: %w", err)
	}
	tx.AfterCommit(func() { h.Announce(ctx, c) })
	return nil
}

// read runs fn on one snapshot and gives its result.
func read[T any](ctx context.Context, h *handlers, fn func(ctx context.Context, q sqldb.Querier) (T, error)) (out T, err error) {
	err = h.DB.Read(ctx, func(ctx context.Context, q sqldb.Querier) error {
		out, err = fn(ctx, q)
		return err
	})
	return out, err
}

// write runs fn in one transaction at the controller's next revision and gives its result.
func write[T any](ctx context.Context, h *handlers, controller consent.ControllerID, fn func(ctx context.Context, tx sqldb.Tx, rev consent.Revision) (T, error)) (out T, err error) {
	err = h.DB.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
		rev, err := h.Store.Advance(ctx, tx, controller)
		if err != nil {
			return err
		}
		out, err = fn(ctx, tx, rev)
		return err
	})
	return out, err
}
