package export

import (
	"context"
	"errors"
	"time"
)

// ErrNoController says that the register does not know the controller.
var ErrNoController = errors.New("export: the register does not know the controller")

// Register is where controllers say what is processed, and where.
type Register interface {
	// Snapshot reads a controller's register as it stands now. The error is [ErrNoController] where there is none; any other
	// may pass.
	Snapshot(ctx context.Context, c ControllerID) (Snapshot, error)
}

// Participants finds what speaks for a system.
type Participants interface {
	// Participant gives the participant of that name. An error says that none is configured; its [Message] says what to do.
	Participant(name ParticipantName) (Participant, error)
}

// Participant speaks for one system. Its errors have a [Message]; their own text may hold anything.
type Participant interface {
	// Describe says what the system holds. It names no person.
	Describe(ctx context.Context) (Description, error)
	// Locate counts what the system holds about the person with these identifiers, and gives further ones.
	Locate(ctx context.Context, c ControllerID, ids []Identifier) (Location, error)
	// Export hands what the system holds in these datasets (none named: in all) to sink, in order. It returns nil only if the
	// system said that its answer is complete, and the sink's own error as it is.
	Export(ctx context.Context, c ControllerID, ids []Identifier, datasets []string, sink Sink) error
}

// Description is what a system holds.
type Description struct {
	Digest   string
	Datasets []Dataset
}

// Dataset is one kind of data about people in a system.
type Dataset struct {
	Name, Category  string
	Activity        ActivityID
	SubjectProvided bool
	Columns         []string
}

// Location is what a system holds about a person.
type Location struct {
	// Counts of rows by dataset.
	Counts map[string]int64
	// Further identifiers of the same person.
	Further []Identifier
	// Shared identifiers belong to several people.
	Shared []SharedIdentifier
	Digest string
}

// SharedIdentifier is an identifier that belongs to several people in one system. Its value is not known here.
type SharedIdentifier struct {
	System SystemID
	Type   string
	People int64
}

// Sink takes in what a system hands over.
type Sink interface {
	// Record takes one row: one JSON object. The bytes are the caller's again afterwards.
	Record(dataset string, object []byte) error
	// Omission takes what the system left out. Its System is set by the sink.
	Omission(o Omission) error
}

// Store keeps exports. Times are stored in microseconds.
type Store interface {
	// Take gives an export to work on and raises its fence, so that whoever had it before can write no more. It is the taker's
	// until now + lease. [ErrIdle] where it is somebody else's, has ended or is not due; [ErrMissing] where there is none.
	Take(ctx context.Context, ref Ref, now time.Time, lease time.Duration) (*Work, error)
	// Save writes all of w, and e where it is not nil, together, and raises w.Version. It must write nothing and answer
	// [ErrFenced] unless w.Fence is still the fence in the row. With release the export is free to be taken again.
	Save(ctx context.Context, w *Work, e *Event, release bool) error
	// Extend moves the end of the lease, unless the export was taken by somebody else ([ErrFenced]).
	Extend(ctx context.Context, ref Ref, fence int64, until time.Time) error
	// TakeExpired gives an export whose package's time has come at now, with its fence raised; [ErrIdle] where it has not.
	TakeExpired(ctx context.Context, ref Ref, now time.Time) (*Work, error)
}

// Event is what the audit log is told. It holds counts and hashes, never personal data.
type Event struct {
	// Action is `export.complete`, `export.fail` or `export.expire`.
	Action string
	// Failed says that it did not succeed, and Reason why, in one stable word.
	Failed bool
	Reason string
	Detail map[string]string
}

// Packages writes sealed packages and deletes them. What it writes to disk is encrypted from the first byte.
type Packages interface {
	// Create begins a package of that name, to be opened by the recipient, or by a new secret where there is none. The draft
	// ends with ctx.
	Create(ctx context.Context, file FileID, recipient string, now time.Time) (Draft, error)
	// Remove deletes a package, and whatever of it was begun. One that is not there is no error.
	Remove(ctx context.Context, file FileID) error
}

// Draft is a package that is being written. It is used by one goroutine.
type Draft interface {
	// Intake begins to take in one system's data.
	Intake(s SystemID) (Intake, error)
	// Finish adds manifest (with the files that it knows) and what goes with it, and makes the package durable. The secret is
	// what opens it; empty with a recipient.
	Finish(m *Manifest) (p Package, secret string, err error)
	// Abort deletes what was written. After Finish it does nothing.
	Abort()
}

// Intake holds one system's data apart until it is complete.
type Intake interface {
	// Record takes a row of a dataset, one JSON object. Rows of one dataset come together.
	Record(dataset string, object []byte) error
	// Keep puts all of it into the package. columns gives the order of a dataset's columns where it is known.
	Keep(columns map[string][]string) error
	// Drop forgets it. After Keep it only frees what it held.
	Drop()
}

// Message finds what an error wants people to be told: what is wrong and what to do, without personal data. Other errors get
// a general sentence, because their text may hold anything.
func Message(err error) string {
	var m interface{ Public() string }
	if errors.As(err, &m) {
		return m.Public()
	}
	return "The system could not be asked. Look into its log; it is tried again."
}

// answerError is an answer of a participant that cannot be used.
type answerError string

func (e answerError) Error() string  { return "export: unusable answer" }
func (e answerError) Public() string { return string(e) }

// ErrIncomplete is the error of an export stream that ended without saying that it is complete.
var ErrIncomplete error = answerError("Incomplete answer: the stream ended before the system said that it was complete. It is tried again.")
