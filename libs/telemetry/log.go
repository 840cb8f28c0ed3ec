package telemetry

import (
	"context"
	"io"
	"log/slog"

	"go.opentelemetry.io/otel/trace"
)

// allowed are the keys of log attributes that get through. None of them ever names a person: they hold names of parts of the
// suite, ids that the suite made, ids of controllers, counts, durations and words from closed lists.
var allowed = map[string]bool{
	"service": true, "method": true, "code": true, "reason": true, "duration_ms": true, "trace_id": true, "span_id": true,
	"error_id": true, "error_kind": true, "status": true, "route": true,
	"controller": true, "system": true, "participant": true, "dataset": true, "resource": true, "state": true, "roster": true,
	"job": true, "attempt": true, "count": true, "size": true, "index": true, "address": true, "version": true, "event": true,
	"interval_ms": true, "migration": true, "stack": true,
}

// Logger makes a logger of JSON lines that lets only attributes with known keys through; the value of any other is replaced
// by "withheld". Lines carry the trace they belong to.
func Logger(w io.Writer, level slog.Level) *slog.Logger {
	h := slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		switch a.Key {
		case slog.TimeKey, slog.LevelKey, slog.MessageKey:
			return a
		}
		if !allowed[a.Key] {
			return slog.String(a.Key, "withheld")
		}
		return a
	}})
	return slog.New(traced{h})
}

// traced adds the ids of the trace in ctx.
type traced struct{ slog.Handler }

func (h traced) Handle(ctx context.Context, r slog.Record) error {
	if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
		r.AddAttrs(slog.String("trace_id", sc.TraceID().String()), slog.String("span_id", sc.SpanID().String()))
	}
	return h.Handler.Handle(ctx, r)
}

func (h traced) WithAttrs(attrs []slog.Attr) slog.Handler { return traced{h.Handler.WithAttrs(attrs)} }

func (h traced) WithGroup(name string) slog.Handler { return traced{h.Handler.WithGroup(name)} }
