package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/libs/sqldb/enginetest"
	"github.com/privacyops/privacyops/libs/sqldb/pgtest"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.Around(m)) }

var noon = time.Date(2026, 3, 2, 12, 0, 0, 123_456_789, time.UTC)

// ids gives UUIDs that sort in the order in which they are given.
func ids() func() string {
	var n atomic.Int64
	return func() string { return fmt.Sprintf("01980f0e-0000-7000-8000-%012d", n.Add(1)) }
}

type fixture struct {
	*outbox.Outbox
	db *sqldb.DB
}

func newFixture(tb testing.TB, engine sqldb.Engine) fixture {
	tb.Helper()
	db := enginetest.Open(tb, enginetest.URL(tb, engine), nil)
	err := db.Write(context.Background(), func(ctx context.Context, tx sqldb.Tx) error {
		_, err := tx.Exec(ctx, `CREATE TABLE person (id TEXT NOT NULL PRIMARY KEY)`)
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	o, err := outbox.New(context.Background(), outbox.Config{Service: "consent", DB: db, Clock: clock.NewFake(noon), NewID: ids()})
	if err != nil {
		tb.Fatal(err)
	}
	return fixture{o, db}
}

// pending is how many events wait.
func (f fixture) pending(tb testing.TB) int64 {
	tb.Helper()
	n, err := f.Pending(context.Background())
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

func (f fixture) people(tb testing.TB) (n int) {
	tb.Helper()
	err := f.db.Read(context.Background(), func(ctx context.Context, q sqldb.Querier) error {
		return q.QueryRow(ctx, `SELECT COUNT(*) FROM person`).Scan(&n)
	})
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

func event(n int) outbox.Event {
	return outbox.Event{Controller: "north", Action: "consent.give", Kind: outbox.Create, Resource: fmt.Sprintf("controllers/north/consents/%d", n)}
}

// auditd is the audit service as the relay sees it: it counts each id once, and may be down or lose its answers.
type auditd struct {
	mu       sync.Mutex
	down     bool
	loses    int // answers to lose: the events are in, and the relay does not learn of it
	batches  []int
	events   []*auditv1.ReportedEvent
	received int
	seen     map[string]bool
}

func (a *auditd) AppendAuditEvents(ctx context.Context, in *auditv1.AppendAuditEventsRequest, _ ...grpc.CallOption) (*auditv1.AppendAuditEventsResponse, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if a.down {
		return nil, status.Error(codes.Unavailable, "connection refused")
	}
	if n := proto.Size(in); n > 1<<20 {
		return nil, status.Errorf(codes.ResourceExhausted, "message of %d bytes", n)
	}
	a.batches = append(a.batches, len(in.GetEvents()))
	for _, e := range in.GetEvents() {
		a.received++
		if a.seen[e.GetId()] {
			continue
		}
		if a.seen == nil {
			a.seen = map[string]bool{}
		}
		a.seen[e.GetId()] = true
		a.events = append(a.events, e)
	}
	if a.loses > 0 {
		a.loses--
		return nil, status.Error(codes.DeadlineExceeded, "no answer")
	}
	return &auditv1.AppendAuditEventsResponse{}, nil
}

func (a *auditd) setDown(down bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.down = down
}

func (a *auditd) got() []*auditv1.ReportedEvent {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]*auditv1.ReportedEvent(nil), a.events...)
}

// relay runs until the test ends.
func (f fixture) relay(tb testing.TB, a *auditd) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		f.Relay(ctx, a, slog.New(slog.DiscardHandler))
	}()
	tb.Cleanup(func() { cancel(); <-done })
}

func eventually(tb testing.TB, what string, ok func() bool) {
	tb.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	tb.Fatalf("after 10 s still not: %s", what)
}

var errChange = errors.New("the change fails")
