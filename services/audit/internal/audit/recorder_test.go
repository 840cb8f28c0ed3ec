package audit_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
	"github.com/privacyops/privacyops/services/audit/internal/store/storetest" //nolint:depguard // its events serve these tests too
)

func newRecorder(t *testing.T, s audit.Inbox, wake func()) (*audit.Recorder, *fixedClock, *tracetest.SpanRecorder) {
	t.Helper()
	spans := tracetest.NewSpanRecorder()
	provider := trace.NewTracerProvider(trace.WithSpanProcessor(spans))
	clock := &fixedClock{now: storetest.Base}
	return audit.NewRecorder(s, clock, provider.Tracer("test"), wake), clock, spans
}

func TestRecorderStampsItsOwnTime(t *testing.T) {
	t.Parallel()
	s, _ := openStore(t)
	woken := 0
	r, clock, _ := newRecorder(t, s, func() { woken++ })
	ahead := storetest.Event("school-a", 1)
	ahead.OccurredTime = storetest.Base.Add(time.Hour) // the reporter's clock is fast
	for i, step := range []struct {
		now  time.Time
		want time.Time
	}{
		{storetest.Base.Add(1500 * time.Nanosecond), storetest.Base.Add(time.Microsecond)},
		{storetest.Base.Add(-time.Hour), storetest.Base.Add(time.Microsecond)}, // our own clock was set back
		{storetest.Base.Add(time.Second), storetest.Base.Add(time.Second)},
	} {
		event := ahead
		event.ID = storetest.Event("", i).ID
		clock.set(step.now)
		receipts, err := r.Accept(context.Background(), []audit.Event{event})
		if err != nil || !receipts[0].ReceivedTime.Equal(step.want) {
			t.Fatalf("report %d: %+v, %v, want it received at %v", i, receipts, err, step.want)
		}
	}
	record, err := s.Get(context.Background(), "school-a", storetest.Event("", 0).ID)
	if err != nil || !record.OccurredTime.Equal(storetest.Base.Add(time.Hour)) {
		t.Errorf("the reporter's time became %v (%v)", record.OccurredTime, err)
	}
	if woken != 3 {
		t.Errorf("the sequencer was woken %d times, want 3", woken)
	}
	ahead.ID = storetest.Event("", 0).ID
	if _, err := r.Accept(context.Background(), []audit.Event{ahead}); err != nil || woken != 3 {
		t.Errorf("a repetition woke the sequencer (%d times, %v)", woken, err)
	}
}

func TestRecorderRefusesTheWholeReport(t *testing.T) {
	t.Parallel()
	s, _ := openStore(t)
	r, _, spans := newRecorder(t, s, nil)
	bad := storetest.Event("school-a", 2)
	bad.Actor.Ref = "not a pseudonym"
	_, err := r.Accept(context.Background(), []audit.Event{storetest.Event("school-a", 1), bad})
	var invalid *audit.InvalidEventError
	if !errors.As(err, &invalid) || invalid.Position != 1 || invalid.Err.Field != "actor.ref" {
		t.Fatalf("Accept = %v, want a complaint about the reference in event 1", err)
	}
	if n, _, err := s.Backlog(context.Background()); err != nil || n != 0 {
		t.Errorf("%d events were stored (%v)", n, err)
	}
	if len(spans.Ended()) != 0 {
		t.Error("a refused report left spans")
	}
	if receipts, err := r.Accept(context.Background(), nil); err != nil || len(receipts) != 0 {
		t.Errorf("an empty report: %v, %v", receipts, err)
	}
}

// TestRecorderContinuesTraces: whoever looks at the trace of a request sees that it was recorded, once.
func TestRecorderContinuesTraces(t *testing.T) {
	t.Parallel()
	s, _ := openStore(t)
	r, _, spans := newRecorder(t, s, nil)
	ctx, reporting := trace.NewTracerProvider().Tracer("test").Start(context.Background(), "report")
	traced, untraced := storetest.Event("school-a", 1), storetest.Event("school-a", 2)
	untraced.TraceParent = ""
	for range 2 {
		if _, err := r.Accept(ctx, []audit.Event{traced, untraced}); err != nil {
			t.Fatal(err)
		}
	}
	if len(spans.Ended()) != 1 {
		t.Fatalf("%d spans, want one for the one event that has a trace", len(spans.Ended()))
	}
	span := spans.Ended()[0]
	if span.Name() != "audit.append" || !span.Parent().IsRemote() ||
		span.SpanContext().TraceID().String() != traced.TraceID() || span.Parent().SpanID().String() != traced.TraceParent[36:52] {
		t.Errorf("span %q has parent %v", span.Name(), span.Parent())
	}
	if len(span.Links()) != 1 || span.Links()[0].SpanContext.TraceID() != reporting.SpanContext().TraceID() {
		t.Errorf("the span does not lead to the call that reported it: %v", span.Links())
	}
}
