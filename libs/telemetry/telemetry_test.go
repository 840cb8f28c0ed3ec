package telemetry_test

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/goleak"

	"github.com/privacyops/privacyops/libs/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newTelemetry(t *testing.T, cfg telemetry.Config) *telemetry.Telemetry {
	t.Helper()
	tel, err := telemetry.New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tel.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return tel
}

func TestEachServiceEmitsAsItself(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	spans := tracetest.NewInMemoryExporter()
	audit := newTelemetry(t, telemetry.Config{Service: "audit", Log: &out, SpanProcessors: []sdktrace.SpanProcessor{sdktrace.NewSimpleSpanProcessor(spans)}})
	export := newTelemetry(t, telemetry.Config{Service: "export", Log: io.Discard})

	_, span := audit.Tracer.Tracer("test").Start(t.Context(), "work")
	span.End()
	_, other := export.Tracer.Tracer("test").Start(t.Context(), "work elsewhere")
	other.End()
	got := spans.GetSpans()
	if len(got) != 1 || got[0].Name != "work" {
		t.Fatalf("spans of audit: %v", got)
	}
	resource := got[0].Resource.String()
	if !strings.Contains(resource, "service.name=audit") || !strings.Contains(resource, "service.namespace=privacyops") {
		t.Errorf("resource = %s", resource)
	}
	audit.Log.Info("m")
	if !strings.Contains(out.String(), `"service":"audit"`) {
		t.Errorf("line = %s", out.String())
	}
}

func TestMetricsAreServed(t *testing.T) {
	t.Parallel()
	tel := newTelemetry(t, telemetry.Config{Service: "audit", Log: io.Discard})
	counter, err := tel.Meter.Meter("test").Int64Counter("entries")
	if err != nil {
		t.Fatal(err)
	}
	counter.Add(t.Context(), 3)
	rec := httptest.NewRecorder()
	tel.Metrics.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	if rec.Code != http.StatusOK || !strings.Contains(rec.Body.String(), "entries_total{") || !strings.Contains(rec.Body.String(), "} 3\n") {
		t.Errorf("answer %d:\n%s", rec.Code, rec.Body.String())
	}
}

// TestPropagatorCarriesNoBaggage: baggage could carry anything, from anyone.
func TestPropagatorCarriesNoBaggage(t *testing.T) {
	t.Parallel()
	member, err := baggage.NewMember("user", "anna")
	if err != nil {
		t.Fatal(err)
	}
	bag, err := baggage.New(member)
	if err != nil {
		t.Fatal(err)
	}
	ctx, span := sdktrace.NewTracerProvider().Tracer("test").Start(baggage.ContextWithBaggage(t.Context(), bag), "s")
	defer span.End()
	carrier := propagation.MapCarrier{}
	telemetry.Propagator().Inject(ctx, carrier)
	if carrier["traceparent"] == "" || carrier["baggage"] != "" {
		t.Errorf("sent: %v", carrier)
	}
	back := telemetry.Propagator().Extract(t.Context(), propagation.MapCarrier{"baggage": "user=anna"})
	if baggage.FromContext(back).Len() != 0 {
		t.Error("baggage from outside was taken in")
	}
}

// collector counts what arrives at an OTLP endpoint.
func collector(t *testing.T) (address string, got func(path string) int64) {
	t.Helper()
	var traces, metrics atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v1/traces":
			traces.Add(1)
		case "/v1/metrics":
			metrics.Add(1)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL, func(path string) int64 {
		if path == "traces" {
			return traces.Load()
		}
		return metrics.Load()
	}
}

// TestStandardVariables is not parallel, as the environment is everybody's.
func TestStandardVariables(t *testing.T) {
	for _, tc := range []struct {
		name            string
		env             map[string]string // ADDRESS stands for the collector
		traces, metrics bool
		refused         bool
	}{
		{name: "nothing set"},
		{name: "endpoint", env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "ADDRESS"}, traces: true, metrics: true},
		{name: "endpoint of traces", env: map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "ADDRESS/v1/traces"}, traces: true},
		{name: "endpoint of metrics", env: map[string]string{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "ADDRESS/v1/metrics"}, metrics: true},
		{name: "no traces", env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "ADDRESS", "OTEL_TRACES_EXPORTER": "none"}, metrics: true},
		{name: "sampler", env: map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "ADDRESS", "OTEL_TRACES_SAMPLER": "always_off"}, metrics: true},
		{name: "unknown exporter of traces", env: map[string]string{"OTEL_TRACES_EXPORTER": "pigeon"}, refused: true},
		{name: "unknown exporter of metrics", env: map[string]string{"OTEL_METRICS_EXPORTER": "pigeon"}, refused: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			address, got := collector(t)
			t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
			for k, v := range tc.env {
				t.Setenv(k, strings.ReplaceAll(v, "ADDRESS", address))
			}
			tel, err := telemetry.New(t.Context(), telemetry.Config{Service: "audit", Log: io.Discard})
			if tc.refused {
				if err == nil {
					t.Error("it starts")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			_, span := tel.Tracer.Tracer("test").Start(t.Context(), "s")
			span.End()
			counter, err := tel.Meter.Meter("test").Int64Counter("entries")
			if err != nil {
				t.Fatal(err)
			}
			counter.Add(t.Context(), 1)
			if err := tel.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			if traces, metrics := got("traces") > 0, got("metrics") > 0; traces != tc.traces || metrics != tc.metrics {
				t.Errorf("traces arrived: %v, want %v; metrics arrived: %v, want %v", traces, tc.traces, metrics, tc.metrics)
			}
		})
	}
}
