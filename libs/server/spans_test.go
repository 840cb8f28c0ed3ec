package server_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"

	"github.com/privacyops/privacyops/libs/server"
	"github.com/privacyops/privacyops/libs/telemetry"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
)

// TestSpans makes calls in a trace and looks at the server's spans of them.
func TestSpans(t *testing.T) {
	t.Parallel()
	seen := tracetest.NewInMemoryExporter()
	tel, err := telemetry.New(t.Context(), telemetry.Config{Service: "consent", Log: &lines{},
		SpanProcessors: []sdktrace.SpanProcessor{sdktrace.NewSimpleSpanProcessor(seen)}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tel.Shutdown(context.Background()) }()
	var within trace.SpanContext // of the last call
	h := &handlers{
		get: func(ctx context.Context, req *consentv1.GetControllerRequest) (*consentv1.Controller, error) {
			within = trace.SpanContextFromContext(ctx)
			switch req.GetName() {
			case "controllers/broken":
				return nil, errors.New("broken about " + secret)
			case "controllers/panics":
				panic(secret)
			}
			return &consentv1.Controller{}, nil
		},
		watch: func(stream grpc.ServerStreamingServer[erasurev1.Erasure]) error {
			within = trace.SpanContextFromContext(stream.Context())
			return stream.Send(&erasurev1.Erasure{})
		},
	}
	s := start(t, h, func(cfg *server.Config) { cfg.Telemetry = tel })
	conn := s.dial("gateway")
	register, erasures := consentv1.NewRegisterClient(conn), erasurev1.NewErasuresClient(conn)
	everywhere := s.token("operator", "*")
	get := func(ctx context.Context, name string) {
		_, _ = register.GetController(as(ctx, everywhere), &consentv1.GetControllerRequest{Name: name})
	}
	const rpc = " SpanKind=server rpc.system.name=grpc "
	for n, tc := range []struct {
		name string
		call func(context.Context)
		want string // of the span; empty: there is none
	}{
		{"answered", func(ctx context.Context) { get(ctx, "controllers/north") },
			"privacyops.consent.v1.Register/GetController" + rpc + "rpc.response.status_code=OK Unset"},
		{"refused", func(ctx context.Context) { get(ctx, "north") },
			"privacyops.consent.v1.Register/GetController" + rpc + "rpc.response.status_code=INVALID_ARGUMENT Unset"},
		{"failed", func(ctx context.Context) { get(ctx, "controllers/broken") },
			"privacyops.consent.v1.Register/GetController" + rpc + "rpc.response.status_code=INTERNAL Error"},
		{"panicked", func(ctx context.Context) { get(ctx, "controllers/panics") },
			"privacyops.consent.v1.Register/GetController" + rpc + "rpc.response.status_code=INTERNAL Error"},
		{"streamed", func(ctx context.Context) {
			stream, err := erasures.WatchErasure(as(ctx, s.token("dpo", "north")), &erasurev1.WatchErasureRequest{Name: "controllers/north/erasures/01980f0e-0000-7000-8000-000000000001"})
			for err == nil {
				_, err = stream.Recv()
			}
		}, "privacyops.erasure.v1.Erasures/WatchErasure" + rpc + "rpc.response.status_code=OK Unset"},
		{"not sampled", func(ctx context.Context) {
			parent := trace.SpanContextFromContext(ctx)
			get(trace.ContextWithSpanContext(ctx, parent.WithTraceFlags(0)), "controllers/north")
		}, ""},
	} {
		seen.Reset()
		within = trace.SpanContext{}
		id := trace.TraceID{15: byte(n + 1)}
		tc.call(trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: trace.SpanID{1}, TraceFlags: trace.FlagsSampled})))
		var got string
		for _, span := range await(t, seen, tc.want != "") {
			if span.SpanContext.TraceID() != id || !span.Parent.IsRemote() {
				t.Errorf("%s: span of trace %s, parent %+v; want trace %s", tc.name, span.SpanContext.TraceID(), span.Parent, id)
			}
			got += brieflyOf(t, span)
		}
		if d := cmp.Diff(tc.want, got); d != "" {
			t.Errorf("%s: %s", tc.name, d)
		}
		if tc.name != "refused" && within.TraceID() != id {
			t.Errorf("%s: the handler runs in trace %s, want %s", tc.name, within.TraceID(), id)
		}
	}
}

// await gives the spans of a call that was made. They end after its answer has left, in which case one is waited for.
func await(t *testing.T, seen *tracetest.InMemoryExporter, some bool) tracetest.SpanStubs {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); some && len(seen.GetSpans()) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the call left no span")
		}
	}
	return seen.GetSpans()
}

// brieflyOf is a span in a line; that it says nothing of a person, and where it was answered, is checked here.
func brieflyOf(t *testing.T, span tracetest.SpanStub) string {
	t.Helper()
	if all := fmt.Sprintf("%+v", span); strings.Contains(all, secret) {
		t.Errorf("a span names a person: %s", all)
	}
	words := []string{span.Name, "SpanKind=" + span.SpanKind.String()}
	var where []string
	for _, a := range span.Attributes {
		text := string(a.Key) + "=" + a.Value.String()
		switch {
		case strings.HasPrefix(text, "server."):
			where = append(where, string(a.Key))
		case a.Key != "rpc.method":
			words = append(words, text)
		case a.Value.AsString() != span.Name:
			t.Errorf("the method is %s", text)
		}
	}
	if !slices.Equal(where, []string{"server.address", "server.port"}) {
		t.Errorf("where it was answered: %v", where)
	}
	return strings.Join(append(words, span.Status.Code.String()), " ")
}
