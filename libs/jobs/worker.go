package jobs

import (
	"context"
	"encoding/json"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/riverqueue/river"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// args takes any job's arguments from River, which otherwise has one Go type per kind.
type args struct {
	kind   string
	json   json.RawMessage
	worked bool // by this process
}

// Kind tells River which jobs the worker registered with these args is for.
func (a args) Kind() string { return a.kind }

// UnmarshalJSON keeps the stored text for the handler.
func (a *args) UnmarshalJSON(text []byte) error {
	a.json = append(json.RawMessage(nil), text...)
	return nil
}

// worker is River's view of one Handler.
type worker struct {
	river.WorkerDefaults[args]
	kind    string
	handler Handler
	cfg     Config
	tracer  trace.Tracer
}

// Work runs one attempt and reports its end to River in words that hold no data.
func (w *worker) Work(ctx context.Context, job *river.Job[args]) error {
	job.MaxAttempts = w.cfg.MaxAttempts // River compares with the row's, see sqldb.JobMaxAttempts
	job.Args.worked = true
	ctx, span := w.tracer.Start(continued(ctx, job.Metadata), "job "+w.kind,
		trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithAttributes(
			attribute.String("job.kind", w.kind),
			attribute.Int64("job.id", job.ID),
			attribute.Int("job.attempt", job.Attempt),
		))
	defer span.End()

	end := conclude(ctx, w.attempt(ctx, job))
	if end.failed() {
		span.SetStatus(codes.Error, end.text)
		w.log(ctx, job, end)
	}
	return end.forRiver()
}

// NextRetry says when to try again: after the pause for failures, or at once when River
// asks for a job whose process died, which is no reason to wait.
func (w *worker) NextRetry(job *river.Job[args]) time.Time {
	if !job.Args.worked {
		return time.Now()
	}
	return retryPolicy(w.cfg.Backoff).NextRetry(job.JobRow)
}

// log tells of a failure: a warning, or an error if the work will not be done.
func (w *worker) log(ctx context.Context, job *river.Job[args], end outcome) {
	level, final := slog.LevelWarn, end.verdict == cancelled || job.Attempt >= job.MaxAttempts
	if final {
		level = slog.LevelError
	}
	w.cfg.Logger.LogAttrs(ctx, level, "job failed",
		slog.String("kind", w.kind),
		slog.Int64("job_id", job.ID),
		slog.Int("attempt", job.Attempt),
		slog.Bool("final", final),
		slog.String("cause", end.text))
}

// attempt calls the handler and turns a panic into an error.
func (w *worker) attempt(ctx context.Context, job *river.Job[args]) (err error) {
	if job.Attempt > job.MaxAttempts {
		// Only a crash gets here: an attempt that ended by itself has been noted.
		return errExhausted
	}
	defer func() {
		if value := recover(); value != nil {
			err = panicked{value}
			w.cfg.Logger.LogAttrs(ctx, slog.LevelError, "job handler panicked",
				slog.String("kind", w.kind),
				slog.Int64("job_id", job.ID),
				slog.String("stack", string(debug.Stack())))
		}
	}()
	return w.handler(ctx, Job{
		Kind:    w.kind,
		Args:    job.Args.json,
		Attempt: job.Attempt,
		Last:    job.Attempt >= job.MaxAttempts,
	})
}

// continued puts the trace context that the enqueuer stored into ctx.
func continued(ctx context.Context, metadata []byte) context.Context {
	var stored struct {
		Traceparent string `json:"traceparent"`
		Tracestate  string `json:"tracestate"`
	}
	if err := json.Unmarshal(metadata, &stored); err != nil {
		return ctx // a job without a trace is still a job
	}
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{
		"traceparent": stored.Traceparent,
		"tracestate":  stored.Tracestate,
	})
}
