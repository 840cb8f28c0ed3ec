package recorder_test

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/consent/internal/recorder"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// slow is a database whose write transactions can be held back and made to fail, and are counted.
type slow struct {
	*sqldb.DB
	commits atomic.Int64
	gate    chan struct{} // a transaction needs a token from it; nil: it needs none
	fail    error
}

func (s *slow) Write(ctx context.Context, fn func(ctx context.Context, tx sqldb.Tx) error) error {
	if s.gate != nil {
		<-s.gate
	}
	s.commits.Add(1)
	if s.fail != nil {
		return s.fail
	}
	return s.DB.Write(ctx, fn)
}

func open(t *testing.T) (*slow, *outbox.Outbox) {
	t.Helper()
	db, err := sqldb.Open(t.Context(), sqldb.Config{URL: "sqlite:" + filepath.Join(t.TempDir(), "r.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	box, err := outbox.New(t.Context(), outbox.Config{Service: "consent", DB: db, Clock: clock.NewFake(time.Unix(1, 0)),
		NewID: uuid.NewString})
	if err != nil {
		t.Fatal(err)
	}
	return &slow{DB: db}, box
}

var event = outbox.Event{Action: "legal_basis.check", Kind: outbox.Decision, Controller: "a"}

func wantPending(t *testing.T, box *outbox.Outbox, want int64) {
	t.Helper()
	if n, err := box.Pending(context.Background()); err != nil || n != want {
		t.Errorf("%d events are recorded, %v, want %d", n, err, want)
	}
}

func TestACallAloneCommitsAtOnce(t *testing.T) {
	db, box := open(t)
	r := recorder.New(db, box)
	for i := range 3 {
		if err := r.Record(t.Context(), event, event); err != nil {
			t.Fatal(err)
		}
		wantPending(t, box, int64(2*(i+1)))
	}
}

// Calls that come while a commit runs share the next one.
func TestCallsShareACommit(t *testing.T) {
	db, box := open(t)
	db.gate = make(chan struct{})
	r := recorder.New(db, box)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if err := r.Record(t.Context(), event); err != nil {
				t.Error(err)
			}
		})
	}
	time.Sleep(100 * time.Millisecond) // the first commits, the others gather
	close(db.gate)
	wg.Wait()
	wantPending(t, box, 50)
	if n := db.commits.Load(); n > 10 {
		t.Errorf("50 calls took %d commits", n)
	}
}

func TestAFailedCommitFailsItsCalls(t *testing.T) {
	db, box := open(t)
	db.fail = sqldb.ErrUnavailable
	r := recorder.New(db, box)
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			if err := r.Record(t.Context(), event); !errors.Is(err, sqldb.ErrUnavailable) {
				t.Errorf("got %v", err)
			}
		})
	}
	wg.Wait()
	wantPending(t, box, 0)
	db.fail = nil
	if err := r.Record(t.Context(), event); err != nil {
		t.Errorf("after the failure: %v", err)
	}
}

// An event that cannot be recorded fails its own call, not those that share its commit.
func TestABadEventFailsAlone(t *testing.T) {
	db, box := open(t)
	db.gate = make(chan struct{})
	r := recorder.New(db, box)
	bad := event
	bad.Action = "no action"
	var wg sync.WaitGroup
	var failed atomic.Int64
	for i := range 10 {
		e := event
		if i == 5 {
			e = bad
		}
		wg.Go(func() {
			if err := r.Record(t.Context(), e); err != nil {
				failed.Add(1)
			}
		})
	}
	time.Sleep(50 * time.Millisecond)
	close(db.gate)
	wg.Wait()
	wantPending(t, box, 9)
	if n := failed.Load(); n != 1 {
		t.Errorf("%d calls failed, want 1", n)
	}
}

// A call that gives up neither blocks nor spoils the others.
func TestACallGivesUp(t *testing.T) {
	db, box := open(t)
	db.gate = make(chan struct{})
	r := recorder.New(db, box)
	var wg sync.WaitGroup
	wg.Go(func() { _ = r.Record(t.Context(), event) })
	time.Sleep(20 * time.Millisecond)
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() { gone <- r.Record(ctx, event) }()
	wg.Go(func() {
		if err := r.Record(t.Context(), event); err != nil {
			t.Error(err)
		}
	})
	time.Sleep(20 * time.Millisecond)
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
	close(db.gate)
	wg.Wait()
	wantPending(t, box, 3)
}

// More events than one transaction takes are recorded in several, and a call's events are never torn apart.
func TestGroupsAreBounded(t *testing.T) {
	db, box := open(t)
	db.gate = make(chan struct{})
	r := recorder.New(db, box)
	many := make([]outbox.Event, 900)
	for i := range many {
		many[i] = event
	}
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			if err := r.Record(t.Context(), many...); err != nil {
				t.Error(err)
			}
		})
	}
	time.Sleep(50 * time.Millisecond)
	close(db.gate)
	wg.Wait()
	wantPending(t, box, 4500)
	if n := db.commits.Load(); n < 3 {
		t.Errorf("4500 events were recorded in %d transactions", n)
	}
}
