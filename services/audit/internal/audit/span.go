package audit

import (
	"context"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// traceEvent makes the span of an event that was accepted, in the trace that it was caused in, where that trace is kept.
func traceEvent(ctx context.Context, tracer trace.Tracer, e Event, start time.Time, clock Clock) {
	if e.TraceParent == "" || strings.HasSuffix(e.TraceParent, "-00") {
		return
	}
	reporting := trace.LinkFromContext(ctx)
	carrier := propagation.MapCarrier{"traceparent": e.TraceParent}
	ctx = propagation.TraceContext{}.Extract(trace.ContextWithSpanContext(ctx, trace.SpanContext{}), carrier)
	_, span := tracer.Start(ctx, "audit.append",
		trace.WithTimestamp(start),
		trace.WithLinks(reporting),
		trace.WithSpanKind(trace.SpanKindInternal),
		trace.WithAttributes(
			attribute.String("audit.event.id", string(e.ID)),
			attribute.String("audit.event.action", e.Action),
			attribute.String("audit.event.outcome", string(e.Outcome)),
			attribute.String("audit.event.service", e.Service),
		))
	span.End(trace.WithTimestamp(clock.Now()))
}
