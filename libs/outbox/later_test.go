package outbox_test

import (
	"context"
	"errors"
	"testing"

	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/libs/sqldb/enginetest"
)

// Refusals that were given while the database was away are recorded once it is back, once each, and no more wait than fit.
func TestLater(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		f := newFixture(t, engine)
		call := &outbox.Call{Action: "legal_basis.check", Kind: outbox.Decision, Controller: "a", Actor: outbox.Actor{Kind: "CALLER", Ref: "usr_x"}}
		ctx := outbox.WithCall(t.Context(), call)
		first, second := event(1), event(2)
		first.ID, second.ID = ids()(), "01980f0e-0000-7000-8000-0000000000ff"
		if err := f.Later(ctx, first, second); err != nil || !call.Recorded() || f.Held() != 2 || f.pending(t) != 0 {
			t.Fatalf("%v; recorded %v, %d held, %d pending", err, call.Recorded(), f.Held(), f.pending(t))
		}
		if err := f.Later(t.Context(), outbox.Event{Outcome: "WRONG"}); err == nil || f.Held() != 2 {
			t.Errorf("%v: an event that says nothing was taken", err)
		}
		many := make([]outbox.Event, 10_000)
		for i := range many {
			many[i] = event(3)
		}
		if err := f.Later(ctx, many...); !errors.Is(err, sqldb.ErrUnavailable) || f.Held() != 2 {
			t.Errorf("%v, %d held; more than fit are refused, all of them", err, f.Held())
		}
		// One of them is there already: it was written, and nobody learned of it.
		err := f.db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
			_, err := f.Record(ctx, tx, second)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		sink := &auditd{seen: map[string]bool{}}
		if err := f.Flush(t.Context(), sink); err != nil || f.Held() != 0 || f.pending(t) != 0 {
			t.Fatalf("%v; %d held, %d pending", err, f.Held(), f.pending(t))
		}
		if got := len(sink.events); got != 2 {
			t.Errorf("%d events reached the audit service, want 2", got)
		}
	})
}
