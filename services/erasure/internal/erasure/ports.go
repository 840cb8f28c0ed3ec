package erasure

import (
	"context"
	"errors"
	"time"
)

// Register is what a controller has instructed, as far as an erasure needs to know it.
type Register struct {
	RequiredApprovals int
	GracePeriod       time.Duration
	TimeZone          string
	Activities        []Activity
	Systems           []System
}

// Activity is a purpose with its legal basis.
type Activity struct {
	ID         string
	LegalBasis string
	// Protected data outlives a request for erasure, on ProtectionGround (art. 17(3)).
	Protected        bool
	ProtectionGround string
}

// System is a system that holds data of the controller.
type System struct {
	ID          string
	Participant string
	Mandatory   bool
	Order       int
}

// Description is what a system says of itself.
type Description struct {
	DataMapDigest string
	Datasets      []Dataset
}

// Dataset is one kind of data in a system.
type Dataset struct {
	Name        string
	Activity    string
	Action      Action
	Ground      string
	Article     string
	Explanation Text
	// Identity is set for the person's own record, to which the other datasets of the system refer.
	Identity bool
}

// Location is what a system holds about a person.
type Location struct {
	Counts        map[string]int64
	Further       []Identifier
	Shared        []SharedIdentifier
	DataMapDigest string
}

// SharedIdentifier belongs to several people.
type SharedIdentifier struct {
	Type   string
	People int64
}

// Finding is what one system answered while the plan was made.
type Finding struct {
	System      System
	Description Description
	Counts      map[string]int64
	Shared      []SharedIdentifier
}

// EraseOrder tells a system to erase.
type EraseOrder struct {
	Request       string
	FencingToken  int64
	DataMapDigest string
	Datasets      []string
	Identifiers   []Identifier
}

// Remainder is what a system still holds.
type Remainder struct {
	Dataset string
	Table   string
	Column  string
	Count   int64
	FoundBy string
}

// Participant speaks for one system. Errors are faults with a public message, so that they can be shown.
type Participant interface {
	Describe(ctx context.Context) (Description, error)
	Locate(ctx context.Context, c ControllerID, ids []Identifier) (Location, error)
	Erase(ctx context.Context, c ControllerID, order EraseOrder) ([]DatasetOutcome, error)
	Verify(ctx context.Context, c ControllerID, request string, ids []Identifier) ([]Remainder, error)
}

// Participants finds the participant of a system by its configured name. An unknown name is a fault that says what to configure.
type Participants interface {
	Participant(name string) (Participant, error)
}

// Proof shows that an audit event is in the log.
type Proof struct {
	Leaf       []byte
	Index      uint64
	TreeSize   uint64
	Hashes     [][]byte
	Checkpoint string
	LogKey     string
}

// Proofs asks the audit service. ErrNotYet says that the event has not been published so far.
type Proofs interface {
	Proof(ctx context.Context, c ControllerID, event string) (Proof, error)
}

// ErrNotYet is the error of [Proofs] for an event that is still on its way into the log.
var ErrNotYet = errors.New("erasure: the audit event is not published yet")

// Registers reads the controller's instructions. An unknown controller is fault.Missing.
type Registers interface {
	Register(ctx context.Context, c ControllerID) (Register, error)
}

// Erased tells the service that answers legal-basis checks that a person was erased.
type Erased interface {
	RecordErasure(ctx context.Context, c ControllerID, subjectRefs []string, erasure string, at time.Time) error
}

// Keys makes people in the audit log unreadable.
type Keys interface {
	// Destroy destroys the keys under which the log holds a person. Done again it does nothing more. When it returns without an
	// error the keys are gone, and what the log holds of before cannot be read by anyone.
	Destroy(ctx context.Context, c ControllerID, subjectRefs []string, erasure string) error
}

// Pseudonyms makes the pseudonym of an identifier under a controller.
type Pseudonyms interface {
	Subject(controller, identifierType, value string) string
}

// Event is an audit event of the engine's work.
type Event struct {
	// Nameless events name the erasure and not the person. What a certificate rests on must stay readable, and what follows on the
	// destruction of the person's keys must not bring the person back into the log.
	Nameless bool
	ID       string
	Action   string
	Outcome  string // OK where it is empty
	Reason   string
	Detail   map[string]string
}

// ErrFenced says that another worker has taken the erasure: this one must stop. Nothing was written.
var ErrFenced = errors.New("erasure: taken over by another worker")

// ErrNoWork says that there is nothing to do for the erasure now.
var ErrNoWork = errors.New("erasure: nothing to do")

// Change is one step, stored whole or not at all.
type Change struct {
	Erasure *Erasure
	Event   Event
	// Identifiers, where not nil, replace the sealed ones.
	Identifiers []Identifier
	// DestroyIdentifiers destroys the key of the sealed identifiers, and them.
	DestroyIdentifiers bool
	// Tombstones are pseudonyms of a person who is now erased.
	Tombstones []string
}

// Move is that an erasure has come into another state.
type Move struct {
	Controller ControllerID
	ID         ID
	SubjectRef string
	State      State
	// Sequence numbers the moves of a controller's erasures, from 1 on without gaps.
	Sequence int64
	Time     time.Time
}

// Store keeps erasures.
type Store interface {
	// Take gives the erasure to this worker: it raises the fence and reads the sealed identifiers. It fails with ErrNoWork where
	// NextWork is not due at now.
	Take(ctx context.Context, c ControllerID, id ID, now time.Time) (*Erasure, []Identifier, error)
	// Save stores a step of the worker that holds the fence of the erasure, and ErrFenced where another one does. The event is
	// written in the same transaction, and so is the job for the next work that falls due.
	Save(ctx context.Context, change Change) error
}
