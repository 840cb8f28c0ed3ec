package audit_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/goleak"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
	"github.com/privacyops/privacyops/services/audit/internal/store/storetest" //nolint:depguard // its events serve these tests too
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errInjected = errors.New("injected fault")

// desk is a recorder with all that it works with.
type desk struct {
	*audit.Recorder
	follower *audit.Follower
	index    audit.Index
	log      *memoryLog
	clock    *fixedClock
	spans    *tracetest.SpanRecorder
}

// newDesk opens a recorder on an index and a log, as a service does that starts.
func newDesk(t require, index audit.Index, log *memoryLog, options ...func(*audit.RecorderOptions, *audit.FollowerOptions)) *desk {
	t.Helper()
	d := &desk{index: index, log: log, clock: &fixedClock{now: storetest.Base}, spans: tracetest.NewSpanRecorder()}
	ropts, fopts := audit.RecorderOptions{}, audit.FollowerOptions{Batch: 3, Backoff: time.Millisecond}
	for _, o := range options {
		o(&ropts, &fopts)
	}
	provider := trace.NewTracerProvider(trace.WithSpanProcessor(d.spans))
	d.follower = audit.NewFollower(index, log, fopts)
	d.Recorder = audit.NewRecorder(log, index, d.follower, d.clock, provider.Tracer("test"), ropts)
	if err := d.Recover(context.Background()); err != nil {
		t.Fatalf("Recover: %v", err)
	}
	return d
}

// require is what *testing.T and *rapid.T have in common.
type require interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

func openDesk(t *testing.T) *desk {
	t.Helper()
	s, _ := openStore(t)
	return newDesk(t, s, &memoryLog{})
}

// follow runs the follower until the test ends or the returned function is called.
func (d *desk) follow(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.follower.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v, want nil when it is told to stop", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// accept reports events that are all right, and gives their receipts.
func (d *desk) accept(t require, events ...audit.Event) []audit.Receipt {
	t.Helper()
	receipts, err := d.Accept(context.Background(), events)
	if err != nil || len(receipts) != len(events) {
		t.Fatalf("Accept = %d receipts, %v, want %d", len(receipts), err, len(events))
	}
	return receipts
}

// settle waits until the index has all that was recorded.
func (d *desk) settle(t require) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if !d.follower.Settle(ctx) {
		t.Fatalf("the index does not come forward")
	}
}

func eventIDs(events []audit.Event) []audit.EventID {
	var out []audit.EventID
	for _, e := range events {
		out = append(out, e.ID)
	}
	return out
}

// requireSound brings the index to the log's end as a start does, and checks that they agree and hold exactly these events, each
// once, in this order.
func requireSound(t require, index audit.Index, log *memoryLog, want []audit.EventID) {
	t.Helper()
	if _, err := audit.NewFollower(index, log, audit.FollowerOptions{}).CatchUp(context.Background()); err != nil {
		t.Fatalf("CatchUp: %v", err)
	}
	if diff := cmp.Diff(want, log.ids(t)); diff != "" {
		t.Errorf("the log (-want +got):\n%s", diff)
	}
	report, err := audit.NewVerifier(index, log, log).Verify(context.Background())
	if err != nil || report.Finding != nil || report.Checked != uint64(len(want)) {
		t.Errorf("Verify = %+v (%+v), %v, want %d right", report, report.Finding, err, len(want))
	}
}

func TestRecorderStampsItsOwnTime(t *testing.T) {
	t.Parallel()
	d := openDesk(t)
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
		d.clock.set(step.now)
		want := audit.Receipt{ID: event.ID, Status: audit.Accepted, ReceivedTime: step.want, ControllerSequence: uint64(i + 1)}
		if got := d.accept(t, event)[0]; got != want {
			t.Fatalf("report %d: %+v, want %+v", i, got, want)
		}
	}
	d.follow(t)
	d.settle(t)
	record, err := d.index.Get(context.Background(), "school-a", storetest.Event("", 0).ID)
	if err != nil || !record.OccurredTime.Equal(storetest.Base.Add(time.Hour)) {
		t.Errorf("the reporter's time became %v (%v)", record.OccurredTime, err)
	}
	d.clock.set(storetest.Base) // also a service that starts anew goes on behind what it has
	again := newDesk(t, d.index, d.log)
	if got := again.accept(t, storetest.Event("school-b", 9))[0]; !got.ReceivedTime.Equal(storetest.Base.Add(time.Second)) || got.ControllerSequence != 1 {
		t.Errorf("after a start: %+v", got)
	}
}

func TestRecorderRefusesTheWholeReport(t *testing.T) {
	t.Parallel()
	d := openDesk(t)
	bad := storetest.Event("school-a", 2)
	bad.Actor.Ref = "not a pseudonym"
	_, err := d.Accept(context.Background(), []audit.Event{storetest.Event("school-a", 1), bad})
	var invalid *audit.InvalidEventError
	if !errors.As(err, &invalid) || invalid.Position != 1 || invalid.Err.Field != "actor.ref" {
		t.Fatalf("Accept = %v, want a complaint about the reference in event 1", err)
	}
	if len(d.log.leaves) != 0 || len(d.spans.Ended()) != 0 {
		t.Errorf("a refused report left %d entries and %d spans", len(d.log.leaves), len(d.spans.Ended()))
	}
	if receipts, err := d.Accept(context.Background(), nil); err != nil || len(receipts) != 0 {
		t.Errorf("an empty report: %v, %v", receipts, err)
	}
	if got := d.accept(t, storetest.Event("school-a", 3))[0].ControllerSequence; got != 1 {
		t.Errorf("the refused report used up numbers: the next is %d, want 1", got)
	}
}

// TestRecorderContinuesTraces: whoever looks at the trace of a request sees that it was recorded, once.
func TestRecorderContinuesTraces(t *testing.T) {
	t.Parallel()
	d := openDesk(t)
	ctx, reporting := trace.NewTracerProvider().Tracer("test").Start(context.Background(), "report")
	traced, untraced := storetest.Event("school-a", 1), storetest.Event("school-a", 2)
	untraced.TraceParent = ""
	for range 2 {
		if _, err := d.Accept(ctx, []audit.Event{traced, untraced}); err != nil {
			t.Fatal(err)
		}
	}
	if len(d.spans.Ended()) != 1 {
		t.Fatalf("%d spans, want one for the one event that has a trace", len(d.spans.Ended()))
	}
	span := d.spans.Ended()[0]
	if span.Name() != "audit.append" || !span.Parent().IsRemote() ||
		span.SpanContext().TraceID().String() != traced.TraceID() || span.Parent().SpanID().String() != traced.TraceParent[36:52] {
		t.Errorf("span %q has parent %v", span.Name(), span.Parent())
	}
	if len(span.Links()) != 1 || span.Links()[0].SpanContext.TraceID() != reporting.SpanContext().TraceID() {
		t.Errorf("the span does not lead to the call that reported it: %v", span.Links())
	}
}
