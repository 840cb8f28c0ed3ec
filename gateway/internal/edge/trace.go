package edge

import (
	"context"
	"net/http"
	"slices"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/privacyops/privacyops/gateway/internal/route"
	"github.com/privacyops/privacyops/libs/telemetry"
)

// start begins the span of a request, with the names and attributes of the OpenTelemetry conventions for HTTP as far as they say
// nothing of the client: otelhttp would put the path, the host, the client's address and its user agent into it. It is a trace of
// its own, with a link to the one that the client named; a client's tracestate could carry anything and is dropped.
func (d *door) start(ctx context.Context, r *http.Request, m *route.Match) (context.Context, trace.Span) {
	ctx, span := d.tracer.Start(ctx, pattern(r.Method, m), trace.WithNewRoot(), trace.WithSpanKind(trace.SpanKindServer))
	if !span.IsRecording() {
		return ctx, span
	}
	span.SetAttributes(attribute.String("http.request.method", knownMethod(r.Method)))
	if m != nil {
		span.SetAttributes(attribute.String("http.route", m.Template))
	}
	client := telemetry.Propagator().Extract(context.Background(), propagation.MapCarrier{"traceparent": r.Header.Get("Traceparent")})
	if sc := trace.SpanContextFromContext(client); sc.IsValid() {
		span.AddLink(trace.Link{SpanContext: sc})
	}
	return ctx, span
}

// end ends a span with the status of the answer.
func end(span trace.Span, status int) {
	if !span.IsRecording() {
		return
	}
	span.SetAttributes(attribute.Int("http.response.status_code", status))
	if status >= http.StatusInternalServerError {
		span.SetStatus(codes.Error, "")
	}
	span.End()
}

// pattern names a request by its route.
func pattern(method string, m *route.Match) string {
	if m == nil {
		return knownMethod(method) + " unmatched"
	}
	return m.Method + " " + m.Template
}

// knownMethod is the method where it is one of HTTP's own: a client may send any word.
func knownMethod(method string) string {
	if slices.Contains(methods, method) {
		return method
	}
	return "_OTHER"
}

var methods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
	http.MethodConnect, http.MethodOptions, http.MethodTrace}
