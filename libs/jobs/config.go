package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/privacyops/privacyops/libs/sqldb"
)

// Job is one attempt at a piece of durable work.
type Job struct {
	// Kind is the kind it was enqueued as.
	Kind string
	// Args is the JSON object it was enqueued with. PostgreSQL does not keep its spaces.
	Args json.RawMessage
	// Attempt counts from 1. Snoozing and a stop of the runner do not count.
	Attempt int
	// Last tells that a failure of this attempt is final: the moment to record in the
	// domain that the work will not be done.
	Last bool
}

// Handler does the work of one kind of job. Returning nil completes the job; [Snooze]
// and [Cancel] have their own meaning; any other error (and a panic) is a failure that
// is retried. The ctx ends at the job's time limit and when the runner has to stop;
// after the latter the job starts again, with the same attempt number, in the next runner.
type Handler func(ctx context.Context, job Job) error

// Config says what a Runner works and how.
type Config struct {
	// Handlers by kind of job. Required.
	Handlers map[string]Handler
	// Workers is how many jobs run at a time. Default 4.
	Workers int
	// PollInterval is how often to look for jobs that no commit of this process has
	// announced: retries, scheduled ones, those of other processes. Default 100 ms.
	PollInterval time.Duration
	// Timeout is how long one attempt may take. Default 20 s. Without Exclusive it also
	// decides how soon the jobs of a dead process are taken over.
	Timeout time.Duration
	// MaxAttempts is how often a job is tried before it is given up, at most
	// [sqldb.JobMaxAttempts]. Default 8.
	MaxAttempts int
	// Exclusive says that this is the database's only runner, which Start enforces.
	// Every job found running at Start is then a dead process's, and starts at once.
	Exclusive bool
	// Logger receives failures, without data. Default: nothing is logged.
	Logger *slog.Logger
	// Tracer makes the span of each attempt. Default: no spans, but the enqueuer's trace
	// context still reaches the handler.
	Tracer trace.TracerProvider
	// Backoff is the pause after failed attempt number n, counting from 1. Default 1 s,
	// 4 s, 16 s and so on up to 5 min.
	Backoff func(attempt int) time.Duration
}

const (
	defaultWorkers     = 4
	defaultPoll        = 100 * time.Millisecond
	defaultTimeout     = 20 * time.Second
	defaultMaxAttempts = 8
	maxBackoff         = 5 * time.Minute
)

func (c Config) withDefaults() (Config, error) {
	if len(c.Handlers) == 0 {
		return c, errors.New("jobs: a runner needs at least one handler")
	}
	if c.Workers < 0 || c.PollInterval < 0 || c.Timeout < 0 || c.MaxAttempts < 0 || c.MaxAttempts > sqldb.JobMaxAttempts {
		return c, errors.New("jobs: a runner's numbers and durations must not be negative, nor its attempts above 100")
	}
	setDefault(&c.Workers, defaultWorkers)
	setDefault(&c.PollInterval, defaultPoll)
	setDefault(&c.Timeout, defaultTimeout)
	setDefault(&c.MaxAttempts, defaultMaxAttempts)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Tracer == nil {
		c.Tracer = noop.NewTracerProvider()
	}
	if c.Backoff == nil {
		c.Backoff = backoff
	}
	return c, nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// backoff quadruples from one second.
func backoff(attempt int) time.Duration {
	pause := time.Second
	for range attempt - 1 {
		if pause *= 4; pause >= maxBackoff {
			return maxBackoff
		}
	}
	return pause
}
