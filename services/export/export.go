package export

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/idempotency"
	"github.com/privacyops/privacyops/libs/jobs"
	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/libs/telemetry"
	exportv1 "github.com/privacyops/privacyops/proto/gen/privacyops/export/v1"
	participantv1 "github.com/privacyops/privacyops/proto/gen/privacyops/participant/v1"
	domain "github.com/privacyops/privacyops/services/export/internal/export"
	"github.com/privacyops/privacyops/services/export/internal/packaging"
	"github.com/privacyops/privacyops/services/export/internal/participants"
	"github.com/privacyops/privacyops/services/export/internal/register"
	"github.com/privacyops/privacyops/services/export/internal/rpc"
	"github.com/privacyops/privacyops/services/export/internal/store"
)

// Name is the service's name, as in its certificate and in audit events.
const Name = "export"

const (
	defaultSweep = 10 * time.Second
	// jobTimeout bounds one attempt. It is long because a large export is one piece of work; that a worker died is noticed by
	// its lease, not by this.
	jobTimeout = 3 * time.Hour
)

// Config is what the service is made of. Every field up to SigningKey is required.
type Config struct {
	// Database is a sqldb URL, for example "sqlite:/var/lib/privacyops/export.db".
	Database string
	// Keyring makes pseudonyms, the key of page tokens, and seals identifiers and the secrets of packages.
	Keyring *keyring.Keyring
	// Clock is the time by which answers are due and packages expire.
	Clock clock.Clock
	// NewID makes UUIDv7.
	NewID func() string
	// Telemetry is where the service emits.
	Telemetry *telemetry.Telemetry
	// Audit is the way to auditd.
	Audit grpc.ClientConnInterface
	// Register is the way to consentd, whose RegisterReader gives a controller's systems and activities.
	Register grpc.ClientConnInterface
	// Participants finds what speaks for a system by the participant's name in the register. An error says that none of that
	// name is configured.
	Participants func(name string) (participantv1.ParticipantClient, error)
	// Blobs is the folder of packages; they are in its folder `exports`, encrypted. All replicas share it.
	Blobs string
	// SigningKey signs manifests: a note signer key, "PRIVATE+KEY+name+hash+key" (golang.org/x/mod/sumdb/note).
	SigningKey string
	// Exclusive says that no other replica works on this database: work that a crash left is taken up at once.
	Exclusive bool
	// Sweep is how often to look for exports that are due; default 10 s. It is also the least pause before a system that was
	// missing is asked again.
	Sweep time.Duration
	// Timeouts bound the calls to participants; the zero value means sensible defaults.
	Timeouts Timeouts
	// Workers is how many exports are worked on at a time; default 4.
	Workers int
}

// Timeouts bound the calls to participants.
type Timeouts = participants.Timeouts

func (c *Config) check() error {
	if c.Database == "" || c.Keyring == nil || c.Clock == nil || c.NewID == nil || c.Telemetry == nil || c.Audit == nil ||
		c.Register == nil || c.Participants == nil || c.Blobs == "" || c.SigningKey == "" {
		return errors.New("export: database, keyring, clock, ids, telemetry, audit, register, participants, " +
			"a folder for packages and a signing key are all required")
	}
	if c.Sweep <= 0 {
		c.Sweep = defaultSweep
	}
	return nil
}

// Service is the running service.
type Service struct {
	cfg     Config
	db      *sqldb.DB
	outbox  *outbox.Outbox
	replies *idempotency.Replies
	store   *store.Store
	folder  *packaging.Folder
	engine  *domain.Engine
	rpc     *rpc.Server
	changes domain.Changes
}

// New opens the database and the folder of packages, brings the schema up to date, and makes the service on them.
func New(ctx context.Context, cfg Config) (*Service, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	folder, err := packaging.Open(cfg.Blobs, cfg.SigningKey)
	if err != nil {
		return nil, fmt.Errorf("export: %w", err)
	}
	db, err := sqldb.Open(ctx, sqldb.Config{URL: cfg.Database, Logger: cfg.Telemetry.Log})
	if err != nil {
		return nil, fmt.Errorf("export: open the database: %w", err)
	}
	s := &Service{cfg: cfg, db: db, folder: folder}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

func (s *Service) prepare(ctx context.Context) (err error) {
	if err := migrate(ctx, s.db); err != nil {
		return err
	}
	s.outbox, err = outbox.New(ctx, outbox.Config{Service: Name, DB: s.db, Clock: s.cfg.Clock, Keyring: s.cfg.Keyring, NewID: s.cfg.NewID})
	if err != nil {
		return err
	}
	s.replies, err = idempotency.New(ctx, s.db, s.cfg.Keyring, s.cfg.Clock)
	if err != nil {
		return err
	}
	s.store = store.New(s.db, s.outbox, s.changes.Tell)
	reg := register.New(s.cfg.Register)
	s.engine, err = domain.NewEngine(domain.Config{
		Register: reg, Participants: participants.New(s.cfg.Participants, s.cfg.Timeouts), Store: s.store, Packages: s.folder,
		Keyring: s.cfg.Keyring, Clock: s.cfg.Clock, NewID: s.cfg.NewID,
	})
	if err != nil {
		return err
	}
	s.rpc = rpc.New(rpc.Config{
		DB: s.db, Store: s.store, Register: reg, Replies: s.replies, Outbox: s.outbox, Keyring: s.cfg.Keyring, Clock: s.cfg.Clock,
		NewID: s.cfg.NewID, Changes: &s.changes, ValidRecipient: packaging.ValidRecipient, Remove: s.folder.Remove,
		Open: func(file domain.FileID, secret string) (rpc.Package, error) { return s.folder.Read(file, secret) },
	})
	return nil
}

// Register puts privacyops.export.v1.Exports on a server.
func (s *Service) Register(r grpc.ServiceRegistrar) { exportv1.RegisterExportsServer(r, s.rpc) }

// Outbox takes the audit events of the service's calls.
func (s *Service) Outbox() *outbox.Outbox { return s.outbox }

// Ready asks the store for an answer.
func (s *Service) Ready(ctx context.Context) error { return s.db.Ping(ctx) }

// Close closes the database. Stop the server and Run first.
func (s *Service) Close() error { return s.db.Close() }

// handlers are the kinds of durable work.
func (s *Service) handlers() map[string]jobs.Handler {
	return map[string]jobs.Handler{store.JobAdvance: s.advance, store.JobExpire: s.expire}
}
