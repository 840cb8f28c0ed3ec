package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/privacyops/privacyops/libs/sqldb"
)

const (
	// fetchCooldown bounds how often a burst of commits makes the runner look for jobs.
	fetchCooldown = 10 * time.Millisecond
	// rescueMargin is what an attempt gets beyond its timeout to end and be noted.
	rescueMargin = time.Second
	// cancelGrace is how long Stop waits for handlers whose context it has ended.
	cancelGrace = 5 * time.Second
	// exclusiveLock is the name of the database lock that an exclusive runner holds.
	exclusiveLock = "jobs"
)

// Runner works the jobs of one database. It is started and stopped once.
type Runner struct {
	db     *sqldb.DB
	cfg    Config
	client sqldb.RiverClient

	mu      sync.Mutex
	started bool
	stopped bool
	unlock  func() error
}

// NewRunner prepares a runner. The database must be migrated before it starts.
func NewRunner(db *sqldb.DB, cfg Config) (*Runner, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	r := &Runner{db: db, cfg: cfg}
	workers := river.NewWorkers()
	for kind, handler := range cfg.Handlers {
		if handler == nil {
			return nil, fmt.Errorf("jobs: the handler of kind %s is nil", kind)
		}
		river.AddWorkerArgs(workers, args{kind: kind}, &worker{
			kind:    kind,
			handler: handler,
			cfg:     cfg,
			tracer:  cfg.Tracer.Tracer("github.com/privacyops/privacyops/libs/jobs"),
		})
	}
	if r.client, err = db.NewRiverClient(r.riverConfig(workers)); err != nil {
		return nil, fmt.Errorf("jobs: %w", err)
	}
	return r, nil
}

func (r *Runner) riverConfig(workers *river.Workers) *river.Config {
	return &river.Config{
		FetchCooldown:        min(fetchCooldown, r.cfg.PollInterval),
		FetchPollInterval:    r.cfg.PollInterval,
		JobTimeout:           r.cfg.Timeout,
		Logger:               slog.New(atLeast{slog.LevelWarn, r.cfg.Logger.Handler()}),
		MaxAttempts:          r.cfg.MaxAttempts,
		Queues:               map[string]river.QueueConfig{sqldb.JobQueue: {MaxWorkers: r.cfg.Workers}},
		RescueStuckJobsAfter: r.cfg.Timeout + rescueMargin,
		RetryPolicy:          retryPolicy(r.cfg.Backoff),
		Workers:              workers,
	}
}

// Start begins to work. The values of ctx reach the handlers, its end does not stop
// them: that is what Stop is for. With [Config.Exclusive] the error is [sqldb.ErrLocked]
// while another exclusive runner works on the database.
func (r *Runner) Start(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.started {
		return errors.New("jobs: a runner starts only once")
	}
	if r.cfg.Exclusive {
		if err := r.takeOver(ctx); err != nil {
			return err
		}
	}
	if err := r.client.Start(context.WithoutCancel(ctx)); err != nil {
		return errors.Join(fmt.Errorf("jobs: start: %w", err), r.release())
	}
	r.started = true
	return nil
}

// takeOver makes sure that there is no other runner and frees a dead one's jobs.
func (r *Runner) takeOver(ctx context.Context) error {
	unlock, err := r.db.Lock(ctx, exclusiveLock)
	if err != nil {
		return fmt.Errorf("jobs: start an exclusive runner: %w", err)
	}
	r.unlock = unlock
	if _, err := r.rescueAll(ctx); err != nil {
		return errors.Join(err, r.release())
	}
	return nil
}

func (r *Runner) release() error {
	if r.unlock == nil {
		return nil
	}
	unlock := r.unlock
	r.unlock = nil
	return unlock()
}

// RescueAll makes every job that is marked as running available at once and returns how
// many there were. It is right only if no runner works on the database, so it fails
// between Start and Stop; whether another process has a runner is the caller's to know
// (see [Config.Exclusive]).
func (r *Runner) RescueAll(ctx context.Context) (int64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.started && !r.stopped {
		return 0, errors.New("jobs: RescueAll would start the runner's own jobs a second time")
	}
	return r.rescueAll(ctx)
}

func (r *Runner) rescueAll(ctx context.Context) (rescued int64, err error) {
	err = r.db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
		rescued, err = tx.Exec(ctx, `UPDATE river_job SET state = 'available' WHERE state = 'running'`)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("jobs: rescue the jobs of a dead process: %w", err)
	}
	if rescued > 0 {
		r.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "jobs of a dead process start again", slog.Int64("jobs", rescued))
	}
	return rescued, nil
}

// Stop takes no further jobs and waits for those at work. When ctx ends first, their
// contexts are ended and the jobs are left for the next runner. An error means that a
// handler did not heed its context and still runs.
func (r *Runner) Stop(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.started || r.stopped {
		return nil
	}
	if err := r.client.Stop(ctx); err != nil {
		hard, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelGrace)
		defer cancel()
		if err := r.client.StopAndCancel(hard); err != nil {
			// The exclusive lock stays: somebody still works here.
			return fmt.Errorf("jobs: a handler goes on after its context has ended: %w", err)
		}
	}
	r.stopped = true
	return r.release()
}

// retryPolicy is River's view of Config.Backoff.
type retryPolicy func(attempt int) time.Duration

// NextRetry says when to try a failed job again.
func (p retryPolicy) NextRetry(job *rivertype.JobRow) time.Time {
	return time.Now().Add(max(p(job.Attempt), 0))
}

// atLeast drops log records below a level: River tells of every attempt, and so do we.
type atLeast struct {
	level slog.Level
	slog.Handler
}

// Enabled reports whether records of that level pass.
func (h atLeast) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= h.level && h.Handler.Enabled(ctx, level)
}

// WithAttrs keeps the level.
func (h atLeast) WithAttrs(attrs []slog.Attr) slog.Handler {
	return atLeast{h.level, h.Handler.WithAttrs(attrs)}
}

// WithGroup keeps the level.
func (h atLeast) WithGroup(name string) slog.Handler {
	return atLeast{h.level, h.Handler.WithGroup(name)}
}
