package export

import (
	"errors"
	"slices"
	"time"
)

// Kind is the right that an export serves.
type Kind string

// The kinds of export.
const (
	// Access is a copy of everything, with the information of GDPR art. 15.
	Access Kind = "ACCESS"
	// Portability is what the person provided, on consent or contract (GDPR art. 20).
	Portability Kind = "PORTABILITY"
)

// Language is the language of what people read in a package.
type Language string

// The languages of the suite.
const (
	Danish  Language = "da"
	English Language = "en"
)

// SystemState is where one system stands in an export.
type SystemState string

// The states of a system in an export.
const (
	SystemPending SystemState = "PENDING"
	SystemDone    SystemState = "DONE"
	SystemFailed  SystemState = "FAILED"
)

// Times of an export's life.
const (
	// Keep is how long a package can be fetched.
	Keep = 7 * 24 * time.Hour
	// minimumRetry is how long an export is tried at least, however late the request was handed in.
	minimumRetry = 24 * time.Hour
)

// Errors of the store that the rules know.
var (
	// ErrMissing says that the controller has no such export.
	ErrMissing = errors.New("export: no such export")
	// ErrFenced says that somebody else has taken the export since, or that it has ended. Nothing was written.
	ErrFenced = errors.New("export: overtaken")
	// ErrIdle says that there is nothing to do now: somebody works on the export, its next attempt is not due, or it has ended.
	ErrIdle = errors.New("export: nothing to do now")
	// ErrFinished says that an export that has ended cannot be called off.
	ErrFinished = errors.New("export: already finished")
)

// Export is one copy of one person's data.
type Export struct {
	Ref
	State    State
	Kind     Kind
	Language Language
	// SubjectRef is the pseudonym of the first identifier that the person was named by.
	SubjectRef string
	// Refs are the pseudonyms of all identifiers that are known, SubjectRef among them.
	Refs []string
	// Recipient is the age recipient whom the package is encrypted to; empty where the service seals it itself.
	Recipient string
	Systems   []System
	Omissions []Omission
	// Received is when the controller received the request; Due when the answer is due (GDPR art. 12(3)).
	Received, Due time.Time
	// RetryUntil is until when a missing system is tried again.
	RetryUntil time.Time
	// Expires is when the package is deleted; zero while there is none.
	Expires          time.Time
	Created, Updated time.Time
	// Package is nil while there is none.
	Package *Package
	// Settled says that nothing more will be tried. The identifiers are gone.
	Settled bool
	// Version rises with every change.
	Version int64
}

// System is how one system stands in an export.
type System struct {
	System      SystemID        `json:"system"`
	DisplayName string          `json:"displayName"`
	Participant ParticipantName `json:"participant"`
	Mandatory   bool            `json:"mandatory"`
	State       SystemState     `json:"state"`
	// Records and Bytes were handed over.
	Records int64 `json:"records"`
	Bytes   int64 `json:"bytes"`
	// Message says what went wrong and what to do, in words that hold no personal data.
	Message string `json:"message,omitempty"`
	// Digest is the digest of the data map by which the system answered.
	Digest string `json:"digest,omitempty"`
	// Located counts rows by dataset.
	Located map[string]int64 `json:"located,omitempty"`
}

// Omission is what was left out, and why (GDPR art. 15(4), 20).
type Omission struct {
	System  SystemID `json:"system"`
	Dataset string   `json:"dataset,omitempty"`
	Column  string   `json:"column,omitempty"`
	// Count is how many cells or rows; of a shared identifier, how many people.
	Count int64 `json:"count"`
	// Ground is one of the Ground constants, or the words of the participant.
	Ground  string `json:"ground"`
	Article string `json:"article,omitempty"`
}

// The grounds that this service itself leaves something out on.
const (
	// GroundNotProvided: the person did not provide it.
	GroundNotProvided = "NOT_PROVIDED_BY_PERSON"
	// GroundOtherBasis: it is processed on another basis than consent or contract.
	GroundOtherBasis = "BASIS_NOT_CONSENT_OR_CONTRACT"
	// GroundUnknownActivity: the register has no activity for it, hence no basis.
	GroundUnknownActivity = "ACTIVITY_NOT_REGISTERED"
	// GroundShared: an identifier belongs to several people and was not followed.
	GroundShared = "SHARED_IDENTIFIER"
	// GroundSearchLimit: the search for further identifiers was ended before it found nothing new.
	GroundSearchLimit = "IDENTIFIER_SEARCH_LIMIT"
)

// Package is the file that holds the copy.
type Package struct {
	File FileID
	// SHA256, lower-case hex, and Size are those of the file as it is fetched.
	SHA256 string
	Size   int64
	// ContentType is `application/zip`, or `application/age` where a recipient's key is needed to open it.
	ContentType string
	// Secret opens the file at rest. Empty where only the recipient can.
	Secret Sealed
}

// Sealed is what only the holder of the keyring can read: data under a key of its own, which is stored wrapped. Destroying
// the key destroys the data, in every backup too.
type Sealed struct{ Key, Data []byte }

// Empty reports whether nothing was sealed, or its key was destroyed.
func (s Sealed) Empty() bool { return len(s.Key) == 0 }

// Work is an export with what is needed to carry it on.
type Work struct {
	Export
	// Fence is the number under which the export was taken. It rises with each taking.
	Fence int64
	// Failures counts attempts that came to nothing since the last success.
	Failures int
	// Next is the earliest time to carry on.
	Next time.Time
	// Draft is the file that a package is being written to.
	Draft FileID
	// Identifiers are the person's identifiers; destroyed when the export ends.
	Identifiers Sealed
}

// Request is what an export is begun with.
type Request struct {
	Ref
	Kind        Kind
	Language    Language
	Identifiers []Identifier
	Recipient   string
	Received    time.Time
	// Due is the last moment to answer; package clock finds it.
	Due time.Time
	Now time.Time
}

// end destroys the identifiers. Nothing more is tried.
func (w *Work) end() {
	w.Settled, w.Identifiers, w.Draft, w.Next = true, Sealed{}, "", time.Time{}
}

// Cancel calls the export off (its package, where there is one, goes too). An export that was called off before stays so
// without an error; one that has ended otherwise gives [ErrFinished].
func (w *Work) Cancel(now time.Time) error {
	if w.State == Cancelled {
		return nil
	}
	if w.Settled || w.move(Cancelled) != nil {
		return ErrFinished
	}
	w.end()
	w.Package, w.Expires, w.Updated = nil, time.Time{}, now
	return nil
}

// expire deletes the package and destroys every key.
func (w *Work) expire(now time.Time) error {
	if err := w.move(Expired); err != nil {
		return err
	}
	w.end()
	w.Package, w.Updated = nil, now
	return nil
}

// Missing lists the mandatory systems that are not in the package.
func (e *Export) Missing() []SystemID {
	var out []SystemID
	for _, s := range e.Systems {
		if s.Mandatory && s.State != SystemDone {
			out = append(out, s.System)
		}
	}
	return out
}

// Totals sums what all systems handed over.
func (e *Export) Totals() (records, bytes int64) {
	for _, s := range e.Systems {
		records, bytes = records+s.Records, bytes+s.Bytes
	}
	return records, bytes
}

// Finished reports whether nothing more will change, but for the package's expiry.
func (e *Export) Finished() bool {
	return e.Settled || slices.Contains([]State{Ready, Failed, Cancelled, Expired}, e.State)
}
