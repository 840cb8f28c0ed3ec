package storetest

import (
	"context"
	"testing" //nolint:depguard // a conformance kit: it is run by the tests of each store
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// photos makes a consent that is not stored yet.
func photos(id consent.ConsentID, refs ...consent.SubjectRef) consent.Consent {
	return consent.Consent{Controller: "a", ID: id, Activity: "photos", ActivityVersion: 1, Subjects: refs, Sufficient: true}
}

func consents(t *testing.T, b bench) {
	b.controller(t, "a")
	c := photos("c1", "z", "m", "a")
	c.Reference, c.Evidence, c.ExpireTime, c.Sufficient = "ref", "sha256:1", Base.Add(time.Hour), false
	c.Text = consent.ShownText{Version: "2026-01", Language: "da", SHA256: "0a0a"}
	c = b.give(t, c)
	got := see(t, b, func(ctx context.Context, q sqldb.Querier) (consent.Consent, error) {
		return b.Consent(ctx, q, "a", "c1")
	})
	if got.Subjects[0] != "z" {
		t.Errorf("the first subject is %s, want the one that was named first", got.Subjects[0])
	}
	anyOrder := cmpopts.SortSlices(func(a, b consent.SubjectRef) bool { return a < b })
	if d := cmp.Diff(c, got, anyOrder); d != "" {
		t.Error(d)
	}
	missing(t, b, func(ctx context.Context, q sqldb.Querier) (consent.Consent, error) {
		return b.Consent(ctx, q, "a", "c2")
	})
}

func (b bench) standing(t *testing.T, refs ...consent.SubjectRef) consent.ConsentID {
	t.Helper()
	people := see(t, b, func(ctx context.Context, q sqldb.Querier) (map[consent.SubjectRef]consent.Person, error) {
		return b.People(ctx, q, "a", refs)
	})
	var all []consent.Person
	for _, ref := range refs {
		all = append(all, people[ref])
	}
	c := consent.StandingOf(all, "photos")
	if c == nil {
		return ""
	}
	return c.ID
}

func (b bench) wantStanding(t *testing.T, want consent.ConsentID, refs ...consent.SubjectRef) {
	t.Helper()
	if got := b.standing(t, refs...); got != want {
		t.Errorf("of %v consent %q stands, want %q", refs, got, want)
	}
}

func latestActStands(t *testing.T, b bench) {
	b.controller(t, "a")
	b.wantStanding(t, "", "u1")
	b.give(t, photos("c1", "u1"))
	b.wantStanding(t, "c1", "u1")
	b.give(t, photos("c2", "u1"))
	b.wantStanding(t, "c2", "u1")
	b.withdraw(t, "a", "c1")
	b.wantStanding(t, "c1", "u1") // its withdrawal came last
	b.give(t, photos("c3", "u1"))
	b.wantStanding(t, "c3", "u1")
	b.withdraw(t, "a", "c3", "c2")
	b.wantStanding(t, "c3", "u1") // of two acts at once, the consent that was given last
	other := photos("c4", "u1")
	other.Activity = "trips"
	b.give(t, other)
	b.wantStanding(t, "c3", "u1")
}

func insufficientStandsLast(t *testing.T, b bench) {
	b.controller(t, "a")
	alone := photos("child", "u1")
	alone.Sufficient = false
	b.give(t, alone)
	b.wantStanding(t, "child", "u1")
	b.give(t, photos("guardian", "u1"))
	b.wantStanding(t, "guardian", "u1")
	alone.ID = "child-again"
	b.give(t, alone)
	b.wantStanding(t, "guardian", "u1")
	b.withdraw(t, "a", "guardian")
	b.wantStanding(t, "guardian", "u1")
}

func standingByAnyIdentifier(t *testing.T, b bench) {
	b.controller(t, "a")
	b.give(t, photos("c1", "u1", "e1"))
	b.wantStanding(t, "c1", "u1")
	b.wantStanding(t, "c1", "e1")
	b.wantStanding(t, "c1", "x", "e1", "y")
	b.wantStanding(t, "", "x", "y")
	b.give(t, photos("c2", "e1"))
	b.wantStanding(t, "c1", "u1")
	b.wantStanding(t, "c2", "u1", "e1")
}

func consentsToActivity(t *testing.T, b bench) {
	b.controller(t, "a")
	first, second := b.give(t, photos("c1", "u1", "e1")), b.give(t, photos("c2", "e1"))
	b.give(t, photos("c3", "u3"))
	trips := photos("c4", "u1")
	trips.Activity = "trips"
	b.give(t, trips)
	list := func(refs ...consent.SubjectRef) []consent.Consent {
		return see(t, b, func(ctx context.Context, q sqldb.Querier) ([]consent.Consent, error) {
			return b.ConsentsTo(ctx, q, "a", "photos", refs)
		})
	}
	if d := cmp.Diff([]consent.Consent{second, first}, list("u1", "e1")); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]consent.Consent{first}, list("u1")); d != "" {
		t.Error(d)
	}
	if got := list("u9"); len(got) != 0 {
		t.Errorf("of a stranger: %v", got)
	}
}

func consentsInPages(t *testing.T, b bench) {
	b.controller(t, "a")
	for _, id := range []consent.ConsentID{"c1", "c2", "c3", "c4"} {
		b.give(t, photos(id, "u1", "e1"))
	}
	b.give(t, photos("other", "u2"))
	var got []consent.ConsentID
	before := consent.Revision(0)
	for range 3 {
		found := see(t, b, func(ctx context.Context, q sqldb.Querier) ([]consent.Consent, error) {
			return b.ConsentsOf(ctx, q, "a", []consent.SubjectRef{"u1", "e1"}, before, 2)
		})
		for _, c := range found {
			got, before = append(got, c.ID), c.GiveRevision
		}
	}
	if d := cmp.Diff([]consent.ConsentID{"c4", "c3", "c2", "c1"}, got); d != "" {
		t.Error(d)
	}
}

func withdrawnStays(t *testing.T, b bench) {
	b.controller(t, "a")
	b.give(t, photos("c1", "u1"))
	rev := b.withdraw(t, "a", "c1")
	read := func() consent.Consent {
		return see(t, b, func(ctx context.Context, q sqldb.Querier) (consent.Consent, error) {
			return b.Consent(ctx, q, "a", "c1")
		})
	}
	once := read()
	if once.WithdrawRevision != rev || !once.WithdrawTime.Equal(Base.Add(time.Hour)) {
		t.Errorf("withdrawn at %s, revision %d, want %d", once.WithdrawTime, once.WithdrawRevision, rev)
	}
	b.withdraw(t, "a", "c1", "unknown")
	if d := cmp.Diff(once, read()); d != "" {
		t.Errorf("withdrawn twice: %s", d)
	}
}

func (b bench) erased(t *testing.T, controller consent.ControllerID, refs ...consent.SubjectRef) bool {
	t.Helper()
	return see(t, b, func(ctx context.Context, q sqldb.Querier) (bool, error) { return b.Erased(ctx, q, controller, refs) })
}

func erasedSubjects(t *testing.T, b bench) {
	b.controller(t, "a")
	e := consent.Erasure{Controller: "a", Subjects: []consent.SubjectRef{"u1", "e1"}, Resource: "controllers/a/erasures/1", Time: Base, RecordTime: Base}
	for range 2 {
		b.write(t, func(ctx context.Context, tx sqldb.Tx) error { return b.AddErased(ctx, tx, e) })
	}
	if !b.erased(t, "a", "u1") || !b.erased(t, "a", "x", "e1") || b.erased(t, "a", "x") {
		t.Error("erased are u1 and e1, and nobody else")
	}
}

// controllersNeverMeet stores the same ids under two controllers, and asks for each from the other side.
func controllersNeverMeet(t *testing.T, b bench) {
	b.controller(t, "a")
	b.controller(t, "b")
	b.addVersion(t, activity("a", "photos"))
	b.give(t, photos("c1", "u1"))
	b.write(t, func(ctx context.Context, tx sqldb.Tx) error {
		e := consent.Erasure{Controller: "a", Subjects: []consent.SubjectRef{"u9"}, Resource: "r", RecordTime: Base}
		return b.AddErased(ctx, tx, e)
	})
	missing(t, b, func(ctx context.Context, q sqldb.Querier) (consent.Activity, error) {
		return b.Activity(ctx, q, "b", "photos")
	})
	missing(t, b, func(ctx context.Context, q sqldb.Querier) (consent.Consent, error) {
		return b.Consent(ctx, q, "b", "c1")
	})
	if b.erased(t, "b", "u9") {
		t.Error("the other controller's erasure counts")
	}
	refs := []consent.SubjectRef{"u1"}
	found := see(t, b, func(ctx context.Context, q sqldb.Querier) (n int, err error) {
		to, err := b.ConsentsTo(ctx, q, "b", "photos", refs)
		if err != nil {
			return 0, err
		}
		of, err := b.ConsentsOf(ctx, q, "b", refs, 0, 10)
		if err != nil {
			return 0, err
		}
		people, err := b.People(ctx, q, "b", refs)
		return len(people["u1"].Consents) + len(to) + len(of), err
	})
	if found != 0 {
		t.Errorf("%d of the other controller's consents were found", found)
	}
	b.withdraw(t, "b", "c1")
	if c := see(t, b, func(ctx context.Context, q sqldb.Querier) (consent.Consent, error) {
		return b.Consent(ctx, q, "a", "c1")
	}); c.WithdrawRevision != 0 {
		t.Error("the other controller withdrew a consent")
	}
	same := photos("c1", "u1")
	same.Controller = "b"
	b.give(t, same)
}
