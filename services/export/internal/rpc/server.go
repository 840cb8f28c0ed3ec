// Package rpc serves privacyops.export.v1: one file per method, each in the rhythm name → rules and store → message.
package rpc

import (
	"context"
	"errors"
	"time"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/idempotency"
	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/export/internal/export"

	exportv1 "github.com/privacyops/privacyops/proto/gen/privacyops/export/v1"
)

// Store keeps exports, as far as the handlers need it. Its errors are export.ErrMissing and export.ErrFinished.
type Store interface {
	// Insert adds a new export, and the job that carries it on, in the caller's transaction.
	Insert(ctx context.Context, tx sqldb.Tx, w *export.Work) error
	// Get reads one export of a controller.
	Get(ctx context.Context, ref export.Ref) (*export.Work, error)
	// List reads a controller's exports, newest first, at most limit; with before those older than it.
	List(ctx context.Context, c export.ControllerID, before export.ID, limit int) ([]*export.Work, error)
	// Cancel calls an export off in the caller's transaction and gives the files that are left without it.
	Cancel(ctx context.Context, tx sqldb.Tx, ref export.Ref, now time.Time) (*export.Work, []export.FileID, error)
	// Recorded gives an export as it stands, for the digests of its events; nil where there is none.
	Recorded(ctx context.Context, tx sqldb.Tx, ref export.Ref) (any, error)
}

// Package is a package that is being read.
type Package interface {
	// ReadAt reads the bytes as they are fetched.
	ReadAt(p []byte, off int64) (int, error)
	// Size is how many there are.
	Size() int64
	// Close ends reading.
	Close() error
}

// Config is what the handlers work with. Every field is required.
type Config struct {
	DB       *sqldb.DB
	Store    Store
	Register export.Register
	Replies  *idempotency.Replies
	Outbox   *outbox.Outbox
	Keyring  *keyring.Keyring
	Clock    clock.Clock
	// NewID gives ids of exports: UUIDs that sort by time.
	NewID func() string
	// Changes tells when an export changes in this process.
	Changes *export.Changes
	// ValidRecipient reports whether a package can be encrypted to a key.
	ValidRecipient func(key string) bool
	// Open reads a package, Remove deletes its file.
	Open   func(file export.FileID, secret string) (Package, error)
	Remove func(ctx context.Context, file export.FileID) error
}

// Server answers the calls of privacyops.export.v1.Exports.
type Server struct {
	exportv1.UnsafeExportsServer
	Config
	pageKey []byte
}

var _ exportv1.ExportsServer = (*Server)(nil)

// New makes a server.
func New(cfg Config) *Server {
	return &Server{Config: cfg, pageKey: cfg.Keyring.Derive("page/export")}
}

// answer makes a fault of what the store says.
func answer(err error) error {
	switch {
	case errors.Is(err, export.ErrMissing), errors.Is(err, export.ErrNoController):
		return fault.Missing()
	case errors.Is(err, export.ErrFinished):
		return fault.New(fault.Precondition, "EXPORT_FINISHED", "The export has ended; there is nothing left to call off.")
	}
	return err
}

// find reads the export that a request names, and says in the call's event whom it is about.
func (s *Server) find(ctx context.Context, name string) (*export.Work, error) {
	ref, err := export.ParseName(name)
	if err != nil {
		return nil, fault.Missing()
	}
	w, err := s.Store.Get(ctx, ref)
	if err != nil {
		return nil, answer(err)
	}
	outbox.About(ctx, w.Name(), w.Refs...)
	return w, nil
}
