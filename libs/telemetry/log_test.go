package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"pgregory.net/rapid"

	"github.com/privacyops/privacyops/libs/telemetry"
)

// secret is what no line may hold.
const secret = "anna.jensen@skole.example"

type (
	word   string
	number int
	person struct{ Email string }
	failed string
	reveal struct{ v slog.Value }
	mask   struct{}
	prints struct{}
)

func (f failed) Error() string              { return string(f) }
func (r reveal) LogValue() slog.Value       { return r.v }
func (mask) LogValue() slog.Value           { return slog.StringValue("user:[hidden]") }
func (prints) String() string               { return secret }
func (prints) MarshalText() ([]byte, error) { return []byte(secret), nil }

// line logs once and gives the line's members without time, level and message.
func line(t *testing.T, log func(*slog.Logger)) map[string]any {
	t.Helper()
	var out bytes.Buffer
	log(telemetry.Logger(&out, slog.LevelInfo))
	if n := strings.Count(out.String(), "\n"); n != 1 {
		t.Fatalf("%d lines: %q", n, out.String())
	}
	var m map[string]any
	if err := json.Unmarshal(out.Bytes(), &m); err != nil {
		t.Fatalf("%v: %q", err, out.String())
	}
	for _, k := range []string{"time", "level", "msg"} {
		if _, ok := m[k]; !ok {
			t.Errorf("no %s in %v", k, m)
		}
		delete(m, k)
	}
	return m
}

func TestOnlyKnownAttributesGetThrough(t *testing.T) {
	t.Parallel()
	type object = map[string]any
	group := func(name string, attrs ...slog.Attr) slog.Attr { return slog.GroupAttrs(name, attrs...) }
	err := fmt.Errorf("no account %s", secret)
	for _, tc := range []struct {
		name string
		attr slog.Attr
		want object
	}{
		{"known text", slog.String("reason", "NOT_FOUND"), object{"reason": "NOT_FOUND"}},
		{"known number", slog.Int("count", 7), object{"count": 7.0}},
		{"known truth", slog.Bool("final", true), object{"final": true}},
		{"known duration", slog.Duration("interval_ms", time.Second), object{"interval_ms": 1e9}},
		{"known nothing", slog.Any("state", nil), object{"state": nil}},
		{"named text", slog.Any("state", word("RUNNING")), object{"state": "RUNNING"}},
		{"named number", slog.Any("attempt", number(3)), object{"attempt": 3.0}},
		{"known valuer", slog.Any("resource", mask{}), object{"resource": "user:[hidden]"}},

		{"unknown text", slog.String("email", secret), object{"email": "withheld"}},
		{"unknown number", slog.Int("born", 2010), object{"born": "withheld"}},
		{"unknown valuer", slog.Any("subject", mask{}), object{"subject": "withheld"}},
		{"another case", slog.String("Reason", secret), object{"Reason": "withheld"}},
		{"a second message", slog.String("msg", secret), nil},
		{"error", slog.Any("reason", err), object{"reason": "withheld"}},
		{"joined errors", slog.Any("error_kind", errors.Join(err, err)), object{"error_kind": "withheld"}},
		{"error that is a text", slog.Any("reason", failed(secret)), object{"reason": "withheld"}},
		{"struct", slog.Any("reason", person{secret}), object{"reason": "withheld"}},
		{"pointer", slog.Any("reason", &person{secret}), object{"reason": "withheld"}},
		{"list", slog.Any("reason", []string{secret}), object{"reason": "withheld"}},
		{"map", slog.Any("reason", map[string]string{"a": secret}), object{"reason": "withheld"}},
		{"bytes", slog.Any("reason", []byte(secret)), object{"reason": "withheld"}},
		{"raw JSON", slog.Any("reason", json.RawMessage(`"`+secret+`"`)), object{"reason": "withheld"}},
		{"stringer", slog.Any("reason", prints{}), object{"reason": "withheld"}},
		{"valuer of an error", slog.Any("reason", reveal{slog.AnyValue(err)}), object{"reason": "withheld"}},
		{"valuer of a valuer of a struct", slog.Any("reason", reveal{slog.AnyValue(reveal{slog.AnyValue(person{secret})})}), object{"reason": "withheld"}},
		{"valuer of a group", slog.Any("reason", reveal{slog.GroupValue(slog.String("email", secret), slog.Int("count", 1))}),
			object{"reason": object{"email": "withheld", "count": 1.0}}},

		{"group", group("event", slog.String("email", secret), slog.String("reason", "R")), object{"event": object{"email": "withheld", "reason": "R"}}},
		{"group of an unknown name", group(secret, slog.String("reason", "R")), object{"withheld": object{"reason": "R"}}},
		{"group without a name", group("", slog.String("email", secret)), object{"email": "withheld"}},
		{"groups in groups", group("event", group("job", group("x", slog.Any("reason", err), slog.String("email", secret)))),
			object{"event": object{"job": object{"withheld": object{"reason": "withheld", "email": "withheld"}}}}},
	} {
		for way, log := range map[string]func(*slog.Logger){
			"attribute":   func(l *slog.Logger) { l.LogAttrs(t.Context(), slog.LevelInfo, "m", tc.attr) },
			"arguments":   func(l *slog.Logger) { l.Info("m", tc.attr) },
			"with":        func(l *slog.Logger) { l.With(tc.attr).Info("m") },
			"many before": func(l *slog.Logger) { l.Info("m", "count", 1, "count", 1, "count", 1, "count", 1, "count", 1, tc.attr) },
		} {
			var out bytes.Buffer
			log(telemetry.Logger(&out, slog.LevelInfo))
			_, said, _ := strings.Cut(out.String(), `"level"`) // the time before it holds any digits
			if strings.Contains(said, "anna") || strings.Contains(said, "2010") {
				t.Errorf("%s, as %s: %s", tc.name, way, out.String())
			}
		}
		if tc.want == nil {
			continue
		}
		got := line(t, func(l *slog.Logger) { l.LogAttrs(t.Context(), slog.LevelInfo, "m", tc.attr) })
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
}

func TestWithGroupHidesNothing(t *testing.T) {
	t.Parallel()
	got := line(t, func(l *slog.Logger) {
		l.WithGroup("event").With("email", secret).WithGroup(secret).Info("m", "reason", errors.New(secret), "email", secret, "count", 1)
	})
	want := map[string]any{"event": map[string]any{"email": "withheld",
		"withheld": map[string]any{"reason": "withheld", "email": "withheld", "count": 1.0}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLinesCarryTheirTrace(t *testing.T) {
	t.Parallel()
	tracer := sdktrace.NewTracerProvider()
	ctx, span := tracer.Tracer("test").Start(t.Context(), "s")
	defer span.End()
	got := line(t, func(l *slog.Logger) { l.With("service", "audit").InfoContext(ctx, "m") })
	want := map[string]any{"service": "audit", "trace_id": span.SpanContext().TraceID().String(), "span_id": span.SpanContext().SpanID().String()}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := line(t, func(l *slog.Logger) { l.InfoContext(t.Context(), "m") }); len(got) != 0 {
		t.Errorf("outside a trace a line has %v", got)
	}
}

func TestLevel(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	l := telemetry.Logger(&out, slog.LevelWarn)
	l.Info("quiet")
	if out.Len() != 0 || l.Enabled(context.Background(), slog.LevelInfo) || !l.Enabled(context.Background(), slog.LevelWarn) {
		t.Errorf("below its level a logger writes %q", out.String())
	}
}

// TestOneLineStaysOneLine logs texts full of what ends lines, moves cursors or hides what follows.
func TestOneLineStaysOneLine(t *testing.T) {
	t.Parallel()
	bad := []string{"\n", "\r", "\r\n", "\x1b[2K", "\x1b]0;x\a", "\u2028", "\u2029", "\x00", "\x85", "\"", `\`, "}", "{\"level\":\"ERROR\"}", "a"}
	rapid.Check(t, func(r *rapid.T) {
		text := strings.Join(rapid.SliceOf(rapid.SampledFrom(bad)).Draw(r, "text"), "")
		var out bytes.Buffer
		telemetry.Logger(&out, slog.LevelInfo).Info(text, "reason", text, text, text, slog.Group(text, "reason", text))
		s := out.String()
		if strings.IndexByte(s, '\n') != len(s)-1 || strings.ContainsAny(s, "\r\x1b\x00\u2028\u2029") {
			r.Fatalf("a line was broken: %q", s)
		}
		if !json.Valid(out.Bytes()) {
			r.Fatalf("a line is no JSON: %q", s)
		}
	})
}

func ExampleLogger() {
	out := &bytes.Buffer{}
	log := telemetry.Logger(out, slog.LevelInfo)
	log.Info("consent given", "controller", "north-school", "email", "anna@skole.example")
	_, rest, _ := bytes.Cut(out.Bytes(), []byte(`"level"`))
	fmt.Fprintf(os.Stdout, `{…"level"%s`, rest)
	// Output: {…"level":"INFO","msg":"consent given","controller":"north-school","email":"withheld"}
}
