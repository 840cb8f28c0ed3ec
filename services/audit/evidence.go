package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/privacyops/privacyops/libs/idempotency"
	"github.com/privacyops/privacyops/libs/jobs"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/audit/evidencecheck"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
	"github.com/privacyops/privacyops/services/audit/internal/entryline"
	"github.com/privacyops/privacyops/services/audit/internal/evidence"
	"github.com/privacyops/privacyops/services/audit/internal/evidencereport"
	"github.com/privacyops/privacyops/services/audit/internal/packages"
	"github.com/privacyops/privacyops/services/audit/internal/rpc"
	"github.com/privacyops/privacyops/services/audit/internal/sources"
	"github.com/privacyops/privacyops/services/audit/internal/store"
)

const (
	// gatherTimeout bounds one attempt to make a package; a year of a large school is one piece of work.
	gatherTimeout = 2 * time.Hour
	// notYet is the pause before the log is asked again whether it covers a period.
	notYet = 300 * time.Millisecond
	// expireEvery is how often packages are looked for that have to go.
	expireEvery = 5 * time.Second
	// forgetEvery is how often answers that are older than any key is honoured are deleted.
	forgetEvery = time.Hour
	// stopTime is how long a stopping service lets a package be finished before it puts the work back.
	stopTime = 5 * time.Second
)

// EvidenceConfig says where evidence packages are kept, and who has what they hold beside the log.
type EvidenceConfig struct {
	// Folder of the packages, which are encrypted.
	Folder string
	// Consent and Erasure are the ways to the register and to certificates.
	Consent, Erasure grpc.ClientConnInterface
}

// evidencing is what makes evidence packages.
type evidencing struct {
	engine  *evidence.Engine // nil: there is no folder for packages
	folder  *packages.Folder
	store   *store.Evidence
	replies *idempotency.Replies
	rpc     *rpc.Evidence
}

func (s *Service) openEvidence(ctx context.Context, signer note.Signer) (err error) {
	v := &s.evidencing
	v.store = store.NewEvidence(s.cfg.DB, s.outbox)
	if v.replies, err = idempotency.New(ctx, s.cfg.DB, s.cfg.Keyring, s.cfg.Clock); err != nil {
		return err
	}
	cfg := rpc.EvidenceConfig{Store: v.store, Replies: v.replies, Outbox: s.outbox, Keyring: s.cfg.Keyring, Clock: s.cfg.Clock, NewID: s.cfg.NewID}
	if c := s.cfg.Evidence; c != nil {
		if c.Consent == nil || c.Erasure == nil {
			return errors.New("audit: evidence needs the consent and the erasure service")
		}
		if v.folder, err = packages.Open(c.Folder); err != nil {
			return fmt.Errorf("audit: %w", err)
		}
		v.engine = s.evidenceEngine(c, signer)
		cfg.Open = v.engine.Open
	}
	v.rpc = rpc.NewEvidence(cfg)
	return nil
}

func (s *Service) evidenceEngine(c *EvidenceConfig, signer note.Signer) *evidence.Engine {
	return &evidence.Engine{
		Sources: evidence.Sources{
			Entries: store.NewEntries(s.cfg.DB), Log: published{s}, Keys: entryKeys{s}, Register: sources.NewRegister(c.Consent),
			Certificates: sources.NewCertificates(c.Erasure), Read: entryline.Read, Signer: signer, Report: evidencereport.Reporter{},
			Spool: s.evidencing.folder.Spool,
		},
		Store: s.evidencing.store, Folder: s.evidencing.folder, Keyring: s.cfg.Keyring, Clock: s.cfg.Clock, NewID: s.cfg.NewID,
		Check: func(r io.ReaderAt, size int64) error {
			_, err := evidencecheck.Verify(r, size, evidencecheck.Trust{LogKeys: []string{s.log.Public()}})
			return err
		},
	}
}

func (v *evidencing) register(r grpc.ServiceRegistrar) { v.rpc.Register(r) }

// runEvidence makes packages and deletes those whose time has come, until ctx ends.
func (s *Service) runEvidence(ctx context.Context, group *errgroup.Group) {
	if s.evidencing.engine == nil {
		return
	}
	group.Go(func() error { return s.gatherEvidence(ctx) })
	group.Go(func() error { s.every(ctx, "expire evidence", expireEvery, s.evidencing.engine.Expire); return nil })
	group.Go(func() error { s.every(ctx, "tidy evidence", forgetEvery, s.tidyEvidence); return nil })
}

func (s *Service) gatherEvidence(ctx context.Context) error {
	runner, err := jobs.NewRunner(s.cfg.DB, jobs.Config{
		Handlers: map[string]jobs.Handler{store.JobGather: s.gatherOne}, Workers: 1, Timeout: gatherTimeout,
		Exclusive: true, // this process is the only one on its log
		Logger:    s.cfg.Telemetry.Log, Tracer: s.cfg.Telemetry.Tracer,
	})
	if err != nil {
		return err
	}
	if err := runner.Start(ctx); err != nil {
		return err
	}
	<-ctx.Done()
	soon, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTime)
	defer cancel()
	return runner.Stop(soon)
}

func (s *Service) gatherOne(ctx context.Context, job jobs.Job) error {
	var args store.EvidenceArgs
	if json.Unmarshal(job.Args, &args) != nil || args.Controller == "" || args.Evidence == "" {
		return jobs.Cancel(errors.New("audit: a job names no evidence"))
	}
	err := s.evidencing.engine.Advance(sqldb.WithController(ctx, string(args.Controller)), args.Ref(), job.Last)
	if errors.Is(err, evidence.ErrNotYet) {
		return jobs.Snooze(notYet)
	}
	return err
}

// tidyEvidence deletes files that no evidence refers to, which a crash between two steps may leave, and forgets old answers.
func (s *Service) tidyEvidence(ctx context.Context) error {
	files, err := s.evidencing.folder.List()
	if err != nil {
		return err
	}
	for _, f := range files {
		found, err := s.evidencing.store.Refers(ctx, f)
		if err == nil && !found {
			err = s.evidencing.folder.Remove(f)
		}
		if err != nil {
			return err
		}
	}
	return s.evidencing.replies.Forget(ctx, idempotency.Keep)
}

// every does something now and at intervals, and logs that it failed.
func (s *Service) every(ctx context.Context, job string, interval time.Duration, do func(context.Context) error) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		if err := do(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Telemetry.Log.WarnContext(ctx, "periodic work failed", "job", job, "error_kind", fmt.Sprintf("%T", err))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// published implements evidence.Log: the log as everybody sees it.
type published struct{ s *Service }

// Shards returns the shards, each with the last checkpoint that enough witnesses have cosigned, where it covers the place, else with the
// one that is published.
func (p published) Shards(ctx context.Context, place uint64) (out []evidence.Shard, err error) {
	parts, err := p.s.log.Shards(ctx)
	for _, s := range parts {
		head := s.Head
		if cosigned := p.s.log.Cosigned(s.Year); cosigned.Size > 0 && s.First+cosigned.Size > place {
			head = cosigned
		}
		shard := evidence.Shard{Head: evidence.Head{Size: head.Size, Root: head.Root, Checkpoint: head.Checkpoint}, Year: s.Year, Origin: s.Origin, First: s.First}
		if s.Tombstone != nil {
			shard.Dropped = make(map[evidence.ControllerID]uint64, len(s.Tombstone.Numbers))
			for c, n := range s.Tombstone.Numbers {
				shard.Dropped[evidence.ControllerID(c)] = n
			}
		}
		out = append(out, shard)
	}
	return out, err
}

// Policy returns the text of the witness policy.
func (p published) Policy() []byte { return p.s.log.Policy() }

// Tile returns a tile of the shard of a year.
func (p published) Tile(ctx context.Context, year int, level, index uint64, width uint8) ([]byte, error) {
	return p.s.log.Tile(ctx, year, level, index, width)
}

// Public returns the log's key.
func (p published) Public() string { return p.s.log.Public() }

// entryKeys implements evidence.Keys.
type entryKeys struct{ s *Service }

// EntryKey gives the key of an entry; see evidence.Keys.
func (k entryKeys) EntryKey(ctx context.Context, c evidence.ControllerID, leaf []byte) ([]byte, error) {
	entry, err := audit.ParseLeaf(leaf)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", evidence.ErrContradiction, err)
	}
	return k.s.keys.EntryKey(ctx, audit.ControllerID(c), entry.Event)
}
