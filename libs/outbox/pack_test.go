package outbox_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/libs/sqldb/enginetest"
)

// TestDecisionsOfManyCommitsArePacked writes a decision a commit. They are handed over together, each as it was recorded, even
// where PostgreSQL ends the packing transaction twice.
func TestDecisionsOfManyCommitsArePacked(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		f := newFixture(t, engine)
		const decisions = 150
		want := map[string]string{}
		for i := range decisions {
			a := outbox.Answer{ID: uuid.NewString(), Controller: []string{"north", "south"}[i%2], Subjects: []string{fmt.Sprintf("sub_%d", i)},
				Activity: fmt.Sprintf("photos-%d", i%7), Reason: []string{"CONSENT_HOLDS", "NO_CONSENT"}[i%2], Time: noon.Add(time.Duration(i) * time.Millisecond).Truncate(time.Microsecond)}
			if i%3 == 0 {
				a.Recipient = fmt.Sprintf("publisher-%d", i%4)
			}
			want[a.ID] = fmt.Sprint(a, " asked by usr_", i%5)
			record(t, f, asker(i%5), a)
		}
		conflicts := conflictTwice(t, f)
		sink := &auditd{seen: map[string]bool{}}
		if err := f.Flush(t.Context(), sink); err != nil {
			t.Fatal(err)
		}
		if n := conflicts(); engine == sqldb.Postgres && n < 2 {
			t.Errorf("the packing transaction was tried again %d times, want 2", n)
		}
		if len(sink.events) > 4 {
			t.Errorf("%d decisions of two controllers are handed over as %d events", decisions, len(sink.events))
		}
		answers, actors := unpacked(t, sink.events)
		for i, a := range answers {
			if got := fmt.Sprint(a, " asked by ", actors[i]); want[a.ID] != got {
				t.Errorf("got  %s\nwant %s", got, want[a.ID])
			}
			delete(want, a.ID)
		}
		if len(want) > 0 {
			t.Errorf("%d decisions are missing", len(want))
		}
		if n := f.pending(t); n != 0 {
			t.Errorf("%d events wait", n)
		}
	})
}

// TestDecisionsOfASecondAreOneReport: one caller makes thousands of decisions in a second, each in a commit of its own. They are handed
// over as soon as the audit service has taken the last ones, however long that took: what waits never grows.
func TestDecisionsOfASecondAreOneReport(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		f, sink := newFixture(t, engine), &auditd{}
		const commits = 2550
		err := f.db.Write(t.Context(), func(ctx context.Context, tx sqldb.Tx) error {
			for range commits {
				decided := outbox.Decided{Call: asker(1), Answers: []outbox.Answer{{ID: uuid.NewString(), Controller: "north", Subjects: []string{"sub_1"},
					Activity: "photos", Reason: "NO_CONSENT", Time: noon}}}
				if err := f.RecordDecisions(ctx, tx, decided); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		f.fill(t, 3, nil)
		if err := f.Flush(t.Context(), sink); err != nil {
			t.Fatal(err)
		}
		if len(sink.batches) != 1 || len(sink.got()) > 20 {
			t.Errorf("%d decisions were handed over in reports of %v events", commits, sink.batches)
		}
		if answers, _ := unpacked(t, sink.got()[3:]); len(answers) != commits {
			t.Errorf("%d of %d decisions were handed over", len(answers), commits)
		}
	})
}

// conflictTwice makes PostgreSQL refuse the next two transactions that write to the outbox as conflicts. The function that it
// gives says how many it refused: a sequence counts on where everything else is rolled back.
func conflictTwice(t *testing.T, f fixture) (conflicts func() int) {
	t.Helper()
	if f.db.Engine() != sqldb.Postgres {
		return func() int { return 0 }
	}
	err := f.db.Write(t.Context(), func(ctx context.Context, tx sqldb.Tx) error {
		for _, statement := range []string{
			`CREATE SEQUENCE tries`,
			`CREATE FUNCTION conflict() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN
				IF nextval(''tries'') <= 2 THEN RAISE EXCEPTION ''conflict'' USING ERRCODE = ''40001''; END IF; RETURN NEW; END'`,
			`CREATE TRIGGER conflict BEFORE INSERT ON audit_outbox FOR EACH ROW EXECUTE FUNCTION conflict()`,
		} {
			if _, err := tx.Exec(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return func() (n int) {
		err := f.db.Read(t.Context(), func(ctx context.Context, q sqldb.Querier) error {
			return q.QueryRow(ctx, `SELECT last_value FROM tries`).Scan(&n)
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
}

func record(t *testing.T, f fixture, by *outbox.Call, a outbox.Answer) {
	t.Helper()
	err := f.db.Write(t.Context(), func(ctx context.Context, tx sqldb.Tx) error {
		return f.RecordDecisions(ctx, tx, outbox.DecidedBy(outbox.WithCall(ctx, by), a))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestReplicasPackOnce lets three replicas hand over from one database while decisions are recorded, and loses answers of the
// audit service: what it has taken is packed no second time, so every decision arrives, and under one event.
func TestReplicasPackOnce(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		f := newFixture(t, engine)
		sink := &auditd{seen: map[string]bool{}, loses: 5}
		ctx, cancel := context.WithCancel(context.Background())
		var relays sync.WaitGroup
		for range 3 {
			o, err := outbox.New(t.Context(), outbox.Config{Service: "consent", DB: f.db, Clock: clock.NewFake(noon), NewID: uuid.NewString})
			if err != nil {
				t.Fatal(err)
			}
			relays.Go(func() { o.Relay(ctx, sink, slog.New(slog.DiscardHandler)) })
		}
		const decisions = 200
		for i := range decisions {
			record(t, f, asker(1), outbox.Answer{ID: uuid.NewString(), Controller: "north", Subjects: []string{fmt.Sprintf("sub_%d", i)},
				Activity: "photos", Reason: "NO_CONSENT", Time: noon})
			if i%20 == 0 {
				time.Sleep(30 * time.Millisecond)
			}
		}
		eventually(t, "all is handed over", func() bool { return f.pending(t) == 0 })
		cancel()
		relays.Wait()
		seen := map[string]int{}
		answers, _ := unpacked(t, sink.got())
		for _, a := range answers {
			seen[a.ID]++
			if seen[a.ID] > 1 {
				t.Errorf("decision %s is in the log %d times", a.ID, seen[a.ID])
			}
		}
		if len(seen) != decisions {
			t.Errorf("%d decisions are in the log, want %d", len(seen), decisions)
		}
		if sink.loses > 0 {
			t.Error("no answer was lost")
		}
	})
}
