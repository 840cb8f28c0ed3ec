package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"

	"github.com/privacyops/privacyops/gateway/cmd/privacyops/internal/suite"
	"github.com/privacyops/privacyops/libs/telemetry"
	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
	"github.com/privacyops/privacyops/services/participant/sample"
)

// observed is an installation of which a test sees what it emits.
type observed struct {
	*world
	spans   *tracetest.SpanRecorder
	log     *logLines
	metrics map[string]http.Handler
	options suite.Options // what the installation was started with
}

// newObserved starts an installation that logs everything and keeps its spans. Processors see the spans first.
func newObserved(t *testing.T, processors ...sdktrace.SpanProcessor) *observed {
	t.Helper()
	o := &observed{spans: tracetest.NewSpanRecorder(), log: &logLines{}, metrics: map[string]http.Handler{}}
	handlers := make(chan func(), 64) // one for each service and replica
	o.world = newWorld(t, func(s *setting) {
		s.suite.LogLevel, s.suite.LogTo = "debug", o.log
		s.suite.Spans = append(slices.Clone(processors), o.spans)
		s.suite.Observe = func(service string, tel *telemetry.Telemetry) {
			handlers <- func() { o.metrics[service] = tel.Metrics }
		}
		o.options = s.suite
	})
	for len(handlers) > 0 { // all have started
		(<-handlers)()
	}
	return o
}

// serviceOf is the service that a span was made in.
func serviceOf(s sdktrace.ReadOnlySpan) string {
	v, _ := s.Resource().Set().Value(semconv.ServiceNameKey)
	return v.AsString()
}

// inTrace are the spans of a trace that have ended, by their services and by service and name.
func (o *observed) inTrace(trace string) (services, names []string) {
	for _, s := range o.spans.Ended() {
		if s.SpanContext().TraceID().String() == trace {
			services, names = append(services, serviceOf(s)), append(names, serviceOf(s)+": "+s.Name())
		}
	}
	return services, names
}

func TestOneTraceFromApprovalToCertificate(t *testing.T) {
	t.Parallel()
	o := newObserved(t)
	e := o.as("platform").planned(sample.Pupil())
	dpo := o.as("dpo")
	resp, err := dpo.Do(t.Context(), http.MethodPost, "/v1/"+e.GetName()+":approve", "application/json",
		strings.NewReader(`{"planHash":"`+e.GetPlan().GetPlanHash()+`"}`))
	must(t, err)
	_ = resp.Body.Close()
	trace := resp.Header.Get("X-Request-Id")
	dpo.awaitErasure(e.GetName(), erasurev1.Erasure_COMPLETED)

	services, names := o.inTrace(trace)
	for end := time.Now().Add(patience); !slices.Contains(names, "erasure: job erasure.advance") && time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond) // the job ends a moment after it has told that the erasure is complete
		services, names = o.inTrace(trace)
	}
	for _, want := range []string{"gateway", "erasure", "participant", "audit", "consent"} {
		if !slices.Contains(services, want) {
			t.Errorf("the trace %s of the approval does not reach the service %s; it holds %q", trace, want, names)
		}
	}
	for _, want := range []string{"erasure: job erasure.advance", "participant: privacyops.participant.v1.Participant/Erase",
		"participant: privacyops.participant.v1.Participant/Verify"} {
		if !slices.Contains(names, want) {
			t.Errorf("the trace of the approval has no span %q; it holds %q", want, names)
		}
	}
	want := []string{"erasure.approve", "erasure.complete", "erasure.execute", "erasure.executed", "erasure.start", "erasure.verify"}
	for _, action := range want {
		found := o.events(`action = "`+action+`" AND trace_id = "`+trace+`"`, 1)
		if len(found) != 1 || found[0].GetTraceId() != trace {
			t.Errorf("the log has %d events %s in the trace %s", len(found), action, trace)
		}
	}
}
