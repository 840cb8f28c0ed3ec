package consent

import (
	"context"
	"time"

	"github.com/privacyops/privacyops/libs/sqldb"
)

// Store is everything that is kept. Its methods take the transaction of their caller and never make one, so that a change
// and its audit event commit together. What is absent and what belongs to another controller is the same fault
// (fault.Missing), and no method ever gives one controller's rows to another.
type Store interface {
	Revisions
	Controllers
	Activities
	Systems
	Consents
	ErasedSubjects
	Changes
	People
	Objections
	Restrictions
	LinkStore
	Histories
}

// Revisions number the changes of each controller.
type Revisions interface {
	// Advance takes the next revision. It must be the first statement of a writing transaction: it makes the other writers
	// of the controller wait, so that revisions are in the order of commits. A fault of kind NotFound says that the
	// controller is not in the register.
	Advance(ctx context.Context, tx sqldb.Tx, controller ControllerID) (Revision, error)
	// Revision is the newest one; a fault of kind NotFound says that the controller is not in the register.
	Revision(ctx context.Context, q sqldb.Querier, controller ControllerID) (Revision, error)
}

// Controllers keep the controllers.
type Controllers interface {
	// CreateController adds one, at revision 1. A taken id is a fault of kind Exists.
	CreateController(ctx context.Context, tx sqldb.Tx, c Controller) error
	// Controller reads one.
	Controller(ctx context.Context, q sqldb.Querier, id ControllerID) (Controller, error)
	// UpdateController writes everything but the id and the create time.
	UpdateController(ctx context.Context, tx sqldb.Tx, c Controller) error
}

// Activities keep the activities in all their versions.
type Activities interface {
	// AddActivityVersion adds a version and makes it the newest one. Version 1 makes the activity; where there is one with
	// this id already, that is a fault of kind Exists. Versions that were added never change.
	AddActivityVersion(ctx context.Context, tx sqldb.Tx, a Activity) error
	// Activity reads one in its newest version.
	Activity(ctx context.Context, q sqldb.Querier, controller ControllerID, id ActivityID) (Activity, error)
	// ActivityVersion reads one in the given version.
	ActivityVersion(ctx context.Context, q sqldb.Querier, controller ControllerID, id ActivityID, version int64) (Activity, error)
	// Activities reads at most limit activities with ids after the given one, by id, in their newest version.
	Activities(ctx context.Context, q sqldb.Querier, controller ControllerID, after ActivityID, limit int) ([]Activity, error)
}

// Systems keep the systems.
type Systems interface {
	// CreateSystem adds one. A taken id is a fault of kind Exists.
	CreateSystem(ctx context.Context, tx sqldb.Tx, s System) error
	// System reads one.
	System(ctx context.Context, q sqldb.Querier, controller ControllerID, id SystemID) (System, error)
	// UpdateSystem writes everything but the ids and the create time.
	UpdateSystem(ctx context.Context, tx sqldb.Tx, s System) error
	// Systems reads at most limit systems with ids after the given one, by id.
	Systems(ctx context.Context, q sqldb.Querier, controller ControllerID, after SystemID, limit int) ([]System, error)
}

// Consents keep the consents with their history. Consent and ConsentsTo give all subjects of a consent, the first in front;
// the other methods give only the first. Lists of refs are never empty.
type Consents interface {
	// AddConsent adds one and links it to each of its subjects.
	AddConsent(ctx context.Context, tx sqldb.Tx, c Consent) error
	// Consent reads one.
	Consent(ctx context.Context, q sqldb.Querier, controller ControllerID, id ConsentID) (Consent, error)
	// ConsentsTo reads every consent to an activity that was given under any of the refs, newest first.
	ConsentsTo(ctx context.Context, q sqldb.Querier, controller ControllerID, activity ActivityID, refs []SubjectRef) ([]Consent, error)
	// ConsentsOf reads at most limit consents given under any of the refs before a revision (0: no bound), newest first.
	ConsentsOf(ctx context.Context, q sqldb.Querier, controller ControllerID, refs []SubjectRef, before Revision, limit int) ([]Consent, error)
	// Withdraw marks consents as withdrawn. One that is withdrawn already stays as it is.
	Withdraw(ctx context.Context, tx sqldb.Tx, controller ControllerID, ids []ConsentID, at time.Time, rev Revision) error
}

// ErasedSubjects keep the pseudonyms of people who were erased.
type ErasedSubjects interface {
	// AddErased notes pseudonyms as erased. One that is noted already stays as it is.
	AddErased(ctx context.Context, tx sqldb.Tx, e Erasure) error
	// Erased reports whether any of the refs is noted.
	Erased(ctx context.Context, q sqldb.Querier, controller ControllerID, refs []SubjectRef) (bool, error)
}

// Erasure is that a person was erased.
type Erasure struct {
	Controller ControllerID
	Subjects   []SubjectRef
	// Resource is the name of the erasure in the erasure service.
	Resource string
	// Time is when it was done, RecordTime when it was noted here.
	Time       time.Time
	RecordTime time.Time
}
