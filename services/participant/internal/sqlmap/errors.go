package sqlmap

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
)

// DatabaseError is a failure of a database without anything the driver said, which
// may quote cells: what was being done, and the engine's own code.
type DatabaseError struct {
	Doing string // fixed text and names of the data map
	Code  string // SQLSTATE, or SQLite's result code; empty when the database did not answer
}

// Error names what was being done and the code.
func (e *DatabaseError) Error() string {
	if e.Code == "" {
		return fmt.Sprintf("sqlmap: %s: the database did not answer", e.Doing)
	}
	return fmt.Sprintf("sqlmap: %s: the database refused (%s)", e.Doing, e.Code)
}

// failed turns an error of a driver into one that is safe to show. An ended context
// stays recognisable.
func failed(doing string, err error) error {
	var pg *pgconn.PgError
	var lite *sqlite.Error
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("sqlmap: %s: %w", doing, context.Canceled)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("sqlmap: %s: %w", doing, context.DeadlineExceeded)
	case errors.As(err, &pg):
		return &DatabaseError{doing, "SQLSTATE " + pg.Code}
	case errors.As(err, &lite):
		return &DatabaseError{doing, fmt.Sprintf("SQLite code %d", lite.Code())}
	}
	return &DatabaseError{Doing: doing}
}
