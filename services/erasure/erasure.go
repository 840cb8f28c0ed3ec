// Package erasure is the erasure service: it decides with the controller what must go, makes every participant erase it,
// verifies, and certifies. It also takes in rosters.
//
// The rules are in internal/erasure, the RPCs in internal/rpc, what is kept in internal/store.
package erasure

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/privacyops/privacyops/libs/certificate"
	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/idempotency"
	"github.com/privacyops/privacyops/libs/jobs"
	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/redis"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/libs/telemetry"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
	"github.com/privacyops/privacyops/services/erasure/internal/clients"
	domain "github.com/privacyops/privacyops/services/erasure/internal/erasure"
	"github.com/privacyops/privacyops/services/erasure/internal/roster"
	"github.com/privacyops/privacyops/services/erasure/internal/rpc"
	"github.com/privacyops/privacyops/services/erasure/internal/store"
)

// Config is what the service is made of. What has no default is required.
type Config struct {
	// Database is the URL of its database, `sqlite:/path/erasure.db`.
	Database string
	// Keyring is the installation's.
	Keyring *keyring.Keyring
	// Clock tells the time, NewID makes ids that sort by time (UUIDv7).
	Clock clock.Clock
	NewID func() string
	// Telemetry is where it emits.
	Telemetry *telemetry.Telemetry
	// Audit and Consent are connections to these services.
	Audit   grpc.ClientConnInterface
	Consent grpc.ClientConnInterface
	// Participants are connections to participants, by the names that the register uses.
	Participants map[string]grpc.ClientConnInterface
	// Signer makes certificates.
	Signer *certificate.Signer
	// Exclusive says that no other replica works on the database: work that a crash has left is taken up at once.
	Exclusive bool
	// Redis carries the events that platforms follow; nil: none are.
	Redis *redis.Client
	// Backoff is the pause after the n-th attempt in a row that left something undone; default a second, growing to an hour.
	Backoff func(attempt int) time.Duration
}

// Service is the erasure service.
type Service struct {
	cfg     Config
	db      *sqldb.DB
	outbox  *outbox.Outbox
	store   *store.Store
	replies *idempotency.Replies
	engine  *domain.Engine
	runner  *jobs.Runner
	events  *redis.Publisher // nil without Redis
}

const (
	sweepEvery = 5 * time.Second
	scrubEvery = time.Minute
	// jobTimeout is how long one go at an erasure may take: several systems with much data take their time one after the other.
	// It does not decide when another worker takes over, which the lease does.
	jobTimeout = 30 * time.Minute
	stopTime   = 15 * time.Second
	watchEvery = 200 * time.Millisecond
)

// New opens the service.
func New(ctx context.Context, cfg Config) (*Service, error) {
	if cfg.Keyring == nil || cfg.Clock == nil || cfg.NewID == nil || cfg.Telemetry == nil || cfg.Audit == nil || cfg.Consent == nil || cfg.Signer == nil {
		return nil, errors.New("erasure: keyring, clock, ids, telemetry, connections to audit and consent, and a signer are required")
	}
	if cfg.Backoff == nil {
		cfg.Backoff = domain.Backoff
	}
	db, err := sqldb.Open(ctx, sqldb.Config{URL: cfg.Database, Logger: cfg.Telemetry.Log})
	if err != nil {
		return nil, fmt.Errorf("erasure: %w", err)
	}
	s := &Service{cfg: cfg, db: db}
	if err := s.assemble(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("erasure: %w", err), db.Close())
	}
	return s, nil
}

func (s *Service) assemble(ctx context.Context) (err error) {
	if err = migrate(ctx, s.db); err != nil {
		return err
	}
	s.outbox, err = outbox.New(ctx, outbox.Config{Service: "erasure", DB: s.db, Clock: s.cfg.Clock, Keyring: s.cfg.Keyring, NewID: s.cfg.NewID})
	if err != nil {
		return err
	}
	if s.replies, err = idempotency.New(ctx, s.db, s.cfg.Keyring, s.cfg.Clock); err != nil {
		return err
	}
	s.store = store.New(s.db, s.outbox, s.cfg.Keyring, s.cfg.Clock)
	if s.cfg.Redis != nil {
		s.events = redis.NewPublisher(redis.NewSharedEvents(s.cfg.Redis, "erasure"))
		s.store.Follow(func(m domain.Move) { s.events.Publish(redis.Controller(m.Controller), eventOf(m)) })
	}
	consent := clients.NewConsent(s.cfg.Consent)
	log := clients.NewAudit(s.cfg.Audit)
	s.engine = &domain.Engine{Store: s.store, Registers: consent, Participants: clients.Participants(s.cfg.Participants),
		Proofs: log, Erased: consent, Keys: log, Pseudonyms: s.cfg.Keyring, Signer: signer{s.cfg.Signer},
		Clock: s.cfg.Clock, NewID: s.cfg.NewID, Backoff: s.cfg.Backoff}
	s.runner, err = jobs.NewRunner(s.db, jobs.Config{Handlers: map[string]jobs.Handler{store.JobAdvance: s.advance},
		Timeout: jobTimeout, Exclusive: s.cfg.Exclusive, Logger: s.cfg.Telemetry.Log, Tracer: s.cfg.Telemetry.Tracer})
	return err
}

// eventOf is a move as platforms read it from the stream: `erasure.completed` and the like.
func eventOf(m domain.Move) redis.Event {
	return redis.Event{Sequence: m.Sequence, Previous: m.Sequence - 1, Kind: "erasure." + strings.ToLower(string(m.State)), Time: m.Time,
		Fields: map[redis.Field]string{redis.FieldErasure: string(m.ID), redis.FieldSubject: m.SubjectRef, redis.FieldState: string(m.State)}}
}

// signer makes certificates with the service's key.
type signer struct{ key *certificate.Signer }

func (s signer) Issue(statement certificate.Statement, l certificate.Log) ([]byte, error) {
	return certificate.Issue(statement, l, s.key)
}

// Register registers the service's RPCs.
func (s *Service) Register(r grpc.ServiceRegistrar) {
	erasurev1.RegisterErasuresServer(r, &rpc.Server{Store: s.store, Registers: s.engine.Registers, Participants: s.engine.Participants,
		Replies: s.replies, Outbox: s.outbox, Keyring: s.cfg.Keyring, Clock: s.cfg.Clock, NewID: s.cfg.NewID, WatchEvery: watchEvery})
	erasurev1.RegisterCertificateReaderServer(r, &rpc.CertificateServer{Store: s.store})
	erasurev1.RegisterRostersServer(r, &rpc.RosterServer{Store: s.store, Replies: s.replies, Keyring: s.cfg.Keyring,
		Clock: s.cfg.Clock, NewID: s.cfg.NewID, Limits: roster.Limits{MaxBytes: 64 << 20}})
}

// Outbox is where the events of its calls go.
func (s *Service) Outbox() *outbox.Outbox { return s.outbox }

// Ready reports whether the database answers.
func (s *Service) Ready(ctx context.Context) error { return s.db.Ping(ctx) }

// Run works until ctx ends, and returns when what was under way is done or left in good order.
func (s *Service) Run(ctx context.Context) error {
	ctx = sqldb.WithAllControllers(ctx) // jobs narrow it to their own
	if err := s.runner.Start(ctx); err != nil {
		return fmt.Errorf("erasure: %w", err)
	}
	// The relay outlives the jobs: an erasure that is being certified waits for its event in the log.
	relay, stopRelay := context.WithCancel(context.WithoutCancel(ctx))
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		s.outbox.Relay(relay, auditv1.NewAuditIngestClient(s.cfg.Audit), s.cfg.Telemetry.Log)
		return nil
	})
	if s.events != nil {
		g.Go(func() error { return s.events.Run(relay) })
	}
	g.Go(func() error { s.sweep(ctx); return nil })
	g.Go(func() error { s.watchTimes(ctx); return nil })
	g.Go(func() error {
		defer stopRelay()
		<-ctx.Done()
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
		defer cancel()
		return s.runner.Stop(stop)
	})
	return g.Wait()
}

// advance is the handler of the jobs.
func (s *Service) advance(ctx context.Context, job jobs.Job) error {
	var args store.AdvanceArgs
	if err := json.Unmarshal(job.Args, &args); err != nil {
		return jobs.Cancel(err)
	}
	ctx = sqldb.WithController(ctx, args.Controller)
	defer s.heartbeat(ctx, args)()
	err := s.engine.Advance(ctx, domain.ControllerID(args.Controller), domain.ID(args.Erasure))
	if errors.Is(err, sqldb.ErrNoRows) {
		return jobs.Cancel(err)
	}
	return err
}

// heartbeat renews the worker's lease until the returned function is called.
func (s *Service) heartbeat(ctx context.Context, args store.AdvanceArgs) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(store.Lease / 3)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				_ = s.store.Renew(ctx, args) // a lease that runs out costs only another worker's look
			}
		}
	}()
	return func() { cancel(); <-done }
}

// sweep makes sure that no erasure waits for ever: for each whose work is due there is a job. Jobs get lost when they are given
// up after too many failures, or when a revision's job ended before the next one was made.
func (s *Service) sweep(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	scrub := time.NewTicker(scrubEvery)
	defer scrub.Stop()
	for {
		s.sweepOnce(ctx)
		select {
		case <-ctx.Done():
			return
		case <-scrub.C:
			_ = s.store.Scrub(ctx) // a reader may stand in the way; a minute later it is tried again
		case <-tick.C:
		}
	}
}

func (s *Service) sweepOnce(ctx context.Context) {
	due, err := s.store.Due(ctx, s.cfg.Clock.Now(), 1000)
	for _, a := range due {
		if err == nil {
			err = s.store.Wake(ctx, a)
		}
	}
	if err != nil && ctx.Err() == nil {
		s.cfg.Telemetry.Log.WarnContext(ctx, "erasures whose work is due could not be looked for", "error_kind", fmt.Sprintf("%T", err))
	}
}

// Close closes the database. Run must have returned.
func (s *Service) Close() error { return s.db.Close() }
