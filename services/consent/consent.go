// Package consent is the service that knows what may be processed, why, by whom and where: the register of controllers,
// activities and systems, the consents, and the answer to "may this be processed?".
//
// This is its public face, for the service's own binary and for the all-in-one: open it with [New], put it on a server
// with [Service.Register], keep [Service.Run] running beside it.
package consent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/idempotency"
	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/redis"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/libs/telemetry"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	"github.com/privacyops/privacyops/services/consent/internal/memory"
	"github.com/privacyops/privacyops/services/consent/internal/recorder"
	"github.com/privacyops/privacyops/services/consent/internal/rpc"
	"github.com/privacyops/privacyops/services/consent/internal/signing"
	"github.com/privacyops/privacyops/services/consent/internal/store"
)

// Name is the service's name, as in its certificate and in audit events.
const Name = "consent"

// DefaultIssuer is the name in signed decisions and receipts of an installation that says no other.
const DefaultIssuer = "privacyops.internal/consent"

const (
	// sweepEvery is how often answers that are older than any key is honoured are forgotten.
	sweepEvery = 24 * time.Hour
	// flushTime is how long a stopping service tries to hand over its last events. What is left waits in the database.
	flushTime = 5 * time.Second
)

// Config is what the service is made of. Every field is required but Exclusive and those after it.
type Config struct {
	// Database is a sqldb URL, for example "sqlite:/var/lib/privacyops/consent.db".
	Database string
	// Keyring makes pseudonyms, and the keys of consistency and page tokens.
	Keyring *keyring.Keyring
	// Clock is the time by which consents expire and ages are counted.
	Clock clock.Clock
	// NewID makes UUIDv7.
	NewID func() string
	// Telemetry is where the service emits.
	Telemetry *telemetry.Telemetry
	// Audit is the way to auditd.
	Audit grpc.ClientConnInterface
	// Exclusive says that no other replica works on this database. The service keeps no work of its own, so it makes no
	// difference here.
	Exclusive bool
	// Redis is what replicas share; nil: this is the only replica, or each finds out for itself.
	Redis *redis.Client
	// MemorySize bounds what is remembered of people, in bytes; 0: memory.DefaultSize.
	MemorySize int64
	// SigningKeys are the numbers of the keys of decisions and receipts: the first one signs, all are published. Empty: the first key.
	SigningKeys []int
	// Issuer is the installation's name in signed decisions and receipts; empty: DefaultIssuer.
	Issuer string

	// Buffered gives decisions out before they are on disk: a crash may take those of the last moment (recorder.HeldFor, at most
	// recorder.MostHeld). Without it every decision is on disk before it is given.
	Buffered bool

	// around is put around what knows the newest revisions. For tests that lose messages.
	around func(redis.Revisions) redis.Revisions
}

func (c Config) check() error {
	if c.Database == "" || c.Keyring == nil || c.Clock == nil || c.NewID == nil || c.Telemetry == nil || c.Audit == nil {
		return errors.New("consent: database, keyring, clock, ids, telemetry and audit are all required")
	}
	return nil
}

// Service is the running service.
type Service struct {
	cfg     Config
	db      *sqldb.DB
	outbox  *outbox.Outbox
	replies *idempotency.Replies

	revisions redis.Revisions
	memory    *memory.Memory
	recorder  rpc.Recorder
	buffer    *recorder.Buffer // nil unless decisions are buffered
	signer    *signing.Signer
	events    *redis.Publisher // nil without Redis

	unscrubbed atomic.Bool // somebody was erased since the database's log was last cleaned
}

// New opens the database, brings it up to date, and makes the service on it.
func New(ctx context.Context, cfg Config) (*Service, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	db, err := sqldb.Open(ctx, sqldb.Config{URL: cfg.Database, Logger: cfg.Telemetry.Log})
	if err != nil {
		return nil, fmt.Errorf("consent: open the database: %w", err)
	}
	s := &Service{cfg: cfg, db: db}
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
	durable := recorder.New(s.db, s.outbox)
	if s.recorder = durable; s.cfg.Buffered {
		s.buffer = recorder.NewBuffer(durable)
		s.recorder = s.buffer
	}
	if s.signer, err = signing.New(s.cfg.Keyring, s.cfg.SigningKeys); err != nil {
		return err
	}
	s.replies, err = idempotency.New(ctx, s.db, s.cfg.Keyring, s.cfg.Clock)
	if err != nil {
		return err
	}
	if s.cfg.Redis != nil {
		s.revisions = redis.NewSharedRevisions(s.cfg.Redis, s.newestRevision, s.cfg.Clock)
		s.events = redis.NewPublisher(redis.NewSharedEvents(s.cfg.Redis, Name))
	} else {
		s.revisions = redis.NewLocalRevisions(s.newestRevision, s.cfg.Clock)
	}
	if s.cfg.around != nil {
		s.revisions = s.cfg.around(s.revisions)
	}
	s.memory, err = memory.New(memory.Config{DB: s.db, Store: store.Store{}, Revisions: s.revisions, Clock: s.cfg.Clock, Size: s.cfg.MemorySize})
	return err
}

// Register puts the services Register, RegisterReader, LegalBasis, Consents, Rights, Documents and Erased on a server.
func (s *Service) Register(r grpc.ServiceRegistrar) {
	err := rpc.Register(r, rpc.Parts{
		DB: s.db, Store: store.Store{}, Outbox: s.outbox, Recorder: s.recorder, Memory: s.memory,
		Announce: s.announce, Notices: s.revisions, Replies: s.replies,
		Keyring: s.cfg.Keyring, Signer: s.signer, Issuer: cmp.Or(s.cfg.Issuer, DefaultIssuer), Clock: s.cfg.Clock, NewID: s.cfg.NewID,
	})
	if err != nil {
		panic(err) // New made every part
	}
}

// Outbox takes the audit events of the service's calls.
func (s *Service) Outbox() *outbox.Outbox { return s.outbox }

// Ready asks the store for an answer.
func (s *Service) Ready(ctx context.Context) error { return s.db.Ping(ctx) }

// Run hands audit events to auditd, keeps proofs of freshness young and forgets what is too old, until ctx ends. What auditd has not taken
// by then stays in the database for the next start.
func (s *Service) Run(ctx context.Context) error {
	client := auditv1.NewAuditIngestClient(s.cfg.Audit)
	var wg sync.WaitGroup
	wg.Go(func() { s.outbox.Relay(ctx, client, s.cfg.Telemetry.Log) })
	if s.buffer != nil {
		wg.Go(func() { s.buffer.Run(ctx) })
	}
	wg.Go(func() { s.sweep(ctx) })
	wg.Go(func() { s.scrub(ctx) })
	wg.Go(func() { _ = s.revisions.Run(ctx) }) // its error is always nil
	if s.events != nil {
		wg.Go(func() { _ = s.events.Run(ctx) })
	}
	wg.Wait()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTime)
	defer cancel()
	if err := s.outbox.Flush(last, client); err != nil {
		s.cfg.Telemetry.Log.WarnContext(last, "audit events wait for the next start", "error_kind", fmt.Sprintf("%T", err))
	}
	return nil
}

func (s *Service) sweep(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		if err := errors.Join(s.replies.Forget(ctx, idempotency.Keep), s.forgetChanges(ctx)); err != nil && ctx.Err() == nil {
			s.cfg.Telemetry.Log.WarnContext(ctx, "what is too old was not forgotten", "error_kind", fmt.Sprintf("%T", err))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Close closes the database. Stop the server and Run first.
func (s *Service) Close() error {
	s.memory.Close()
	return s.db.Close()
}
