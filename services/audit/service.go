package audit

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"time"

	"go.opentelemetry.io/otel/metric"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/libs/telemetry"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
	"github.com/privacyops/privacyops/services/audit/internal/keys"
	"github.com/privacyops/privacyops/services/audit/internal/monitor"
	"github.com/privacyops/privacyops/services/audit/internal/rpc"
	"github.com/privacyops/privacyops/services/audit/internal/shards"
	"github.com/privacyops/privacyops/services/audit/internal/store"
	"github.com/privacyops/privacyops/services/audit/internal/tlog"
)

const (
	name  = "audit" // the service's name, in its certificate and in the events it reports itself
	scope = "github.com/privacyops/privacyops/services/audit"

	proofPoll  = 20 * time.Millisecond
	closeGrace = 20 * time.Second
	// gather is how long events wait for others where batches of decisions go into the log, and settle how long a search waits for
	// what was recorded a moment before.
	gather = time.Second
	settle = 5 * time.Second
)

// Config says what the service works with. The fields above the durations are required; the zero value of a duration
// means its default.
type Config struct {
	// DB is the service's own database. Closing it stays with the caller.
	DB *sqldb.DB
	// KeysDatabase is the URL of the database of the keys under which people in the log are sealed. It is another one than DB, and
	// its backups are not kept for long: they undo erasures.
	KeysDatabase string
	// LogDir is the folder of the verifiable log, best on another disk than the database. Without LogServers it is required.
	LogDir string
	// LogServers are where the log is kept instead of in a folder, so that several replicas can take turns with it; nil: in LogDir.
	LogServers *tlog.Shared
	// KeyFile is the file of the key that signs checkpoints; its public part lies beside it, in KeyFile + ".pub". Both are
	// made at the first start, and only then: a log that has lost its key is not given another.
	KeyFile string
	// Origin is the log's name, the first line of its checkpoints: a host name and path such as "audit.example.org/log",
	// without spaces or "+".
	Origin string
	// Keyring makes pseudonyms. It is the one that all services of the suite have.
	Keyring *keyring.Keyring
	// Clock is the log's single source of time.
	Clock clock.Clock
	// NewID gives ids that sort by time (UUIDv7).
	NewID func() string
	// Telemetry is where the service emits.
	Telemetry *telemetry.Telemetry
	// CheckpointInterval is the least time between two checkpoints; 500 ms by default, 100 ms at least.
	CheckpointInterval time.Duration
	// ProofWait is how long a call for a proof waits for a checkpoint that covers a new event; 10 s by default.
	ProofWait time.Duration
	// VerifyInterval is how often the log is replayed and compared with its index; an hour by default.
	VerifyInterval time.Duration
	// KeyTime is how long the unwrapped key of a person is kept in memory; a minute by default, ten seconds at least.
	KeyTime time.Duration
	// KeepYears is how many whole calendar years of the log are kept beside the current one: an older shard is dropped, as a whole, and
	// a signed tombstone takes its place. 0: nothing is ever dropped.
	KeepYears int
	// WitnessPolicy is the file that says which witnesses cosign checkpoints, and how many of them are enough; empty: none.
	WitnessPolicy string
	// Webhooks is the file of webhooks that alerts are delivered to; empty: none.
	Webhooks string
	// WebhooksAllow are networks inside the installation that webhooks may lead to; none by default.
	WebhooksAllow []netip.Prefix
	// Evidence is where evidence packages are made; nil: none are.
	Evidence *EvidenceConfig
}

func (c *Config) check() error {
	if c.DB == nil || c.KeysDatabase == "" || (c.LogDir == "" && c.LogServers == nil) || c.KeyFile == "" || c.Origin == "" || c.Keyring == nil || c.Clock == nil || c.NewID == nil || c.Telemetry == nil {
		return errors.New("audit: database, database of keys, log folder, key file, origin, keyring, clock, ids and telemetry are all required")
	}
	if c.KeepYears < 0 {
		return errors.New("audit: the number of years that are kept is negative")
	}
	if c.KeepYears > 0 && c.LogServers != nil {
		return errors.New("audit: a log on servers is not divided into years, so none of them can be dropped; keep all (0), or keep the log in a folder")
	}
	for _, d := range []struct {
		value    *time.Duration
		standard time.Duration
	}{{&c.CheckpointInterval, 500 * time.Millisecond}, {&c.ProofWait, 10 * time.Second}, {&c.VerifyInterval, time.Hour}} {
		if *d.value < 0 {
			return errors.New("audit: a duration is negative")
		}
		if *d.value == 0 {
			*d.value = d.standard
		}
	}
	return nil
}

// Service is a running audit service.
type Service struct {
	cfg       Config
	store     *store.Store
	log       *shards.Log
	outbox    *outbox.Outbox
	follower  *audit.Follower
	feed      *monitor.Follower
	recorder  *audit.Recorder
	intake    *intake
	keysDB    *sqldb.DB
	keys      *keys.Keys
	destroyer *keys.Destroyer
	verifier  *audit.Verifier
	retention *audit.Retention
	rpc       *rpc.Server
	measuring metric.Registration
	unlock    func() error

	monitoring monitoring
	evidencing evidencing
}

// New opens the service: it brings the schema up to date, opens the log, checks it against its checkpoint, and makes the
// index follow the log. It fails when another process is the log's sequencer, and when log, key and index contradict each
// other. Nothing runs before Run. Where the log is kept on servers the failure is ErrInUse while another replica has it.
func New(ctx context.Context, cfg Config) (*Service, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	s := &Service{cfg: cfg}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Service) open(ctx context.Context) (err error) {
	if s.cfg.LogServers == nil { // they know themselves who writes, and a lock of the database may be lost unnoticed
		if s.unlock, err = s.cfg.DB.Lock(ctx, "sequencer"); err != nil {
			return fmt.Errorf("audit: another process sequences this log: %w", err)
		}
	}
	if s.store, err = store.Open(ctx, s.cfg.DB); err != nil {
		return err
	}
	key, err := openKey(ctx, s.cfg)
	if err != nil {
		return err
	}
	if err := s.openLog(ctx, key); err != nil {
		return err
	}
	if err := s.openKeys(ctx); err != nil {
		return err
	}
	if err := s.openRecorder(ctx); err != nil {
		return err
	}
	if err := s.openDestroyer(ctx); err != nil {
		return err
	}
	s.verifier = audit.NewVerifier(s.store, s.log, s.log)
	s.outbox, err = outbox.New(ctx, outbox.Config{Service: name, DB: s.cfg.DB, Clock: s.cfg.Clock, Keyring: s.cfg.Keyring, NewID: s.cfg.NewID})
	if err != nil {
		return err
	}
	if err := s.openMonitoring(ctx); err != nil {
		return err
	}
	if err := s.openEvidence(ctx, key.Signer); err != nil {
		return err
	}
	return s.openRPC()
}

// openRecorder brings the index to the log's end, and into the log what a release before this one has left outside.
func (s *Service) openRecorder(ctx context.Context) error {
	s.feed = monitor.Follow(s.store, s.publishedSize)
	following := audit.FollowerOptions{Logger: s.cfg.Telemetry.Log, Added: s.feed.Take}
	if s.cfg.LogServers != nil {
		following.Lost = s.lost
	}
	s.follower = audit.NewFollower(s.store, s.log, following)
	o := audit.RecorderOptions{Sealer: s.keys, Gather: gather, NewID: s.cfg.NewID}
	if s.cfg.LogServers == nil {
		o.Years = s.log
	}
	s.recorder = audit.NewRecorder(s.log, s.store, s.follower, s.cfg.Clock, s.cfg.Telemetry.Tracer.Tracer(scope), o)
	s.retention = &audit.Retention{Years: s.cfg.KeepYears, Index: s.store, Entries: audit.NewReader(s.store, s.follower, settle), Log: s.log,
		Recorder: s.recorder, Clock: s.cfg.Clock, Poll: proofPoll}
	if err := s.retention.Apply(ctx); err != nil {
		return err
	}
	if err := s.recorder.Recover(ctx); err != nil {
		return err
	}
	waiting, err := s.store.Waiting(ctx)
	if err != nil {
		return err
	}
	return s.recorder.Restore(ctx, waiting)
}

func (s *Service) openRPC() (err error) {
	s.intake = newIntake(s.recorder, s.cfg.Clock)
	reader := audit.NewReader(s.store, s.follower, settle)
	s.rpc, err = rpc.New(rpc.Config{
		Recorder: s.intake,
		Searcher: keys.NewReader(s.keys, reader),
		Prover:   audit.NewProver(reader, s.log, s.cfg.ProofWait, proofPoll),
		Log:      s.log,
		Keyring:  s.cfg.Keyring,
		Meter:    s.cfg.Telemetry.Meter.Meter(scope),
		Heard:    s.monitoring.monitor.Hear,
	})
	if err != nil {
		return err
	}
	return s.measure(s.cfg.Telemetry.Meter.Meter(scope))
}

// begun reports whether there is a log.
func begun(ctx context.Context, cfg Config) (bool, error) {
	if cfg.LogServers == nil {
		return shards.Begun(cfg.LogDir), nil
	}
	return tlog.Exists(ctx, cfg.logOptions())
}

// openKey reads the log's key, or makes it when there is neither a key nor a log.
func openKey(ctx context.Context, cfg Config) (tlog.Key, error) {
	key, err := tlog.ReadKey(cfg.KeyFile, cfg.Origin)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	begun, berr := begun(ctx, cfg)
	switch {
	case berr != nil:
		return tlog.Key{}, berr
	case begun:
		return tlog.Key{}, fmt.Errorf("audit: there is a log but not its key; restore the key file: %w", err)
	}
	return tlog.CreateKey(rand.Reader, cfg.KeyFile, cfg.Origin)
}

// Register puts the service's methods on a gRPC server.
func (s *Service) Register(r grpc.ServiceRegistrar) {
	s.rpc.Register(r)
	rpc.NewKeys(s.destroyer).Register(r)
	rpc.NewKeeping(s.destroyer, s.outbox).Register(r)
	s.monitoring.register(r)
	s.evidencing.register(r)
}

// Outbox takes the events of this service's own calls: reading the log is itself logged.
func (s *Service) Outbox() *outbox.Outbox { return s.outbox }

// PublicKey is the key that checks the log's checkpoints, in the text form of signed notes.
func (s *Service) PublicKey() string { return s.log.Public() }

// Ready reports whether the service can serve: its database answers and its log can be read.
func (s *Service) Ready(ctx context.Context) error {
	if err := s.cfg.DB.Ping(ctx); err != nil {
		return err
	}
	_, err := s.log.Head(ctx)
	return err
}

// Run makes the index follow the log, reports the service's own, and verifies the log at intervals, until ctx is done. It returns
// an error only when log and index contradict each other: then nothing may be added before someone has looked; or when another replica
// has taken the log over: then this one may wait for its next turn.
func (s *Service) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.follower.Run(ctx) })
	group.Go(func() error { return s.log.Lost(ctx) })
	group.Go(func() error { s.outbox.Relay(ctx, ownClient{s.rpc}, s.cfg.Telemetry.Log); return nil })
	group.Go(func() error { s.verifyAtIntervals(ctx); return nil })
	group.Go(func() error { s.log.Run(ctx); return nil })
	group.Go(func() error { s.destroyer.Run(ctx, s.cfg.Telemetry.Log); return nil })
	s.monitoring.run(ctx, group)
	s.runEvidence(ctx, group)
	return group.Wait()
}

// lostWithin is how long a process that goes on after a halt may take to learn that another one writes the log.
const lostWithin = 5 * time.Second

// lost says whether another process writes the log.
func (s *Service) lost(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lostWithin)
	defer cancel()
	return s.log.Lost(ctx)
}

// Close ends the service after Run has returned: it waits for the last checkpoint and releases the log.
func (s *Service) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeGrace)
	defer cancel()
	var err error
	if s.measuring != nil {
		err = s.measuring.Unregister()
	}
	if s.log != nil {
		err = errors.Join(err, s.log.Close(ctx))
	}
	if s.keysDB != nil {
		err = errors.Join(err, s.keysDB.Close())
	}
	if s.unlock != nil {
		err = errors.Join(err, s.unlock())
		s.unlock = nil
	}
	return err
}
