package jobs

import (
	"context"
	"encoding/json"
	"log/slog"
	"runtime/debug"

	"github.com/riverqueue/river"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// args takes any job's arguments from River, which otherwise has one Go type per kind.
type args struct {
	kind string
	json json.RawMessage
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
	// River compares with the limit that the enqueuer's process knew; the runner's counts.
	job.MaxAttempts = w.cfg.MaxAttempts
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
		w.cfg.Logger.LogAttrs(ctx, slog.LevelWarn, "job failed",
			slog.String("kind", w.kind),
			slog.Int64("job_id", job.ID),
			slog.Int("attempt", job.Attempt),
			slog.Bool("final", end.verdict == cancelled || job.Attempt >= job.MaxAttempts),
			slog.String("cause", end.text))
	}
	return end.forRiver()
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
