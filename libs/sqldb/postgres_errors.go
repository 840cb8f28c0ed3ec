package sqldb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// postgresFailure turns an error of the PostgreSQL driver or server into one without
// data.
func postgresFailure(ctx context.Context, err error) error {
	var native *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errResultOpen):
		return errResultOpen
	case ctx.Err() == nil && errors.As(err, &native):
		return &Error{text: postgresText(native), kinds: postgresKinds(native.Code)}
	case ctx.Err() == nil && connectionFailed(err):
		return &Error{text: "the connection to PostgreSQL failed", kinds: []error{ErrUnavailable}}
	case errors.Is(err, pgx.ErrTxClosed):
		return &Error{text: "the transaction has ended"}
	case errors.Is(err, pgx.ErrTxCommitRollback):
		return &Error{text: "a statement of the transaction had failed, so it was rolled back"}
	}
	if known := generic(ctx, err); known != nil {
		return known
	}
	return &Error{text: "the database driver refused the call"}
}

// connectionFailed tells whether the server was not reached or the connection to it
// broke.
func connectionFailed(err error) bool {
	var connect *pgconn.ConnectError
	var network net.Error
	return errors.As(err, &connect) || errors.As(err, &network) || pgconn.SafeToRetry(err) ||
		errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, pgconn.ErrConnClosed) || strings.HasSuffix(err.Error(), "closed pool")
}

// conditions names the codes that a reader meets most.
var conditions = map[string]string{
	"22001": "string_data_right_truncation",
	"22003": "numeric_value_out_of_range",
	"22021": "character_not_in_repertoire",
	"22P02": "invalid_text_representation",
	"23502": "not_null_violation",
	"23503": "foreign_key_violation",
	"23505": "unique_violation",
	"23514": "check_violation",
	"25006": "read_only_sql_transaction",
	"25P02": "in_failed_sql_transaction",
	"28P01": "invalid_password",
	"3D000": "invalid_catalog_name",
	"3F000": "invalid_schema_name",
	"40001": "serialization_failure",
	"40P01": "deadlock_detected",
	"42501": "insufficient_privilege",
	"53300": "too_many_connections",
	"55P03": "lock_not_available",
	"57014": "query_canceled",
	"57P01": "admin_shutdown",
	"P0001": "raise_exception",
}

// postgresText is made of the code and of names from the schema. The server's own words
// are kept only where they speak of the text of a statement, never of a value; its
// detail, which shows rows, and its context never.
func postgresText(err *pgconn.PgError) string {
	var text strings.Builder
	fmt.Fprintf(&text, "PostgreSQL error %s", err.Code)
	if name, ok := conditions[err.Code]; ok {
		fmt.Fprintf(&text, " (%s)", name)
	}
	switch err.Code {
	case "42P01", "42703", "42601", "42702", "42883", "42P07", "42501": // unknown, misspelt, ambiguous, existing or forbidden names
		text.WriteString(": " + err.Message)
	}
	for _, part := range []struct{ what, name string }{
		{"table", err.TableName}, {"column", err.ColumnName}, {"constraint", err.ConstraintName},
	} {
		if part.name != "" {
			fmt.Fprintf(&text, ", %s %s", part.what, part.name)
		}
	}
	return text.String()
}

func postgresKinds(code string) []error {
	switch code {
	case "42501":
		return []error{errRights}
	case "23505":
		return []error{errUnique}
	case "40001", "40P01":
		return []error{errConflict, ErrUnavailable}
	case "25P03", "25P04", "55P03", "57014", "57P01", "57P02", "57P03", "57P05": // out of time, locked or shutting down
		return []error{ErrUnavailable}
	}
	switch code[:min(2, len(code))] {
	case "08", "53", "58": // connection, resources, the server's own files
		return []error{ErrUnavailable}
	}
	return nil
}

// postgresScanFailure is scanFailure for pgx's words.
func postgresScanFailure(err error) error {
	var column pgx.ScanArgError
	if !errors.As(err, &column) {
		const counts = "number of field descriptions must equal number of destinations, "
		if counted, ok := strings.CutPrefix(err.Error(), counts); ok {
			return &Error{text: "columns and destinations in Scan: " + counted}
		}
		return &Error{text: "a row cannot be scanned"}
	}
	reason := "a column does not fit its Go type"
	if _, kind, ok := strings.Cut(column.Err.Error(), "cannot scan NULL into "); ok {
		reason = "converting NULL to " + kind + " is unsupported"
	}
	return &Error{text: fmt.Sprintf("Scan error on column index %d, name %q: %s", column.ColumnIndex, column.FieldName, reason)}
}
