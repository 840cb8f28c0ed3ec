package consent

import "time"

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
}

// Holds reports whether the objection stands in the way of processing.
func (o Objection) Holds() bool { return o.State != ObjectionRejected }

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
