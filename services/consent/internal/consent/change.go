package consent

import (
	"context"
	"slices"
	"time"

	"github.com/privacyops/privacyops/libs/sqldb"
)

// ChangeKind says what kind of thing has changed, `noun.verb`.
type ChangeKind string

// The kinds of change.
const (
	OfController ChangeKind = "controller.changed"
	OfActivity   ChangeKind = "activity.changed"
	OfSystem     ChangeKind = "system.changed"
	Agreement    ChangeKind = "consent.given"
	Withdrawal   ChangeKind = "consent.withdrawn"
	ErasureNoted ChangeKind = "subject.erased"
	Objecting    ChangeKind = "objection.made"
	Resolving    ChangeKind = "objection.resolved"
	Restricting  ChangeKind = "restriction.made"
	Lifting      ChangeKind = "restriction.lifted"
	Linking      ChangeKind = "subjects.linked"
)

// Change is what one revision has changed. Whoever remembers answers learns from the changes which of them no longer hold.
type Change struct {
	Controller ControllerID
	// Revision is the change's own: one revision makes one change, or none where nothing came of it.
	Revision Revision
	// Previous is the revision of the controller's change before it, 0 where it is the first.
	Previous Revision
	Kind     ChangeKind
	// Activity that changed, or that the consent is to; empty where neither is the case.
	Activity ActivityID
	// System that changed; empty where none did.
	System SystemID
	// Consents that were given or withdrawn.
	Consents []ConsentID
	// Subjects are the pseudonyms of everybody whose answers may be others now, however many.
	Subjects []SubjectRef
	Time     time.Time
}

// Changes keep what each revision has changed, for as long as anybody may ask for it.
type Changes interface {
	// AddChange adds the change of a revision that was taken in the same transaction, and gives the revision of the
	// controller's change before it.
	AddChange(ctx context.Context, tx sqldb.Tx, c Change) (previous Revision, err error)
	// ChangesAfter reads at most limit changes after a revision, oldest first.
	ChangesAfter(ctx context.Context, q sqldb.Querier, controller ControllerID, after Revision, limit int) ([]Change, error)
	// ForgetChanges deletes the changes before a controller's first one that is not before a moment, but never its last one: what
	// is kept has no holes. It gives how many.
	ForgetChanges(ctx context.Context, tx sqldb.Tx, before time.Time) (int64, error)
}

// Person is what decides about a person by one pseudonym.
type Person struct {
	// Erased: the person was erased (GDPR art. 17).
	Erased bool
	// Consents has, for each activity, the one that counts among those given under this pseudonym: sufficient ones before others,
	// and of these the one with the latest act.
	Consents []Consent
	// Objected are the activities to which an objection made under this pseudonym holds (art. 21).
	Objected []ActivityID
	// Restricted are the activities to which a restriction made under this pseudonym applies (art. 18); an empty id means all.
	Restricted []ActivityID
	// Linked are the other pseudonyms of the same person, as [Links] have them.
	Linked []SubjectRef
}

// hasObjected reports whether the person's objection stands in the way of an activity.
func (p Person) hasObjected(activity ActivityID) bool { return slices.Contains(p.Objected, activity) }

// isRestricted reports whether a restriction stands in the way of an activity.
func (p Person) isRestricted(activity ActivityID) bool {
	return slices.ContainsFunc(p.Restricted, func(id ActivityID) bool { return Restriction{Activity: id}.Covers(activity) })
}

// Gather gives what is known of a person under each of the refs, and under all that are linked to one of them. Of those that get
// knows nothing of it gives the refs instead.
func Gather(refs []SubjectRef, get func(SubjectRef) (Person, bool)) (people []Person, missing []SubjectRef) {
	people = make([]Person, 0, len(refs))
	all := refs[:len(refs):len(refs)] // grows into a copy
	for i := 0; i < len(all); i++ {
		p, ok := get(all[i])
		if !ok {
			missing = append(missing, all[i])
			continue
		}
		people = append(people, p)
		for _, ref := range p.Linked {
			if !slices.Contains(all, ref) {
				all = append(all, ref)
			}
		}
	}
	return people, missing
}

// People read what decides about persons.
type People interface {
	// People reads what is known under each pseudonym; one of which nothing is known is the zero Person.
	People(ctx context.Context, q sqldb.Querier, controller ControllerID, refs []SubjectRef) (map[SubjectRef]Person, error)
}

// StandingOf picks, among the consents to an activity that count for each of a person's pseudonyms, the one that counts for
// the person: sufficient ones before others, and of these the one with the latest act. Nil where there is none.
func StandingOf(people []Person, activity ActivityID) *Consent {
	var best *Consent
	for _, p := range people {
		for i := range p.Consents {
			if c := &p.Consents[i]; c.Activity == activity && (best == nil || c.before(best)) {
				best = c
			}
		}
	}
	return best
}

// before reports whether c counts rather than another consent to the same activity.
func (c *Consent) before(other *Consent) bool {
	switch {
	case c.Sufficient != other.Sufficient:
		return c.Sufficient
	case c.LastAct() != other.LastAct():
		return c.LastAct() > other.LastAct()
	}
	return c.GiveRevision > other.GiveRevision
}
