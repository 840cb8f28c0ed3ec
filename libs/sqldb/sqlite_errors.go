package sqldb

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// sqliteFailure turns an error of the SQLite driver into one without data.
func sqliteFailure(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if known := generic(ctx, err); known != nil {
		return known
	}
	var native *sqlite.Error
	if !errors.As(err, &native) {
		return &Error{text: "the database driver refused the call"}
	}
	return &Error{text: sqliteText(native), kinds: sqliteKinds(native.Code())}
}

func sqliteKinds(code int) []error {
	switch code {
	case sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_ROWID:
		return []error{errUnique}
	}
	switch code & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR,
		sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY:
		return []error{ErrUnavailable}
	}
	return nil
}

// sqliteText keeps SQLite's words where they can only come from the schema or the
// text of the query. Other messages (of JSON and full-text functions, for example)
// may quote an argument and are replaced by the name of their code.
func sqliteText(err *sqlite.Error) string {
	message := err.Error()
	code := err.Code()
	switch code & 0xff {
	case sqlite3.SQLITE_CONSTRAINT:
		return message
	case sqlite3.SQLITE_ERROR:
		for _, ours := range []string{"no such ", "near ", "ambiguous ", "table ", "index ", "incomplete input", "unrecognized token", "no tables "} {
			if strings.HasPrefix(strings.TrimPrefix(message, "SQL logic error: "), ours) {
				return message
			}
		}
	}
	if name, ok := sqlite.ErrorCodeString[code]; ok {
		return fmt.Sprintf("%s (%d)", name, code)
	}
	if name, ok := sqlite.ErrorCodeString[code&0xff]; ok {
		return fmt.Sprintf("%s (%d)", name, code)
	}
	return fmt.Sprintf("SQLite error %d", code)
}
