package roster

import (
	"errors"
	"fmt"
)

// Why a document is no extract. [Parse] wraps one of them in a [*ParseError].
var (
	// ErrNotRoster says that the document is no small wsiEKSPORT extract of one institution.
	ErrNotRoster = errors.New("the document is not a UNI-Login extract (wsiEKSPORT version 7, small package) of one institution")
	// ErrTruncated says that the document ends before its elements are closed.
	ErrTruncated = errors.New("the document is cut off; fetch the extract again")
	// ErrEncoding says that the document is not UTF-8, or names another encoding.
	ErrEncoding = errors.New("the document is not in UTF-8")
	// ErrTooLarge says that the document exceeds one of the [Limits].
	ErrTooLarge = errors.New("the document is larger, deeper or longer than allowed")
	// ErrForbidden says that the document has a document type or entities of its own.
	ErrForbidden = errors.New("the document has a document type declaration or entities, which are not allowed")
	// ErrDuplicate says that one source lists a person twice in the same role.
	ErrDuplicate = errors.New("the document lists a person twice in the same role from the same source")
	// ErrRead says that the input could not be read; the document was not judged.
	ErrRead = errors.New("the document could not be read")
)

// ParseError says where a document stopped being an extract. It quotes nothing of the document, which may name people.
type ParseError struct {
	// Err is one of the errors above.
	Err error
	// Line is the line of the document, from 1.
	Line int
	// cause is kept out of the text: a decoder's own words can quote the document.
	cause error
}

// Error returns the reason and the line.
func (e *ParseError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

// Unwrap returns the reason and, for ErrRead, the reader's own error.
func (e *ParseError) Unwrap() []error {
	if e.cause == nil {
		return []error{e.Err}
	}
	return []error{e.Err, e.cause}
}
