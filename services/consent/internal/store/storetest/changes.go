package storetest

import (
	"context"
	"testing" //nolint:depguard // a conformance kit: it is run by the tests of each store
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// change adds a change at the next revision and returns it as it must be read again.
func (b bench) change(t *testing.T, c consent.Change) consent.Change {
	t.Helper()
	b.write(t, func(ctx context.Context, tx sqldb.Tx) (err error) {
		if c.Revision, err = b.Advance(ctx, tx, c.Controller); err != nil {
			return err
		}
		c.Previous, err = b.AddChange(ctx, tx, c)
		return err
	})
	return c
}

func (b bench) changes(t *testing.T, controller consent.ControllerID, after consent.Revision, limit int) []consent.Change {
	t.Helper()
	return see(t, b, func(ctx context.Context, q sqldb.Querier) ([]consent.Change, error) {
		return b.ChangesAfter(ctx, q, controller, after, limit)
	})
}

func changesInOrder(t *testing.T, b bench) {
	b.controller(t, "a")
	b.controller(t, "b")
	first := b.change(t, consent.Change{Controller: "a", Kind: consent.Withdrawal, Activity: "photos", Time: Base,
		Consents: []consent.ConsentID{"c1", "c2"}, Subjects: []consent.SubjectRef{"u1", "e1"}})
	b.change(t, consent.Change{Controller: "b", Kind: consent.OfController, Time: Base})
	b.advance(t, "b")
	b.advance(t, "a") // a revision of which nothing came
	second := b.change(t, consent.Change{Controller: "a", Kind: consent.OfSystem, System: "lms", Time: Base})
	if first.Previous != 0 || second.Previous != first.Revision || second.Revision != first.Revision+2 {
		t.Errorf("%d after %d, %d after %d", first.Revision, first.Previous, second.Revision, second.Previous)
	}
	first.Previous, second.Previous = 0, 0 // is not kept: it follows from the order
	if d := cmp.Diff([]consent.Change{first, second}, b.changes(t, "a", 0, 10)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]consent.Change{first}, b.changes(t, "a", 0, 1)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]consent.Change{second}, b.changes(t, "a", first.Revision, 10)); d != "" {
		t.Error(d)
	}
	if got := b.changes(t, "a", second.Revision, 10); len(got) != 0 {
		t.Errorf("after the last one: %v", got)
	}
}

func changesAreForgotten(t *testing.T, b bench) {
	b.controller(t, "a")
	b.controller(t, "b")
	for i := range 3 {
		b.change(t, consent.Change{Controller: "a", Kind: consent.OfController, Time: Base.Add(time.Duration(i) * time.Hour)})
	}
	last := b.change(t, consent.Change{Controller: "b", Kind: consent.OfController, Time: Base})
	var n int64
	b.write(t, func(ctx context.Context, tx sqldb.Tx) (err error) {
		n, err = b.ForgetChanges(ctx, tx, Base.Add(90*time.Minute))
		return err
	})
	if left := b.changes(t, "a", 0, 10); n != 2 || len(left) != 1 || !left[0].Time.Equal(Base.Add(2*time.Hour)) {
		t.Errorf("%d were forgotten, %v are left", n, left)
	}
	if left := b.changes(t, "b", 0, 10); len(left) != 1 || left[0].Revision != last.Revision {
		t.Errorf("of the other controller %v are left: the last change stays", left)
	}
}

// The clock of one replica is behind the other's: its change is older than the one before it, and is kept all the same.
func changesAreForgottenWithoutHoles(t *testing.T, b bench) {
	b.controller(t, "a")
	for _, minutes := range []int{0, 10, 5, 11} {
		b.change(t, consent.Change{Controller: "a", Kind: consent.OfController, Time: Base.Add(time.Duration(minutes) * time.Minute)})
	}
	all := b.changes(t, "a", 0, 10)
	b.write(t, func(ctx context.Context, tx sqldb.Tx) error {
		_, err := b.ForgetChanges(ctx, tx, Base.Add(7*time.Minute))
		return err
	})
	if d := cmp.Diff(all[1:], b.changes(t, "a", 0, 10)); d != "" {
		t.Error(d)
	}
}

func people(t *testing.T, b bench) {
	b.controller(t, "a")
	b.give(t, photos("c1", "u1", "e1"))
	c2 := b.give(t, photos("c2", "u1"))
	trips := photos("c3", "u1")
	trips.Activity = "trips"
	trips = b.give(t, trips)
	b.write(t, func(ctx context.Context, tx sqldb.Tx) error {
		return b.AddErased(ctx, tx, consent.Erasure{Controller: "a", Subjects: []consent.SubjectRef{"e1"}, Resource: "r", RecordTime: Base})
	})
	got := see(t, b, func(ctx context.Context, q sqldb.Querier) (map[consent.SubjectRef]consent.Person, error) {
		return b.People(ctx, q, "a", []consent.SubjectRef{"u1", "e1", "u1", "stranger"})
	})
	if len(got) != 3 || !got["e1"].Erased || len(got["e1"].Consents) != 1 || got["stranger"].Erased || got["stranger"].Consents != nil {
		t.Errorf("%v", got)
	}
	if d := cmp.Diff(consent.Person{Consents: []consent.Consent{c2, trips}}, got["u1"]); d != "" {
		t.Error(d)
	}
}
