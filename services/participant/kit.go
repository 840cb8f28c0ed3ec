package participant

import (
	domain "github.com/privacyops/privacyops/services/participant/internal/participant"
	"github.com/privacyops/privacyops/services/participant/internal/rpc"
)

// The protocol's own types, under the names that an implementation outside this module writes. What each promises is said
// where it is declared.
type (
	// Participant is a system that holds personal data: the five verbs and their contracts.
	Participant = domain.Participant
	// Identifier is one name under which a system may know a person. It prints as its type only.
	Identifier = domain.Identifier
	// IdentifierType names a kind of identifier.
	IdentifierType = domain.IdentifierType
	// Subject is one person as a controller names them.
	Subject = domain.Subject
	// Description is what a system says about itself.
	Description = domain.Description
	// Dataset is one kind of data in one place.
	Dataset = domain.Dataset
	// Withheld is a column that an export leaves out.
	Withheld = domain.Withheld
	// Explanation says in Danish and English why something is kept or erased.
	Explanation = domain.Explanation
	// Capability is something that not every participant can do.
	Capability = domain.Capability
	// Action is what an erasure does to a dataset.
	Action = domain.Action
	// Location is where a person was found.
	Location = domain.Location
	// DatasetCount is the number of rows of one dataset.
	DatasetCount = domain.DatasetCount
	// SharedIdentifier says that an identifier belongs to several people.
	SharedIdentifier = domain.SharedIdentifier
	// ExportRequest asks for the rows about a person.
	ExportRequest = domain.ExportRequest
	// Record is one row of an export.
	Record = domain.Record
	// Field is one cell of a record.
	Field = domain.Field
	// Omission is a column of a dataset that the export withheld.
	Omission = domain.Omission
	// EraseRequest asks for an erasure.
	EraseRequest = domain.EraseRequest
	// EraseResult is what an erasure did, over all its attempts.
	EraseResult = domain.EraseResult
	// ErasedDataset counts the rows of one dataset.
	ErasedDataset = domain.ErasedDataset
	// VerifyRequest asks what is left of a person.
	VerifyRequest = domain.VerifyRequest
	// VerifyResult is everything that was found, kept or not.
	VerifyResult = domain.VerifyResult
	// Finding is something that is still there.
	Finding = domain.Finding
	// Method is the way by which Verify found something.
	Method = domain.Method
)

// The identifier types of the suite.
const (
	UniLogin       = domain.UniLogin       // Danish national school login
	LocalPersonID  = domain.LocalPersonID  // the controller's own number for the person
	Email          = domain.Email          // e-mail address
	PlatformUserID = domain.PlatformUserID // the system's own row key
	Phone          = domain.Phone          // telephone number
	StudentNumber  = domain.StudentNumber  // student number at the institution
)

// The three actions of a plan.
const (
	Erase     = domain.Erase     // the rows are deleted
	Anonymise = domain.Anonymise // the rows stay without what points at the person
	Keep      = domain.Keep      // the rows stay, on a ground (GDPR art. 17(3))
)

// The capabilities of the protocol, version 1.
const (
	CanExport        = domain.CanExport        // rows are exported
	CanErase         = domain.CanErase         // rows are deleted or anonymised
	CanFence         = domain.CanFence         // fencing tokens are honoured
	CanVerifyLinks   = domain.CanVerifyLinks   // Verify matches link columns directly
	CanVerifyRecord  = domain.CanVerifyRecord  // Verify reads the rows that were to be erased again
	CanVerifyContent = domain.CanVerifyContent // Verify searches text for the identifiers
)

// The three ways of Verify.
const (
	ByLink    = domain.ByLink    // a column that points at the person still does
	ByRecord  = domain.ByRecord  // a row that was to be erased is still there, or a child of one
	ByContent = domain.ByContent // a text cell contains an identifier of the person
)

// Errors of an implementation that callers tell apart; an error that is none of them reads "internal error" outside.
var (
	// ErrFenced: a newer holder of the request exists; the caller must stop.
	ErrFenced = domain.ErrFenced
	// ErrRequestReused: the request id is known with another subject or plan.
	ErrRequestReused = domain.ErrRequestReused
	// ErrDataMapChanged: the data map is not the approved one; a new plan is needed.
	ErrDataMapChanged = domain.ErrDataMapChanged
	// ErrUnsettled: new data keep arriving for the person; call again.
	ErrUnsettled = domain.ErrUnsettled
	// ErrConstraint: rows that stay refer to what should go.
	ErrConstraint = domain.ErrConstraint
	// ErrInvalid: the call itself is incomplete or wrong.
	ErrInvalid = domain.ErrInvalid
	// ErrUnavailable: the system does not answer at the moment; call again.
	ErrUnavailable = rpc.ErrUnavailable
)
