package consent

import (
	"context"
	"slices"
	"time"

	"github.com/privacyops/privacyops/libs/sqldb"
)

// Moment is a place in the past, on two axes: what held as of one time, as far as it was known at another. See "The past" in
// the package's description.
type Moment struct {
	AsOf time.Time
	// KnownAt is not before AsOf.
	KnownAt time.Time
}

// Check refuses a moment that has not been yet, and knowledge from before what it is about. The faults are Invalid.
func (m Moment) Check(now time.Time) error {
	switch {
	case m.AsOf.After(now):
		return broken("AS_OF_IN_FUTURE", "as_of", "What will hold is not known. Name a moment in as_of that has been, or leave it out to ask about now.")
	case m.KnownAt.Before(m.AsOf):
		return broken("KNOWN_AT_BEFORE_AS_OF", "known_at", "Before as_of nobody knew what would hold then. Name the same moment or a later one in known_at.")
	case m.KnownAt.After(now):
		return broken("KNOWN_AT_IN_FUTURE", "known_at", "What will be known is not known. Name a moment in known_at that has been, or leave it out for what is known now.")
	}
	return nil
}

// History is everything that is on record about the people of one question and one activity, whenever it happened. It holds
// what has ended, too: what was withdrawn, lifted, decided or replaced.
type History struct {
	// Versions of the activity, in any order; none where the controller has none with that id.
	Versions []Activity
	// Links of the people's identifiers, in any order.
	Links []LinkVersion
	// Consents to the activity. Each has all its subjects.
	Consents []Consent
	// Objections to the activity. Each has all its subjects.
	Objections []Objection
	// Restrictions of the activity, or of all. Each has all its subjects.
	Restrictions []Restriction
	Erasures     []Erasure
}

// LinkVersion is what became known at one revision about whom an identifier belongs to. It replaces what was known before.
type LinkVersion struct {
	Link
	Time     time.Time
	Revision Revision
}

// Histories read what is on record.
type Histories interface {
	// History reads what is on record of an activity and of the people behind the refs, under all identifiers that were ever
	// known as theirs. What is unknown has an empty history.
	History(ctx context.Context, q sqldb.Querier, controller ControllerID, activity ActivityID, refs []SubjectRef) (History, error)
}

// SnapshotAt is what held at a moment for the people behind the refs, who are taken as one. What happened at AsOf itself holds.
func SnapshotAt(h History, refs []SubjectRef, m Moment) Snapshot {
	known := linksAt(h.Links, m.KnownAt).Expand(refs)
	theirs := func(subjects []SubjectRef) bool {
		return slices.ContainsFunc(subjects, func(r SubjectRef) bool { return slices.Contains(known, r) })
	}
	person := Person{
		Erased: slices.ContainsFunc(h.Erasures, func(e Erasure) bool { return theirs(e.Subjects) && e.heldAt(m) }),
	}
	for _, c := range h.Consents {
		if theirs(c.Subjects) && !c.GiveTime.After(m.AsOf) {
			person.Consents = append(person.Consents, c.asOf(m.AsOf))
		}
	}
	for _, o := range h.Objections {
		if theirs(o.Subjects) && o.heldAt(m.AsOf) {
			person.Objected = append(person.Objected, o.Activity)
		}
	}
	for _, r := range h.Restrictions {
		if theirs(r.Subjects) && r.heldAt(m.AsOf) {
			person.Restricted = append(person.Restricted, r.Activity)
		}
	}
	return SnapshotOf(versionAt(h.Versions, m.AsOf), []Person{person}, m.AsOf)
}

// linksAt are the links as they were known at a time.
func linksAt(versions []LinkVersion, knownAt time.Time) Links {
	newest := map[SubjectRef]LinkVersion{}
	for _, v := range versions {
		if before, ok := newest[v.Subject]; !v.Time.After(knownAt) && (!ok || before.Revision < v.Revision) {
			newest[v.Subject] = v
		}
	}
	out := make(Links, 0, len(newest))
	for _, v := range newest {
		out = append(out, v.Link)
	}
	return out
}

// versionAt is the newest of the versions that were made by a time; nil where none was.
func versionAt(versions []Activity, t time.Time) *Activity {
	var newest *Activity
	for i := range versions {
		if v := &versions[i]; !v.UpdateTime.After(t) && (newest == nil || v.Version > newest.Version) {
			newest = v
		}
	}
	return newest
}

// asOf is the consent as it stood at a time, at which it was given already.
func (c Consent) asOf(t time.Time) Consent {
	if c.WithdrawTime.After(t) {
		c.WithdrawTime, c.WithdrawRevision = time.Time{}, 0
	}
	return c
}

// heldAt reports whether the objection stood in the way of processing at a time.
func (o Objection) heldAt(t time.Time) bool {
	if o.ResolveRevision != 0 && o.ResolveTime.After(t) {
		o.State = ObjectionOpen
	}
	return !o.CreateTime.After(t) && o.Holds()
}

// heldAt reports whether the restriction was active at a time.
func (r Restriction) heldAt(t time.Time) bool {
	return !r.CreateTime.After(t) && (r.LiftRevision == 0 || r.LiftTime.After(t))
}

// heldAt reports whether the person was erased at a moment, as far as it was known. Where nobody said when it was done, it was
// done when it was noted, and never later: the clock of who did it may be ahead.
func (e Erasure) heldAt(m Moment) bool {
	done := e.Time
	if done.IsZero() || done.After(e.RecordTime) {
		done = e.RecordTime
	}
	return !done.After(m.AsOf) && !e.RecordTime.After(m.KnownAt)
}
