package consent

import (
	"context"
	"time"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/sqldb"
)

// ObjectionID is the id of an objection: a UUIDv7.
type ObjectionID string

// RestrictionID is the id of a restriction: a UUIDv7.
type RestrictionID string

// ObjectionState is where an objection stands, by its name in the contract.
type ObjectionState string

// The states of an objection.
const (
	// ObjectionOpen is being weighed; processing is restricted meanwhile (GDPR art. 18(1)(d)).
	ObjectionOpen ObjectionState = "OPEN"
	// ObjectionUpheld ends the processing.
	ObjectionUpheld ObjectionState = "UPHELD"
	// ObjectionRejected lets the processing go on: compelling grounds override it (art. 21(1)).
	ObjectionRejected ObjectionState = "REJECTED"
)

// Objection is one person's objection to one activity (GDPR art. 21).
type Objection struct {
	Controller ControllerID
	ID         ObjectionID
	Activity   ActivityID
	// Subjects are the pseudonyms under which it was made, the one that was named first in front. Never empty.
	Subjects   []SubjectRef
	State      ObjectionState
	CreateTime time.Time
	// ResolveTime is zero while it is open.
	ResolveTime time.Time
	// CreateRevision and ResolveRevision give the order of acts; the second is 0 while it is open.
	CreateRevision  Revision
	ResolveRevision Revision
	// Words are what the person said, and why it was decided so.
	Words SealedWords
}

// SealedWords are texts of and about one person, under a key of their own. Both are empty where nothing was said, and once the
// person is erased.
type SealedWords struct {
	WrappedKey []byte
	Texts      []byte
}

// Holds reports whether the objection stands in the way of processing.
func (o Objection) Holds() bool { return o.State != ObjectionRejected }

// Object makes an objection to an activity, nil where the controller has none with that id. Only processing for a public task or
// legitimate interests can be objected to (GDPR art. 21(1)), and direct marketing whatever its basis (art. 21(2)), to which an
// objection is upheld at once (art. 21(3)).
//
// The faults are Invalid (UNKNOWN_ACTIVITY, WITHDRAW_CONSENT, NOT_OBJECTIONABLE) or Precondition (ACTIVITY_ARCHIVED).
func Object(id ObjectionID, subjects []SubjectRef, a *Activity, now time.Time, rev Revision) (Objection, error) {
	if err := objectionable(a); err != nil {
		return Objection{}, err
	}
	o := Objection{Controller: a.Controller, ID: id, Activity: a.ID, Subjects: subjects, State: ObjectionOpen, CreateTime: now, CreateRevision: rev}
	if a.DirectMarketing {
		o.State, o.ResolveTime, o.ResolveRevision = ObjectionUpheld, now, rev
	}
	return o, nil
}

func objectionable(a *Activity) error {
	switch {
	case a == nil:
		return unknownActivity()
	case a.Archived:
		return fault.New(fault.Precondition, "ACTIVITY_ARCHIVED", "The activity has ended, so there is nothing left to object to.")
	case a.Objectionable():
		return nil
	case a.Basis == BasisConsent:
		return fault.New(fault.Invalid, "WITHDRAW_CONSENT",
			"The activity rests on consent (GDPR art. 6(1)(a)): withdraw the consent instead (art. 7(3)), which needs no grounds and is not weighed.")
	}
	return fault.Newf(fault.Invalid, "NOT_OBJECTIONABLE",
		"The activity rests on GDPR art. %s. The right to object is to processing on the basis of art. 6(1)(e) or (f) (art. 21(1)) and to direct marketing (art. 21(2)).",
		a.Basis.Article()).With("legalBasis", string(a.Basis))
}

func unknownActivity() error {
	return fault.New(fault.Invalid, "UNKNOWN_ACTIVITY", "The controller has registered no activity with this id.").
		WithViolations([]fault.Violation{{Field: "activity", Description: "is not registered"}})
}

// Resolve decides an objection to an activity. It gives false where the same was decided before, and then changes nothing.
//
// The faults are Precondition: DIRECT_MARKETING where an objection to direct marketing would be rejected (art. 21(3)),
// OBJECTION_RESOLVED where the opposite was decided before.
func (o Objection) Resolve(outcome ObjectionState, a Activity, now time.Time, rev Revision) (Objection, bool, error) {
	switch {
	case o.State == outcome:
		return o, false, nil
	case outcome == ObjectionRejected && a.DirectMarketing:
		return o, false, fault.New(fault.Precondition, "DIRECT_MARKETING",
			"An objection to direct marketing is not weighed and cannot be rejected: the data is no longer processed for it (GDPR art. 21(3)).")
	case o.State != ObjectionOpen:
		return o, false, fault.New(fault.Precondition, "OBJECTION_RESOLVED",
			"The objection was decided otherwise, and the person was told (GDPR art. 12(3)). If that was wrong, they object again, or are asked anew.").
			With("state", string(o.State))
	}
	o.State, o.ResolveTime, o.ResolveRevision = outcome, now, rev
	return o, true, nil
}

// Restriction keeps a person's data from being processed otherwise than by storing it (GDPR art. 4(3), 18).
type Restriction struct {
	Controller ControllerID
	ID         RestrictionID
	// Activity that is restricted; empty: all of the controller's.
	Activity ActivityID
	// Subjects are the pseudonyms under which it was made, the one that was named first in front. Never empty.
	Subjects []SubjectRef
	// Ground is one of art. 18(1), by its name in the contract.
	Ground     string
	CreateTime time.Time
	// LiftTime is zero while it is active.
	LiftTime time.Time
	// CreateRevision and LiftRevision give the order of acts; the second is 0 while it is active.
	CreateRevision Revision
	LiftRevision   Revision
}

// Covers reports whether the restriction, while it is active, stands in the way of an activity.
func (r Restriction) Covers(activity ActivityID) bool {
	return r.Activity == "" || r.Activity == activity
}

// Restrict makes a restriction. An activity that is named must be registered, whether it goes on or has ended: its data may still
// be held. The fault is Invalid (UNKNOWN_ACTIVITY).
func Restrict(r Restriction, a *Activity, now time.Time, rev Revision) (Restriction, error) {
	if r.Activity != "" && a == nil {
		return Restriction{}, unknownActivity()
	}
	r.CreateTime, r.CreateRevision = now, rev
	return r, nil
}

// Lift ends a restriction. It gives false where it was lifted before, and then changes nothing.
func (r Restriction) Lift(now time.Time, rev Revision) (Restriction, bool) {
	if r.LiftRevision != 0 {
		return r, false
	}
	r.LiftTime, r.LiftRevision = now, rev
	return r, true
}

// Objections keep the objections.
type Objections interface {
	// AddObjection adds one and links it to each of its subjects.
	AddObjection(ctx context.Context, tx sqldb.Tx, o Objection) error
	// Objection reads one, with all its subjects in their order.
	Objection(ctx context.Context, q sqldb.Querier, controller ControllerID, id ObjectionID) (Objection, error)
	// Objections reads at most limit objections that were made before a revision (0: no bound), newest first, each with the first of
	// its subjects only.
	Objections(ctx context.Context, q sqldb.Querier, controller ControllerID, before Revision, limit int) ([]Objection, error)
	// ResolveObjection writes state, resolve time and revision, and words.
	ResolveObjection(ctx context.Context, tx sqldb.Tx, o Objection) error
	// ForgetWords empties the words of every objection that was made under any of the refs.
	ForgetWords(ctx context.Context, tx sqldb.Tx, controller ControllerID, refs []SubjectRef) error
}

// Restrictions keep the restrictions.
type Restrictions interface {
	// AddRestriction adds one and links it to each of its subjects.
	AddRestriction(ctx context.Context, tx sqldb.Tx, r Restriction) error
	// Restriction reads one, with all its subjects in their order.
	Restriction(ctx context.Context, q sqldb.Querier, controller ControllerID, id RestrictionID) (Restriction, error)
	// Restrictions reads at most limit restrictions that were made before a revision (0: no bound), newest first, each with the first
	// of its subjects only.
	Restrictions(ctx context.Context, q sqldb.Querier, controller ControllerID, before Revision, limit int) ([]Restriction, error)
	// LiftRestriction writes lift time and revision.
	LiftRestriction(ctx context.Context, tx sqldb.Tx, r Restriction) error
}
