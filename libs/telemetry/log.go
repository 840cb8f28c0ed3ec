package telemetry

import (
	"context"
	"io"
	"log/slog"
	"reflect"

	"go.opentelemetry.io/otel/trace"
)

// allowed are the keys of log attributes that get through. None of them ever names a person: they hold names of parts of the
// suite, ids that the suite made, ids of controllers, counts, durations and words from closed lists.
var allowed = map[string]bool{
	"service": true, "method": true, "code": true, "reason": true, "duration_ms": true, "trace_id": true, "span_id": true,
	"error_id": true, "error_kind": true, "status": true, "route": true,
	"controller": true, "system": true, "participant": true, "dataset": true, "resource": true, "state": true, "roster": true,
	"job": true, "job_id": true, "jobs": true, "kind": true, "attempt": true, "final": true,
	"count": true, "size": true, "index": true, "listen": true, "version": true, "event": true,
	"interval_ms": true, "migration": true, "stack": true,
}

// withheld stands in for what does not get through.
const withheld = "withheld"

// Logger makes a logger of JSON lines that lets only known attributes through; the value of any other is replaced by
// "withheld". An attribute is known when its key is on the list, in whatever group, and its value is a text, number, truth
// value, time or duration: errors and structured values, whose text nobody chose, are withheld under every key. Groups keep
// their names if those are on the list. Messages are constants, which the linter checks. Lines carry the trace they belong to.
func Logger(w io.Writer, level slog.Level) *slog.Logger {
	return slog.New(screen{slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level})})
}

// screen withholds unknown attributes and adds the ids of the trace in ctx.
type screen struct{ next slog.Handler }

func (s screen) Enabled(ctx context.Context, level slog.Level) bool {
	return s.next.Enabled(ctx, level)
}

func (s screen) Handle(ctx context.Context, r slog.Record) error {
	out := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		out.AddAttrs(screened(a))
		return true
	})
	if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
		out.AddAttrs(slog.String("trace_id", sc.TraceID().String()), slog.String("span_id", sc.SpanID().String()))
	}
	return s.next.Handle(ctx, out)
}

func (s screen) WithAttrs(attrs []slog.Attr) slog.Handler {
	return screen{s.next.WithAttrs(screenedAll(attrs))}
}

func (s screen) WithGroup(name string) slog.Handler { return screen{s.next.WithGroup(known(name))} }

// screened is what may be shown of an attribute. LogValuers are resolved first: what they give is judged as any other value.
func screened(a slog.Attr) slog.Attr {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindGroup:
		return slog.Attr{Key: known(a.Key), Value: slog.GroupValue(screenedAll(v.Group())...)}
	case slog.KindAny:
		v = plain(v.Any())
	case slog.KindLogValuer: // Resolve gave up on it
		v = slog.StringValue(withheld)
	default: // plain already
	}
	if !allowed[a.Key] {
		v = slog.StringValue(withheld)
	}
	return slog.Attr{Key: a.Key, Value: v}
}

func screenedAll(attrs []slog.Attr) []slog.Attr {
	out := make([]slog.Attr, 0, len(attrs))
	for _, a := range attrs {
		out = append(out, screened(a))
	}
	return out
}

// known is the name of a group, if it may be shown. A group without a name shows none: its members stand by themselves.
func known(name string) string {
	if name == "" || allowed[name] {
		return name
	}
	return withheld
}

// plain is a value of a named text or number type as what it is underneath; everything else is withheld, errors first.
func plain(v any) slog.Value {
	if _, is := v.(error); is {
		return slog.StringValue(withheld)
	}
	switch r := reflect.ValueOf(v); {
	case !r.IsValid():
		return slog.AnyValue(nil)
	case r.Kind() == reflect.String:
		return slog.StringValue(r.String())
	case r.Kind() == reflect.Bool:
		return slog.BoolValue(r.Bool())
	case r.CanInt():
		return slog.Int64Value(r.Int())
	case r.CanUint():
		return slog.Uint64Value(r.Uint())
	case r.CanFloat():
		return slog.Float64Value(r.Float())
	}
	return slog.StringValue(withheld)
}
