package outbox_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/libs/sqldb/enginetest"
)

func (f fixture) fill(tb testing.TB, n int, change func(*outbox.Event)) (resources []string) {
	tb.Helper()
	err := f.db.Write(context.Background(), func(ctx context.Context, tx sqldb.Tx) error {
		for i := range n {
			e := event(i)
			if change != nil {
				change(&e)
			}
			if _, err := f.Record(ctx, tx, e); err != nil {
				return err
			}
			resources = append(resources, e.Resource)
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return resources
}

func (a *auditd) resources() (out []string) {
	for _, e := range a.got() {
		out = append(out, e.GetResource())
	}
	return out
}

func TestFlushDeliversAllInOrder(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		f, a := newFixture(t, engine), &auditd{}
		want := f.fill(t, 450, nil)
		if err := f.Flush(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, a.resources()); diff != "" {
			t.Errorf("order (-recorded +delivered):\n%s", diff)
		}
		if diff := cmp.Diff([]int{200, 200, 50}, a.batches); diff != "" {
			t.Errorf("batches (-want +got):\n%s", diff)
		}
		if n := f.pending(t); n != 0 {
			t.Errorf("%d events are still there", n)
		}
	})
}

// TestBatchesFitIntoAMessage: 200 of the largest events would be more than the audit service takes at once.
func TestBatchesFitIntoAMessage(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		f, a := newFixture(t, engine), &auditd{}
		large := map[string]string{}
		for i := range 50 {
			large[fmt.Sprintf("hash_%d", i)] = strings.Repeat("0", 500)
		}
		want := f.fill(t, 60, func(e *outbox.Event) { e.Detail = large })
		if err := f.Flush(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, a.resources()); diff != "" {
			t.Errorf("(-recorded +delivered):\n%s", diff)
		}
	})
}

func TestEventsWaitWhileTheAuditServiceIsDown(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		f, a := newFixture(t, engine), &auditd{down: true}
		want := f.fill(t, 5, nil)
		if err := f.Flush(t.Context(), a); status.Code(err) != codes.Unavailable {
			t.Errorf("Flush = %v", err)
		}
		if n := f.pending(t); n != 5 {
			t.Errorf("%d events wait, want 5: none may be deleted before it is accepted", n)
		}
		f.relay(t, a)
		want = append(want, f.fill(t, 3, nil)...)
		time.Sleep(50 * time.Millisecond)
		if n := f.pending(t); n != 8 {
			t.Errorf("%d events wait, want 8", n)
		}
		a.setDown(false)
		eventually(t, "all delivered", func() bool { return f.pending(t) == 0 })
		if diff := cmp.Diff(want, a.resources()); diff != "" {
			t.Errorf("(-recorded +delivered):\n%s", diff)
		}
	})
}

func TestALostAnswerMeansAgain(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		f, a := newFixture(t, engine), &auditd{loses: 2}
		want := f.fill(t, 5, nil)
		f.relay(t, a)
		eventually(t, "all delivered", func() bool { return f.pending(t) == 0 })
		if diff := cmp.Diff(want, a.resources()); diff != "" {
			t.Errorf("(-recorded +counted):\n%s", diff)
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.received != 15 {
			t.Errorf("%d events were sent, want 3 times 5", a.received)
		}
	})
}

// TestTheRelayIsWokenByACommit: an event is with the audit service long before the relay would look by itself.
func TestTheRelayIsWokenByACommit(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		f, a := newFixture(t, engine), &auditd{}
		f.relay(t, a)
		time.Sleep(100 * time.Millisecond) // it sleeps now
		for i := range 5 {
			start := time.Now()
			if err := f.RecordAlone(t.Context(), event(i)); err != nil {
				t.Fatal(err)
			}
			eventually(t, "delivered", func() bool { return len(a.got()) > i })
			if took := time.Since(start); took > 700*time.Millisecond {
				t.Errorf("event %d took %v", i, took)
			}
			eventually(t, "deleted", func() bool { return f.pending(t) == 0 })
		}
	})
}

// TestManyWritersOneRelay loses none and counts none twice.
func TestManyWritersOneRelay(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		f, a := newFixture(t, engine), &auditd{loses: 1}
		f.relay(t, a)
		const writers, each = 8, 25
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for i := range each {
					if err := f.RecordAlone(t.Context(), event(w*each+i)); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		eventually(t, "all delivered", func() bool { return f.pending(t) == 0 })
		seen := map[string]int{}
		for _, r := range a.resources() {
			seen[r]++
		}
		if len(seen) != writers*each || len(a.got()) != writers*each {
			t.Errorf("%d events, %d different; want %d", len(a.got()), len(seen), writers*each)
		}
	})
}

func TestTheRelayEndsWithItsContext(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		f := newFixture(t, engine)
		for _, down := range []bool{false, true} {
			f.fill(t, 1, nil)
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			start := time.Now()
			f.Relay(ctx, &auditd{down: down}, slog.New(slog.DiscardHandler))
			cancel()
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("down %v: it ended after %v", down, took)
			}
		}
	})
}

// TestTheRelayLogsNoErrorText: it may quote addresses, or what a database failed on.
func TestTheRelayLogsNoErrorText(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		f := newFixture(t, engine)
		f.fill(t, 1, nil)
		var out bytes.Buffer
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		f.Relay(ctx, &auditd{down: true}, slog.New(slog.NewTextHandler(&out, nil)))
		if s := out.String(); !strings.Contains(s, "code=Unavailable") || strings.Contains(s, "connection refused") {
			t.Errorf("log: %s", s)
		}
	})
}

func TestFlushEndsWithItsContext(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		f := newFixture(t, engine)
		f.fill(t, 1, nil)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := f.Flush(ctx, &auditd{}); !errors.Is(err, context.Canceled) {
			t.Errorf("Flush = %v", err)
		}
		if n := f.pending(t); n != 1 {
			t.Errorf("%d events wait", n)
		}
	})
}
