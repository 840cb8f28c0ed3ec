package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Clock tells the time.
type Clock interface {
	Now() time.Time
}

// Recorder accepts reported events.
type Recorder struct {
	inbox  Inbox
	clock  Clock
	tracer trace.Tracer
	wake   func()
}

// NewRecorder returns a recorder that stores into inbox, takes times of receipt from clock, makes its spans with tracer
// and calls wake after it has accepted something new.
func NewRecorder(inbox Inbox, clock Clock, tracer trace.Tracer, wake func()) *Recorder {
	return &Recorder{inbox: inbox, clock: clock, tracer: tracer, wake: wake}
}

// InvalidEventError says that the event at Position of a report breaks a rule.
type InvalidEventError struct {
	Position int
	Err      *FieldError
}

// Error implements error.
func (e *InvalidEventError) Error() string { return fmt.Sprintf("events[%d].%v", e.Position, e.Err) }

// Unwrap returns the *FieldError.
func (e *InvalidEventError) Unwrap() error { return e.Err }

// Accept takes a report: events in the order in which they happened. When it returns without an error, every event whose
// receipt is not Conflict is durable and will be in the log. An event that breaks a rule refuses the whole report with an
// *InvalidEventError and stores nothing.
//
// Each new event that carries a trace context gets a span `audit.append` in that trace, so that whoever follows a request
// sees that it was recorded. Decisions that share an event get none.
func (r *Recorder) Accept(ctx context.Context, events []Event) ([]Receipt, error) {
	events = slices.Clone(events)
	for i, e := range events {
		events[i] = e.Canonical()
		if err := checkReport(e); err != nil {
			return nil, &InvalidEventError{i, err}
		}
	}
	if len(events) == 0 {
		return nil, nil
	}
	start := r.clock.Now()
	receipts, err := r.inbox.Accept(ctx, canonicalTime(start), events)
	if err != nil {
		return nil, err
	}
	accepted := false
	for i, receipt := range receipts {
		if receipt.Status == Accepted {
			accepted = true
			r.trace(ctx, events[i], start)
		}
	}
	if accepted && r.wake != nil {
		r.wake()
	}
	return receipts, nil
}

// checkReport checks an event's form and that its leaf, with the longest stamps there are, will not be too long.
func checkReport(e Event) *FieldError {
	widest := Entry{Event: e, ReceivedTime: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), ControllerSequence: maxSequence}
	_, err := widest.Leaf()
	if err == nil {
		return nil
	}
	if f := (*FieldError)(nil); errors.As(err, &f) {
		return f
	}
	return &FieldError{"event", "has no canonical JSON form"}
}

func (r *Recorder) trace(ctx context.Context, e Event, start time.Time) {
	if e.TraceParent == "" {
		return
	}
	reporting := trace.LinkFromContext(ctx)
	carrier := propagation.MapCarrier{"traceparent": e.TraceParent}
	ctx = propagation.TraceContext{}.Extract(trace.ContextWithSpanContext(ctx, trace.SpanContext{}), carrier)
	_, span := r.tracer.Start(ctx, "audit.append",
		trace.WithTimestamp(start),
		trace.WithLinks(reporting),
		trace.WithSpanKind(trace.SpanKindInternal),
		trace.WithAttributes(
			attribute.String("audit.event.id", string(e.ID)),
			attribute.String("audit.event.action", e.Action),
			attribute.String("audit.event.outcome", string(e.Outcome)),
			attribute.String("audit.event.service", e.Service),
		))
	span.End(trace.WithTimestamp(r.clock.Now()))
}

func sortedSet[T ~string](in []T) []T {
	out := slices.Clone(in)
	slices.Sort(out)
	return slices.Compact(out)
}
