// Package store keeps the consent service's register, consents and erased subjects in a database. It is written once in
// portable SQL for SQLite and PostgreSQL; package storetest holds the suite that every store must pass.
package store

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

//go:embed migrations
var files embed.FS

// Migrations returns the schema's migrations, in the folders `sqlite` and `postgres`.
func Migrations() fs.FS {
	sub, err := fs.Sub(files, "migrations")
	if err != nil {
		panic(err) // the folder is compiled in
	}
	return sub
}

// Store implements consent.Store. It holds nothing itself: every method works in the transaction it is given.
type Store struct{}

var _ consent.Store = Store{}

// Advance implements consent.Revisions.
func (Store) Advance(ctx context.Context, tx sqldb.Tx, controller consent.ControllerID) (rev consent.Revision, err error) {
	err = tx.QueryRow(ctx, `UPDATE revision SET revision = revision + 1 WHERE controller = $1 RETURNING revision`,
		string(controller)).Scan((*int64)(&rev))
	return rev, wrap("advance", err)
}

// Revision implements consent.Revisions.
func (Store) Revision(ctx context.Context, q sqldb.Querier, controller consent.ControllerID) (rev consent.Revision, err error) {
	err = q.QueryRow(ctx, `SELECT revision FROM revision WHERE controller = $1`, string(controller)).Scan((*int64)(&rev))
	return rev, wrap("read the revision", err)
}

// wrap turns what the database says into what the domain knows, and names the step otherwise.
func wrap(step string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sqldb.ErrNoRows):
		return fault.Missing()
	case sqldb.IsUniqueViolation(err):
		return taken().Because(err)
	}
	return fmt.Errorf("store: %s: %w", step, err)
}

func taken() *fault.Error {
	return fault.New(fault.Exists, "ALREADY_EXISTS", "There is a resource with this id already. Choose another id, or change the one that exists.")
}

// insert adds a row whose key may be taken. The conflict is asked for in the statement, because after a failed one
// PostgreSQL refuses every further statement of the transaction.
func insert(ctx context.Context, tx sqldb.Tx, step, statement string, args ...any) error {
	n, err := tx.Exec(ctx, statement+` ON CONFLICT DO NOTHING`, args...)
	if err != nil {
		return wrap(step, err)
	}
	if n == 0 {
		return taken()
	}
	return nil
}

// update changes the one row that must be there.
func update(ctx context.Context, tx sqldb.Tx, step, statement string, args ...any) error {
	n, err := tx.Exec(ctx, statement, args...)
	if err != nil {
		return wrap(step, err)
	}
	if n == 0 {
		return fault.Missing()
	}
	return nil
}

// collect reads all rows of a query, each with scan, and closes it.
func collect[T any](ctx context.Context, q sqldb.Querier, scan func(sqldb.Row) (T, error), query string, args ...any) ([]T, error) {
	rows, err := q.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// list writes the placeholders of n arguments from number first on: `$2, $3, $4`.
func list(first, n int) string {
	marks := make([]string, n)
	for i := range marks {
		marks[i] = "$" + strconv.Itoa(first+i)
	}
	return strings.Join(marks, ", ")
}

// arguments appends ids to the arguments before them.
func arguments[T ~string](before []any, ids []T) []any {
	for _, id := range ids {
		before = append(before, string(id))
	}
	return before
}
