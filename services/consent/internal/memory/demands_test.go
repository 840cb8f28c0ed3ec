package memory_test

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
	"github.com/privacyops/privacyops/services/consent/internal/memory"
	"github.com/privacyops/privacyops/services/consent/internal/store"
)

// restrict restricts everything of somebody, or lifts the restriction that there is.
func (in *installation) restrict(ref consent.SubjectRef) consent.Revision {
	c := consent.Change{Kind: consent.Restricting, Subjects: []consent.SubjectRef{ref}}
	if id, ok := in.history[len(in.history)-1].restricted[ref]; ok {
		return in.change(c, func(m *moment) { delete(m.restricted, ref) }, func(ctx context.Context, tx sqldb.Tx, rev consent.Revision) error {
			return store.Store{}.LiftRestriction(ctx, tx, consent.Restriction{Controller: "a", ID: id, LiftTime: noon, LiftRevision: rev})
		})
	}
	id := consent.RestrictionID(uuid.NewString())
	return in.change(c, func(m *moment) { m.restricted[ref] = id }, func(ctx context.Context, tx sqldb.Tx, rev consent.Revision) error {
		return store.Store{}.AddRestriction(ctx, tx, consent.Restriction{Controller: "a", ID: id, Subjects: c.Subjects, CreateTime: noon, CreateRevision: rev})
	})
}

// object objects to the activity for somebody, or rejects the objection that there is.
func (in *installation) object(ref consent.SubjectRef) consent.Revision {
	c := consent.Change{Kind: consent.Objecting, Activity: "photos", Subjects: []consent.SubjectRef{ref}}
	if id, ok := in.history[len(in.history)-1].objected[ref]; ok {
		return in.change(c, func(m *moment) { delete(m.objected, ref) }, func(ctx context.Context, tx sqldb.Tx, rev consent.Revision) error {
			return store.Store{}.ResolveObjection(ctx, tx, consent.Objection{Controller: "a", ID: id, State: consent.ObjectionRejected, ResolveRevision: rev})
		})
	}
	id := consent.ObjectionID(uuid.NewString())
	return in.change(c, func(m *moment) { m.objected[ref] = id }, func(ctx context.Context, tx sqldb.Tx, rev consent.Revision) error {
		return store.Store{}.AddObjection(ctx, tx, consent.Objection{Controller: "a", ID: id, Activity: "photos", Subjects: c.Subjects,
			State: consent.ObjectionOpen, CreateTime: noon, CreateRevision: rev})
	})
}

// link makes an identifier a person's, who may be themselves.
func (in *installation) link(ref, person consent.SubjectRef) consent.Revision {
	last := in.history[len(in.history)-1]
	c := consent.Change{Kind: consent.Linking, Subjects: last.all([]consent.SubjectRef{ref})}
	for other, p := range last.persons {
		if p == person {
			c.Subjects = append(c.Subjects, other)
		}
	}
	return in.change(c, func(m *moment) { m.persons[ref] = person }, func(ctx context.Context, tx sqldb.Tx, rev consent.Revision) error {
		return store.Store{}.AddUnion(ctx, tx, "a", consent.Union{Revision: rev, Time: noon, Changed: consent.Links{{Subject: ref, Person: person}}})
	})
}

// wrongPerson says what is wrong with what is known of all of a person's identifiers together.
func (m moment) wrongPerson(known memory.Known, asked []consent.SubjectRef) string {
	all := m.all(asked)
	if len(known.People) != len(all) {
		return fmt.Sprintf("%d identifiers were looked at, want %v", len(known.People), all)
	}
	has := func(ids int) bool { return ids > 0 }
	var restricted, objected, given int
	for _, ref := range all {
		if _, ok := m.restricted[ref]; ok {
			restricted++
		}
		if _, ok := m.objected[ref]; ok {
			objected++
		}
		if m.standing[ref] != "" {
			given++
		}
	}
	s := consent.SnapshotOf(known.Activity, known.People, noon)
	if s.Restricted != has(restricted) || s.Objected != has(objected) || (s.Consent != nil) != has(given) {
		return fmt.Sprintf("%v were restricted %d, objected %d, consented %d times, not %+v", all, restricted, objected, given, s)
	}
	return ""
}
