package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"strings"
)

var (
	// ErrNoRows is the error of Scan when a query returned no row.
	ErrNoRows = errors.New("no row")
	// ErrUnavailable is in every error that says that the database cannot serve now:
	// it is locked by another process, out of space, failing to read or write, out of
	// reach or closed. Nothing was changed, and the same call may succeed later. The one
	// exception is a connection to PostgreSQL that broke while it committed: then nobody
	// knows, so what is called again must be safe to call again.
	ErrUnavailable = errors.New("database unavailable")
	// ErrNested is the error of a transaction inside a transaction; see [DB.Write].
	ErrNested = errors.New("nested transaction")
	// ErrLocked is the error of [DB.Lock] when somebody else holds the lock.
	ErrLocked = errors.New("lock is taken")

	errUnique = errors.New("unique violation")
	errRights = errors.New("the database role may not do this")
	// errConflict is in errors after which the same transaction, run again, may succeed.
	errConflict = errors.New("conflict with another transaction")
)

// IsUniqueViolation reports whether err says that a row with the same unique or
// primary key exists.
func IsUniqueViolation(err error) bool { return errors.Is(err, errUnique) }

// Error is an error of an engine, stripped of everything that could be data: its text
// is safe to log and to store. The driver's own error is not kept, so that no later
// wrapping can bring it to light.
type Error struct {
	text  string
	kinds []error
}

// Error returns the text without any argument or stored value.
func (e *Error) Error() string { return "sqldb: " + e.text }

// Unwrap returns the sentinels and context errors that classify the error.
func (e *Error) Unwrap() []error { return e.kinds }

// generic classifies the errors that database/sql and the context cause, the same for
// every driver. It is nil for an error of the engine itself.
func generic(ctx context.Context, err error) error {
	var known *Error
	switch {
	case errors.As(err, &known):
		return err
	case errors.Is(err, sql.ErrNoRows):
		return &Error{text: "no row", kinds: []error{ErrNoRows}}
	case ctx.Err() != nil:
		return &Error{text: ctx.Err().Error(), kinds: []error{ctx.Err()}}
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &Error{text: "the database call was cancelled", kinds: cancellation(err)}
	case errors.Is(err, sql.ErrTxDone):
		return &Error{text: "the transaction has ended"}
	case errors.Is(err, sql.ErrConnDone), strings.HasSuffix(err.Error(), "database is closed"):
		return &Error{text: "the database is closed", kinds: []error{ErrUnavailable}}
	}
	return nil
}

func cancellation(err error) []error {
	if errors.Is(err, context.DeadlineExceeded) {
		return []error{context.DeadlineExceeded}
	}
	return []error{context.Canceled}
}

// scanFailure strips a Scan error of the value that could not be converted; the
// column and, for NULL, the reason stay.
func scanFailure(err error) error {
	const unreadable = "a column does not fit its Go type"
	text := err.Error()
	if strings.HasPrefix(text, "sql: expected ") {
		return &Error{text: strings.TrimPrefix(text, "sql: ")}
	}
	column, reason, ok := strings.Cut(strings.TrimPrefix(text, "sql: "), `": `)
	if !ok || !strings.HasPrefix(column, "Scan error on column index ") {
		return &Error{text: unreadable}
	}
	if strings.HasPrefix(reason, "converting NULL to ") {
		return &Error{text: column + `": ` + reason}
	}
	return &Error{text: column + `": ` + unreadable}
}
