package jobs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/privacyops/privacyops/libs/jobs"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/libs/sqldb/enginetest"
)

// secret stands for a personal identifier: it must appear in no row, log or span.
const secret = "freja.holm"

func TestSnoozeIsNoAttempt(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		db := openNew(t, engine)
		var calls atomic.Int64
		attempts := make(chan int, 10)
		start(t, db, jobs.Config{MaxAttempts: 1, Handlers: map[string]jobs.Handler{
			"wait": func(_ context.Context, job jobs.Job) error {
				attempts <- job.Attempt
				if calls.Add(1) < 4 {
					return fmt.Errorf("not yet: %w", jobs.Snooze(time.Millisecond))
				}
				return nil
			},
		}})
		enqueue(t, db, sqldb.Job{Kind: "wait"})
		if _, errs := reaches(t, db, "completed"); errs != "" {
			t.Errorf("snoozing left errors: %s", errs)
		}
		close(attempts)
		for attempt := range attempts {
			if attempt != 1 {
				t.Errorf("a snooze counted: attempt %d", attempt)
			}
		}
		if calls.Load() != 4 {
			t.Errorf("%d calls, want 4", calls.Load())
		}
	})
}

func TestFailuresAreRetriedWithBackoffUntilTheLastAttempt(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		db := openNew(t, engine)
		const attempts = 12
		var mu sync.Mutex
		var seen []jobs.Job
		var paused []int
		start(t, db, jobs.Config{
			MaxAttempts:  attempts,
			PollInterval: 5 * time.Millisecond,
			Backoff: func(attempt int) time.Duration {
				mu.Lock()
				defer mu.Unlock()
				paused = append(paused, attempt)
				return time.Millisecond
			},
			Handlers: map[string]jobs.Handler{"fail": func(_ context.Context, job jobs.Job) error {
				mu.Lock()
				defer mu.Unlock()
				seen = append(seen, job)
				return errors.New("no luck")
			}},
		})
		enqueue(t, db, sqldb.Job{Kind: "fail"})
		reaches(t, db, "discarded")
		mu.Lock()
		defer mu.Unlock()
		if len(seen) != attempts || len(paused) != attempts-1 {
			t.Fatalf("%d attempts and %d pauses, want %d and %d", len(seen), len(paused), attempts, attempts-1)
		}
		for i, job := range seen {
			if job.Attempt != i+1 || job.Last != (i == attempts-1) {
				t.Errorf("call %d was attempt %d (last: %t)", i+1, job.Attempt, job.Last)
			}
			if i > 0 && paused[i-1] != i {
				t.Errorf("pause %d was for attempt %d", i, paused[i-1])
			}
		}
	})
}

func TestBackoffIsRespected(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		db := openNew(t, engine)
		const pause = 250 * time.Millisecond
		calls := make(chan time.Time, 2)
		start(t, db, jobs.Config{
			PollInterval: 5 * time.Millisecond,
			Backoff:      func(int) time.Duration { return pause },
			Handlers: map[string]jobs.Handler{"fail": func(_ context.Context, job jobs.Job) error {
				calls <- time.Now()
				if job.Attempt == 1 {
					return errors.New("no luck")
				}
				return nil
			}},
		})
		enqueue(t, db, sqldb.Job{Kind: "fail"})
		first, second := receive(t, "attempt 1", calls), receive(t, "attempt 2", calls)
		if got := second.Sub(first); got < pause-time.Millisecond { // rows hold milliseconds
			t.Errorf("the second attempt came after %s, want %s", got, pause)
		}
	})
}

func TestTimeoutEndsAnAttempt(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		db := openNew(t, engine)
		start(t, db, jobs.Config{Timeout: 20 * time.Millisecond, MaxAttempts: 1, Handlers: map[string]jobs.Handler{
			"slow": func(ctx context.Context, _ jobs.Job) error { <-ctx.Done(); return ctx.Err() },
		}})
		enqueue(t, db, sqldb.Job{Kind: "slow"})
		if _, errs := reaches(t, db, "discarded"); !strings.Contains(errs, "time limit") {
			t.Errorf("errors %s do not tell of the time limit", errs)
		}
	})
}

// publicError is an error as libs/fault makes them.
type publicError struct{ reason string }

func (e publicError) Error() string  { return "cannot find " + secret }
func (e publicError) Reason() string { return e.reason }

func TestEndsAreToldWithoutData(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		for name, tt := range map[string]struct {
			handler jobs.Handler
			state   string
			says    string
		}{
			"plain error": {
				handler: func(context.Context, jobs.Job) error { return errors.New("cannot find " + secret) },
				state:   "discarded", says: "*errors.errorString",
			},
			"wrapped error": {
				handler: func(context.Context, jobs.Job) error {
					return fmt.Errorf("erase %s: %w", secret, errors.Join(publicError{reason: "Cannot find " + secret}))
				},
				state: "discarded", says: "jobs_test.publicError",
			},
			"public reason": {
				handler: func(context.Context, jobs.Job) error {
					return fmt.Errorf("erase %s: %w", secret, publicError{reason: "PARTICIPANT_SILENT"})
				},
				state: "discarded", says: "reason PARTICIPANT_SILENT",
			},
			"RPC error": {
				handler: func(context.Context, jobs.Job) error {
					return fmt.Errorf("erase: %w", status.Error(codes.NotFound, "no "+secret))
				},
				state: "discarded", says: "code NotFound",
			},
			"cancel": {
				handler: func(context.Context, jobs.Job) error { return jobs.Cancel(publicError{reason: "NO_SUCH_REQUEST"}) },
				state:   "cancelled", says: "reason NO_SUCH_REQUEST",
			},
			"cancel without cause": {
				handler: func(context.Context, jobs.Job) error { return jobs.Cancel(nil) },
				state:   "cancelled", says: "nil",
			},
			"panic": {
				handler: func(context.Context, jobs.Job) error { panic("cannot find " + secret) },
				state:   "discarded", says: "panic: value of type string",
			},
			"runtime panic": {
				handler: func(_ context.Context, job jobs.Job) error { _ = job.Args[1000]; return nil },
				state:   "discarded", says: "index out of range",
			},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				db := openNew(t, engine)
				var log buffer
				spans := tracetest.NewInMemoryExporter()
				tracer := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
				start(t, db, jobs.Config{
					MaxAttempts: 1,
					Handlers:    map[string]jobs.Handler{"end": tt.handler},
					Logger:      slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
					Tracer:      tracer,
				})
				enqueue(t, db, sqldb.Job{Kind: "end"})
				_, errs := reaches(t, db, tt.state)
				told := map[string]string{"row": errs, "log": log.String()}
				for _, span := range spans.GetSpans() {
					told["span"] += fmt.Sprintf("%+v", span)
				}
				for where, text := range told {
					if !strings.Contains(text, tt.says) {
						t.Errorf("the %s does not say %q: %s", where, tt.says, text)
					}
					if strings.Contains(text, secret) {
						t.Errorf("the %s holds personal data: %s", where, text)
					}
				}
				if !strings.Contains(told["log"], "final=true") || !strings.Contains(told["log"], "level=ERROR") {
					t.Errorf("the log does not say that this was final, as an error: %s", told["log"])
				}
			})
		}
	})
}

func TestDatabaseErrorsKeepTheirText(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		db := openNew(t, engine)
		start(t, db, jobs.Config{MaxAttempts: 1, Handlers: map[string]jobs.Handler{
			"end": func(ctx context.Context, _ jobs.Job) error {
				err := db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
					_, err := tx.Exec(ctx, `DELETE FROM pupils WHERE name = $1`, secret)
					return err
				})
				return fmt.Errorf("erase %s: %w", secret, err)
			},
		}})
		enqueue(t, db, sqldb.Job{Kind: "end"})
		if _, errs := reaches(t, db, "discarded"); !strings.Contains(errs, "pupils") || strings.Contains(errs, secret) {
			t.Errorf("errors %s", errs)
		}
	})
}

func TestJobContinuesTheTrace(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		db := openNew(t, engine)
		spans := tracetest.NewInMemoryExporter()
		tracer := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
		inHandler := make(chan trace.SpanContext, 1)
		start(t, db, jobs.Config{Tracer: tracer, Handlers: map[string]jobs.Handler{
			"greet": func(ctx context.Context, _ jobs.Job) error {
				inHandler <- trace.SpanContextFromContext(ctx)
				return nil
			},
		}})
		ctx, request := tracer.Tracer("test").Start(t.Context(), "request")
		enqueueIn(t, ctx, db, sqldb.Job{Kind: "greet"})
		request.End()
		got := receive(t, "the job", inHandler)
		if got.TraceID() != request.SpanContext().TraceID() {
			t.Errorf("the job has trace %s, its request %s", got.TraceID(), request.SpanContext().TraceID())
		}
		var span *tracetest.SpanStub
		eventually(t, "the job's span", func() bool {
			for _, s := range spans.GetSpans() {
				if s.Name == "job greet" {
					span = &s
					return true
				}
			}
			return false
		})
		if span.Parent.SpanID() != request.SpanContext().SpanID() || span.SpanKind != trace.SpanKindConsumer {
			t.Errorf("the span's parent is %s and its kind %s; want %s and consumer",
				span.Parent.SpanID(), span.SpanKind, request.SpanContext().SpanID())
		}
		if span.SpanContext.SpanID() != got.SpanID() {
			t.Error("the handler did not run in the job's span")
		}
	})
}

func TestWithoutTracerTheTraceStillReachesTheHandler(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		db := openNew(t, engine)
		inHandler := make(chan trace.SpanContext, 2)
		start(t, db, jobs.Config{Handlers: map[string]jobs.Handler{
			"greet": func(ctx context.Context, _ jobs.Job) error {
				inHandler <- trace.SpanContextFromContext(ctx)
				return nil
			},
		}})
		enqueue(t, db, sqldb.Job{Kind: "greet"})
		if got := receive(t, "the job without trace", inHandler); got.IsValid() {
			t.Errorf("a job without trace got %s", got.TraceID())
		}
		parent := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}})
		enqueueIn(t, trace.ContextWithSpanContext(t.Context(), parent), db, sqldb.Job{Kind: "greet"})
		if got := receive(t, "the job", inHandler); got.TraceID() != parent.TraceID() {
			t.Errorf("trace %s, want %s", got.TraceID(), parent.TraceID())
		}
	})
}

// buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
