package storetest

import (
	"context"
	"testing" //nolint:depguard // a conformance kit: it is run by the tests of each store

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// unite adds a union at the next revision.
func (b bench) unite(t *testing.T, controller consent.ControllerID, u consent.Union) {
	t.Helper()
	b.write(t, func(ctx context.Context, tx sqldb.Tx) (err error) {
		if u.Revision, err = b.Advance(ctx, tx, controller); err != nil {
			return err
		}
		u.Time = Base
		return b.AddUnion(ctx, tx, controller, u)
	})
}

func (b bench) links(t *testing.T, controller consent.ControllerID, refs ...consent.SubjectRef) consent.Links {
	t.Helper()
	return see(t, b, func(ctx context.Context, q sqldb.Querier) (consent.Links, error) {
		return b.Links(ctx, q, controller, refs)
	})
}

// link says whose an identifier is.
func link(ref, person consent.SubjectRef) consent.Link {
	return consent.Link{Subject: ref, Person: person}
}

func links(t *testing.T, b bench) {
	b.controller(t, "a")
	b.controller(t, "b")
	b.unite(t, "a", consent.Union{Changed: consent.Links{link("u1", "u1"), link("e1", "u1"), link("m", "u1")}})
	b.unite(t, "b", consent.Union{Changed: consent.Links{link("u1", "u1"), link("x", "u1")}})
	b.unite(t, "a", consent.Union{Changed: consent.Links{link("u2", "u2"), link("e2", "u2")}})
	if d := cmp.Diff([]consent.SubjectRef{"e1", "z", "m", "u1"}, b.links(t, "a", "e1", "z").Expand([]consent.SubjectRef{"e1", "z"})); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(consent.Person{Linked: []consent.SubjectRef{"m", "u1"}}, b.person(t, "e1")); d != "" {
		t.Error(d)
	}
	// The newest row counts: m is shared from now on, and e1 has come to another person.
	b.unite(t, "a", consent.Union{Changed: consent.Links{{Subject: "m", Person: "m", Shared: true}, link("e1", "u2")}})
	for ref, want := range map[consent.SubjectRef]consent.Links{
		"m": {{Subject: "m", Person: "m", Shared: true}}, "u1": {link("u1", "u1")},
		"e1": {link("e1", "u2"), link("e2", "u2"), link("u2", "u2")}, "z": nil,
	} {
		if d := cmp.Diff(want, b.links(t, "a", ref)); d != "" {
			t.Errorf("%s: %s", ref, d)
		}
	}
	for ref, want := range map[consent.SubjectRef][]consent.SubjectRef{"m": nil, "u1": nil, "e1": {"e2", "u2"}, "u2": {"e1", "e2"}} {
		if d := cmp.Diff(want, b.person(t, ref).Linked); d != "" {
			t.Errorf("%s: %s", ref, d)
		}
	}
}

func namings(t *testing.T, b bench) {
	b.controller(t, "a")
	b.controller(t, "b")
	say := func(controller consent.ControllerID, shared consent.SubjectRef, primary []consent.SubjectRef, refs ...consent.SubjectRef) {
		u := consent.Union{Naming: consent.Naming{Subjects: refs, Primary: primary}}
		for _, ref := range refs {
			u.Changed = append(u.Changed, consent.Link{Subject: ref, Person: refs[0], Shared: ref == shared})
		}
		b.unite(t, controller, u)
	}
	say("a", "", []consent.SubjectRef{"u1"}, "e1", "u1")
	say("b", "", nil, "e1", "other")
	say("a", "", nil, "e1", "m1")
	say("a", "mail", nil, "m1", "mail")
	say("a", "mail", []consent.SubjectRef{"u2"}, "mail", "u2")
	read := func(refs ...consent.SubjectRef) (out [][]consent.SubjectRef) {
		for _, n := range see(t, b, func(ctx context.Context, q sqldb.Querier) ([]consent.Naming, error) {
			return b.Namings(ctx, q, "a", refs)
		}) {
			out = append(out, append(n.Subjects, n.Primary...))
		}
		return out
	}
	chain := [][]consent.SubjectRef{{"e1", "u1", "u1"}, {"e1", "m1"}, {"m1", "mail"}}
	for _, ref := range []consent.SubjectRef{"u1", "e1", "m1"} {
		if d := cmp.Diff(chain, read(ref)); d != "" {
			t.Errorf("from %s: %s", ref, d)
		}
	}
	if d := cmp.Diff([][]consent.SubjectRef{{"mail", "u2", "u2"}}, read("u2")); d != "" {
		t.Errorf("a chain ends at a shared identifier: %s", d)
	}
	if got := read("x"); len(got) != 0 {
		t.Errorf("of a stranger: %v", got)
	}
}
