package recorder_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/consent/internal/recorder"
)

func answer() outbox.Answer {
	return outbox.Answer{ID: uuid.Must(uuid.NewV7()).String(), Controller: "a", Subjects: []string{"sub_1"}, Activity: "photos", Version: 1,
		Reason: "CONSENT_HOLDS", Time: time.Unix(1, 0)}
}

func call(t *testing.T) (context.Context, *outbox.Call) {
	t.Helper()
	c := &outbox.Call{Action: outbox.DecisionAction, Kind: outbox.Decision, Controller: "a", Actor: outbox.Actor{Kind: "CALLER", Ref: "usr_1"}}
	return outbox.WithCall(t.Context(), c), c
}

// recorded counts the decisions that are on disk, each once.
func recorded(t *testing.T, db *slow) int {
	t.Helper()
	seen := map[string]bool{}
	err := db.Read(sqldb.WithAllControllers(t.Context()), func(ctx context.Context, q sqldb.Querier) error {
		rows, err := q.Query(ctx, `SELECT event FROM audit_outbox`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var text string
			if err := rows.Scan(&text); err != nil {
				return err
			}
			e, err := outbox.Decode(text)
			if err != nil {
				return err
			}
			for _, d := range e.GetDecisions().GetDecisions() {
				if seen[string(d.GetId())] {
					t.Errorf("decision %x is there twice", d.GetId())
				}
				seen[string(d.GetId())] = true
			}
		}
		return rows.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return len(seen)
}

// run runs a buffer; stop ends it and waits.
func run(b *recorder.Buffer) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); b.Run(ctx) }()
	return func() { cancel(); <-done }
}

// TestBufferedDecisionsAreGivenFirst: the database stands still, and decisions are given all the same; when it goes on, all are
// written, and at the end of the service too.
func TestBufferedDecisionsAreGivenFirst(t *testing.T) {
	db, box := open(t)
	db.gate = make(chan struct{})
	b := recorder.NewBuffer(recorder.New(db, box))
	stop := run(b)
	ctx, c := call(t)
	for range 500 {
		if err := b.RecordDecisions(ctx, answer()); err != nil {
			t.Fatal(err)
		}
	}
	if !c.Recorded() {
		t.Error("a call whose decisions are held would make an event of its own")
	}
	if n := recorded(t, db); n != 0 {
		t.Errorf("%d are on disk while the database stands still", n)
	}
	close(db.gate)
	stop()
	if n := recorded(t, db); n != 500 {
		t.Errorf("%d are on disk at the end, want 500", n)
	}
}

// TestABufferIsBounded: what a crash can take is no more than was promised. Beyond it, decisions wait for the disk.
func TestABufferIsBounded(t *testing.T) {
	db, box := open(t)
	db.gate = make(chan struct{})
	b := recorder.NewBuffer(recorder.New(db, box))
	stop := run(b)
	ctx, _ := call(t)
	for range recorder.MostHeld {
		if err := b.RecordDecisions(ctx, answer()); err != nil {
			t.Fatal(err)
		}
	}
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if err := b.RecordDecisions(short, answer()); err == nil {
		t.Error("one more than the bound was given without being on disk")
	}
	close(db.gate)
	stop()
	if n := recorded(t, db); n < recorder.MostHeld {
		t.Errorf("%d are on disk, want %d", n, recorder.MostHeld)
	}
}

// TestABufferTriesAgain: while commits fail, nothing is lost and nothing is written twice.
func TestABufferTriesAgain(t *testing.T) {
	db, box := open(t)
	failing := &flaky{slow: db}
	b := recorder.NewBuffer(recorder.New(failing, box))
	stop := run(b)
	ctx, _ := call(t)
	for i := range 200 {
		if err := b.RecordDecisions(ctx, answer()); err != nil {
			t.Fatal(err)
		}
		if i%20 == 0 {
			time.Sleep(30 * time.Millisecond)
		}
	}
	stop()
	if n := recorded(t, db); n != 200 {
		t.Errorf("%d are on disk, want 200", n)
	}
	if failing.failed == 0 {
		t.Error("no commit failed")
	}
}

// flaky fails every other transaction, before it does anything.
type flaky struct {
	*slow
	n, failed int
}

func (f *flaky) Write(ctx context.Context, fn func(ctx context.Context, tx sqldb.Tx) error) error {
	if f.n++; f.n%2 == 1 {
		f.failed++
		return fmt.Errorf("flaky: %w", sqldb.ErrUnavailable)
	}
	return f.slow.Write(ctx, fn)
}

// TestABufferIsPrompt: the stated time is kept by the clock on the wall.
func TestABufferIsPrompt(t *testing.T) {
	db, box := open(t)
	b := recorder.NewBuffer(recorder.New(db, box))
	defer run(b)()
	ctx, _ := call(t)
	if err := b.RecordDecisions(ctx, answer()); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for recorded(t, db) == 0 {
		if time.Since(began) > 2*time.Second {
			t.Fatal("it is not written")
		}
		time.Sleep(time.Millisecond)
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("written after %s, want about %s", took, recorder.HeldFor)
	}
}
