package sqlmap

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"

	"github.com/privacyops/privacyops/services/participant/internal/participant"
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

// Is makes a violated constraint known as participant.ErrConstraint: SQLSTATE class 23, SQLite's primary code 19.
func (e *DatabaseError) Is(target error) bool {
	if target != participant.ErrConstraint {
		return false
	}
	if code, ok := strings.CutPrefix(e.Code, "SQLite code "); ok {
		n, err := strconv.Atoi(code)
		return err == nil && n&0xff == 19
	}
	return strings.HasPrefix(e.Code, "SQLSTATE 23")
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
