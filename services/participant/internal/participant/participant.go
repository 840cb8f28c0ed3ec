package participant

import (
	"context"
	"errors"
)

// Errors that an implementation returns so that a caller can tell them apart
// with errors.Is. No error of a Participant contains a cell or identifier value.
var (
	// ErrFenced: a higher fencing token was seen for the request, so the caller
	// lost its lease and must stop. Nothing was changed by this call after that.
	ErrFenced = errors.New("participant: a newer holder of this request exists")
	// ErrRequestReused: the request id is known with another subject or other
	// approved datasets. Nothing was changed.
	ErrRequestReused = errors.New("participant: the request id was used with another subject or plan")
	// ErrDataMapChanged: the data map is not the one that was approved, or not the
	// one the request began with, or an approved dataset is not in it. A new plan
	// is needed. This call changed nothing.
	ErrDataMapChanged = errors.New("participant: the data map is not the approved one")
	// ErrUnsettled: new rows of the person kept arriving while they were being
	// erased. The person's own row still stands; the call can be repeated.
	ErrUnsettled = errors.New("participant: new data keep arriving for this person")
	// ErrConstraint: the system's own rules refuse the change, because rows that stay
	// refer to what should go. What was done before stays done; the call can be
	// repeated once the data map or the plan takes care of those rows.
	ErrConstraint = errors.New("participant: rows that stay refer to what should go")
	// ErrInvalid: the call itself is incomplete (no request id, no identifier, …).
	ErrInvalid = errors.New("participant: invalid request")
)

// Participant is a system that holds personal data, or an adapter that speaks
// for it. Implementations are safe for concurrent use, honour cancellation of
// ctx, and use memory that does not grow with the number of rows.
//
// A person whom the system does not know is not an error: Locate counts zero,
// Export yields nothing, Erase succeeds with zero, Verify finds nothing.
type Participant interface {
	// Describe says what the system holds, how it is reached and what would
	// happen to it. It speaks of no person.
	Describe(ctx context.Context) (Description, error)

	// Locate counts the person's rows per dataset and names further identifiers
	// of the person that other systems may know. An identifier that belongs to
	// several people is reported by type and place only, and not followed.
	Locate(ctx context.Context, s Subject) (Location, error)

	// Export calls yield for every row about the person (GDPR art. 15, 20), in
	// the order of the datasets and then of the keys, and returns what it withheld.
	// An error of yield stops the export and is returned as it is.
	Export(ctx context.Context, r ExportRequest, yield func(Record) error) ([]Omission, error)

	// Erase carries out the approved actions (GDPR art. 17). It is idempotent by
	// EraseRequest.Request: after any interruption the same call finishes the
	// work, and once finished it returns the same result and changes nothing. The
	// targets of all datasets are recorded before the first destructive
	// statement, and the person's own row goes last. A FencingToken lower than
	// the highest one seen for the request is refused with ErrFenced.
	Erase(ctx context.Context, r EraseRequest) (EraseResult, error)

	// Verify looks for what is still there, by other ways than Erase used: it
	// trusts the identifiers of the request and the record of the erasure, not
	// the person's row.
	Verify(ctx context.Context, r VerifyRequest) (VerifyResult, error)
}

// Action is what erasure does to a dataset.
type Action string

// The three actions of a plan.
const (
	Erase     Action = "ERASE"     // the rows are deleted
	Anonymise Action = "ANONYMISE" // the rows stay without what points at the person
	Keep      Action = "KEEP"      // the rows stay, on a ground (GDPR art. 17(3))
)

// Explanation says in plain words why something is kept or erased.
type Explanation struct {
	DA string // Danish
	EN string // English
}

// Description is what a system says about itself.
type Description struct {
	System        string // id of the system
	DataMapDigest string // lower-case hex SHA-256 of the canonical data map, nothing else
	Datasets      []Dataset
	Accepts       []IdentifierType // types that Locate can look a person up by
	Provides      []IdentifierType // types that Locate may return as further identifiers
	Capabilities  []Capability
}

// Capability is something that not every participant can do.
type Capability string

// The capabilities of the protocol, version 1.
const (
	CanExport        Capability = "EXPORT"         // rows are exported
	CanErase         Capability = "ERASE"          // rows are deleted or anonymised
	CanFence         Capability = "FENCING"        // fencing tokens are honoured
	CanVerifyLinks   Capability = "VERIFY_LINKS"   // Verify matches link columns directly
	CanVerifyRecord  Capability = "VERIFY_RECORD"  // Verify re-reads the rows that were to be erased
	CanVerifyContent Capability = "VERIFY_CONTENT" // Verify searches text for the identifiers
)

// Dataset is one kind of data in one place.
type Dataset struct {
	Name            string
	Table           string // where it is, for people who read the plan
	Category        string // data category
	Activity        string // processing activity it belongs to
	SubjectProvided bool   // given by the person: portability covers it (GDPR art. 20)
	Identity        bool   // the person's own row, which is erased last
	Mention         bool   // text of others that names the person; found by content
	Erasure         Action
	Ground          string // why it is kept; empty unless Erasure is Keep
	Article         string // the article the ground rests on
	Explanation     Explanation
	Columns         []string   // exported columns, in order
	Withheld        []Withheld // columns left out of exports
}

// Withheld is a column that an export leaves out.
type Withheld struct {
	Column  string
	Ground  string
	Article string
}

// Location is where a person was found.
type Location struct {
	Known   bool // the system has at least one row for the person itself
	Counts  []DatasetCount
	Further []Identifier       // not already in the request, in the order of the data map
	Shared  []SharedIdentifier // belong to several people: reported, never followed
}

// DatasetCount is the number of rows of one dataset. Every dataset is listed,
// also with zero.
type DatasetCount struct {
	Dataset string
	Rows    int64
}

// SharedIdentifier says that an identifier of this type, found in this dataset,
// belongs or may belong to several people. It carries no value.
type SharedIdentifier struct {
	Type    IdentifierType
	Dataset string
	People  int64 // rows of the person table that hold it; 1 where the map says it is shared by nature
}

// ExportRequest asks for the rows about a person.
type ExportRequest struct {
	Subject  Subject
	Datasets []string // the datasets wanted; empty: all. An unknown name is ErrInvalid
}

// Omission is a column of a dataset that the export withheld.
type Omission struct {
	Dataset string
	Column  string
	Count   int64 // cells that held something
	Ground  string
	Article string
}

// EraseRequest asks for an erasure.
type EraseRequest struct {
	Request       string // id of the erasure, the idempotency key
	FencingToken  int64  // grows with every new holder of the request; at least 1
	Subject       Subject
	DataMapDigest string   // digest of the data map that was approved
	Datasets      []string // approved to be erased or anonymised as the map says; the others are kept
}

// EraseResult is what an erasure did, over all its attempts.
type EraseResult struct {
	Datasets []ErasedDataset // every dataset of the data map, in its order
}

// ErasedDataset counts the rows of one dataset. Located = Erased + Anonymised +
// Kept + Unchanged, where a row that several datasets reach is counted as done in
// the dataset that did it and as Unchanged in the others.
type ErasedDataset struct {
	Dataset    string
	Located    int64
	Erased     int64
	Anonymised int64
	Kept       int64
	Unchanged  int64 // already as it should be, or dealt with by another dataset
}

// VerifyRequest asks what is left of a person after the erasure Request.
type VerifyRequest struct {
	Request string
	Subject Subject
}

// Method is the way by which Verify found something.
type Method string

// The three ways of Verify.
const (
	ByLink    Method = "LINK"    // a column that points at the person still does
	ByRecord  Method = "RECORD"  // a row that was to be erased is still there, or a child of one
	ByContent Method = "CONTENT" // a text cell contains an identifier of the person
)

// Finding is something that is still there.
type Finding struct {
	Dataset string // empty when no dataset of the data map covers the place
	Table   string
	Column  string // empty when the whole row counts
	Method  Method
	Rows    int64
	Kept    bool // left on a ground, as the plan says; not a leftover
}

// VerifyResult is everything that was found, kept or not.
type VerifyResult struct {
	Findings []Finding
}

// Clean reports whether nothing is left but what the plan keeps.
func (v VerifyResult) Clean() bool {
	for _, f := range v.Findings {
		if !f.Kept {
			return false
		}
	}
	return true
}
