package storetest

import (
	"context"
	"testing" //nolint:depguard // a conformance kit: it is run by the tests of each store
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// object adds an objection at the next revision and returns it as it must be read again.
func (b bench) object(t *testing.T, o consent.Objection) consent.Objection {
	t.Helper()
	o.CreateTime = Base
	if o.State == "" {
		o.State = consent.ObjectionOpen
	}
	b.write(t, func(ctx context.Context, tx sqldb.Tx) (err error) {
		if o.CreateRevision, err = b.Advance(ctx, tx, o.Controller); err != nil {
			return err
		}
		return b.AddObjection(ctx, tx, o)
	})
	return o
}

// resolve writes what was decided of an objection.
func (b bench) resolve(t *testing.T, o consent.Objection, state consent.ObjectionState) consent.Objection {
	t.Helper()
	o.State, o.ResolveTime = state, Base.Add(time.Hour)
	b.write(t, func(ctx context.Context, tx sqldb.Tx) (err error) {
		if o.ResolveRevision, err = b.Advance(ctx, tx, o.Controller); err != nil {
			return err
		}
		return b.ResolveObjection(ctx, tx, o)
	})
	return o
}

func (b bench) wantObjection(t *testing.T, want consent.Objection) {
	t.Helper()
	got := see(t, b, func(ctx context.Context, q sqldb.Querier) (consent.Objection, error) {
		return b.Objection(ctx, q, want.Controller, want.ID)
	})
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func objections(t *testing.T, b bench) {
	b.controller(t, "a")
	o := b.object(t, consent.Objection{Controller: "a", ID: "o1", Activity: "photos", Subjects: []consent.SubjectRef{"z", "m", "a"},
		Words: consent.SealedWords{WrappedKey: []byte{0, 1}, Texts: []byte{255, 0}}})
	b.wantObjection(t, o)
	o.Words.Texts = []byte("more")
	b.wantObjection(t, b.resolve(t, o, consent.ObjectionRejected))
	b.wantObjection(t, b.object(t, consent.Objection{Controller: "a", ID: "o2", Activity: "photos", Subjects: []consent.SubjectRef{"z"}}))
	missing(t, b, func(ctx context.Context, q sqldb.Querier) (consent.Objection, error) {
		return b.Objection(ctx, q, "a", "o9")
	})
	b.refuse(t, fault.NotFound, func(ctx context.Context, tx sqldb.Tx) error {
		return b.ResolveObjection(ctx, tx, consent.Objection{Controller: "a", ID: "o9", State: consent.ObjectionUpheld})
	})
}

func objectionsInPages(t *testing.T, b bench) {
	b.controller(t, "a")
	for _, id := range []consent.ObjectionID{"o1", "o2", "o3", "o4", "o5"} {
		b.object(t, consent.Objection{Controller: "a", ID: id, Activity: "photos", Subjects: []consent.SubjectRef{"u1", "e1"}})
	}
	var got []consent.ObjectionID
	before := consent.Revision(0)
	for range 4 {
		for _, o := range see(t, b, func(ctx context.Context, q sqldb.Querier) ([]consent.Objection, error) {
			return b.Objections(ctx, q, "a", before, 2)
		}) {
			got, before = append(got, o.ID), o.CreateRevision
			if d := cmp.Diff([]consent.SubjectRef{"u1"}, o.Subjects); d != "" {
				t.Error(d)
			}
		}
	}
	if d := cmp.Diff([]consent.ObjectionID{"o5", "o4", "o3", "o2", "o1"}, got); d != "" {
		t.Error(d)
	}
}

func wordsAreForgotten(t *testing.T, b bench) {
	b.controller(t, "a")
	said := consent.SealedWords{WrappedKey: []byte{1}, Texts: []byte{2}}
	mine := b.object(t, consent.Objection{Controller: "a", ID: "o1", Activity: "photos", Subjects: []consent.SubjectRef{"u1", "e1"}, Words: said})
	others := b.object(t, consent.Objection{Controller: "a", ID: "o2", Activity: "photos", Subjects: []consent.SubjectRef{"u2"}, Words: said})
	b.write(t, func(ctx context.Context, tx sqldb.Tx) error {
		return b.ForgetWords(ctx, tx, "a", []consent.SubjectRef{"x", "e1"})
	})
	mine.Words = consent.SealedWords{}
	b.wantObjection(t, mine)
	b.wantObjection(t, others)
}

// restrict adds a restriction at the next revision and returns it as it must be read again.
func (b bench) restrict(t *testing.T, r consent.Restriction) consent.Restriction {
	t.Helper()
	r.CreateTime, r.Ground = Base, "LEGAL_CLAIMS"
	b.write(t, func(ctx context.Context, tx sqldb.Tx) (err error) {
		if r.CreateRevision, err = b.Advance(ctx, tx, r.Controller); err != nil {
			return err
		}
		return b.AddRestriction(ctx, tx, r)
	})
	return r
}

func (b bench) lift(t *testing.T, r consent.Restriction) consent.Restriction {
	t.Helper()
	r.LiftTime = Base.Add(time.Hour)
	b.write(t, func(ctx context.Context, tx sqldb.Tx) (err error) {
		if r.LiftRevision, err = b.Advance(ctx, tx, r.Controller); err != nil {
			return err
		}
		return b.LiftRestriction(ctx, tx, r)
	})
	return r
}

func restrictions(t *testing.T, b bench) {
	b.controller(t, "a")
	r := b.restrict(t, consent.Restriction{Controller: "a", ID: "r1", Subjects: []consent.SubjectRef{"z", "m", "a"}})
	read := func() consent.Restriction {
		return see(t, b, func(ctx context.Context, q sqldb.Querier) (consent.Restriction, error) {
			return b.Restriction(ctx, q, "a", "r1")
		})
	}
	if d := cmp.Diff(r, read()); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(b.lift(t, r), read()); d != "" {
		t.Error(d)
	}
	missing(t, b, func(ctx context.Context, q sqldb.Querier) (consent.Restriction, error) {
		return b.Restriction(ctx, q, "a", "r9")
	})
	b.refuse(t, fault.NotFound, func(ctx context.Context, tx sqldb.Tx) error {
		return b.LiftRestriction(ctx, tx, consent.Restriction{Controller: "a", ID: "r9", LiftRevision: 9})
	})
}

func restrictionsInPages(t *testing.T, b bench) {
	b.controller(t, "a")
	for _, id := range []consent.RestrictionID{"r1", "r2", "r3"} {
		b.restrict(t, consent.Restriction{Controller: "a", ID: id, Activity: "photos", Subjects: []consent.SubjectRef{"u1", "e1"}})
	}
	var got []consent.RestrictionID
	before := consent.Revision(0)
	for range 2 {
		for _, r := range see(t, b, func(ctx context.Context, q sqldb.Querier) ([]consent.Restriction, error) {
			return b.Restrictions(ctx, q, "a", before, 2)
		}) {
			got, before = append(got, r.ID), r.CreateRevision
		}
	}
	if d := cmp.Diff([]consent.RestrictionID{"r3", "r2", "r1"}, got); d != "" {
		t.Error(d)
	}
}

func (b bench) person(t *testing.T, ref consent.SubjectRef) consent.Person {
	t.Helper()
	return see(t, b, func(ctx context.Context, q sqldb.Querier) (map[consent.SubjectRef]consent.Person, error) {
		return b.People(ctx, q, "a", []consent.SubjectRef{ref})
	})[ref]
}

// demandsAreKnown: what stands in the way of processing is known of each person, each once, and what has ended is not.
func demandsAreKnown(t *testing.T, b bench) {
	b.controller(t, "a")
	under := []consent.SubjectRef{"u1", "e1"}
	for id, activity := range map[consent.ObjectionID]consent.ActivityID{"o1": "photos", "o2": "photos", "o3": "trips"} {
		b.object(t, consent.Objection{Controller: "a", ID: id, Activity: activity, Subjects: under})
	}
	b.object(t, consent.Objection{Controller: "a", ID: "o4", Activity: "grades", Subjects: under, State: consent.ObjectionUpheld})
	over := b.object(t, consent.Objection{Controller: "a", ID: "o5", Activity: "mail", Subjects: under})
	b.resolve(t, over, consent.ObjectionRejected)
	b.restrict(t, consent.Restriction{Controller: "a", ID: "r1", Subjects: under})
	b.restrict(t, consent.Restriction{Controller: "a", ID: "r2", Activity: "photos", Subjects: under})
	b.lift(t, b.restrict(t, consent.Restriction{Controller: "a", ID: "r3", Activity: "trips", Subjects: under}))
	want := consent.Person{Objected: []consent.ActivityID{"grades", "photos", "trips"}, Restricted: []consent.ActivityID{"", "photos"}}
	for _, ref := range under {
		if d := cmp.Diff(want, b.person(t, ref)); d != "" {
			t.Errorf("%s: %s", ref, d)
		}
	}
	if d := cmp.Diff(consent.Person{}, b.person(t, "u2")); d != "" {
		t.Error(d)
	}
}

// rightsNeverMeet stores the same ids under two controllers, and changes those of one.
func rightsNeverMeet(t *testing.T, b bench) {
	b.controller(t, "a")
	b.controller(t, "b")
	refs := []consent.SubjectRef{"u1"}
	said := consent.SealedWords{WrappedKey: []byte{1}, Texts: []byte{2}}
	o := b.object(t, consent.Objection{Controller: "a", ID: "o1", Activity: "photos", Subjects: refs, Words: said})
	r := b.restrict(t, consent.Restriction{Controller: "a", ID: "r1", Subjects: refs})
	missing(t, b, func(ctx context.Context, q sqldb.Querier) (consent.Objection, error) {
		return b.Objection(ctx, q, "b", "o1")
	})
	missing(t, b, func(ctx context.Context, q sqldb.Querier) (consent.Restriction, error) {
		return b.Restriction(ctx, q, "b", "r1")
	})
	n := see(t, b, func(ctx context.Context, q sqldb.Querier) (int, error) {
		objections, err := b.Objections(ctx, q, "b", 0, 10)
		if err != nil {
			return 0, err
		}
		restrictions, err := b.Restrictions(ctx, q, "b", 0, 10)
		if err != nil {
			return 0, err
		}
		people, err := b.People(ctx, q, "b", refs)
		return len(objections) + len(restrictions) + len(people["u1"].Objected) + len(people["u1"].Restricted), err
	})
	if n != 0 {
		t.Errorf("%d of the other controller's demands were found", n)
	}
	theirs, lifted := o, r
	theirs.Controller, lifted.Controller = "b", "b"
	b.object(t, theirs)
	b.resolve(t, theirs, consent.ObjectionRejected)
	b.lift(t, b.restrict(t, lifted))
	b.write(t, func(ctx context.Context, tx sqldb.Tx) error { return b.ForgetWords(ctx, tx, "b", refs) })
	b.wantObjection(t, o)
	if p := b.person(t, "u1"); len(p.Objected) != 1 || len(p.Restricted) != 1 {
		t.Errorf("%+v", p)
	}
}
