// Package store keeps the index of the audit log in a database: a row for each entry, by which it is found. It can be made anew from
// the log at any time. It is written once in portable SQL for SQLite and PostgreSQL; package storetest holds the suite that every
// store must pass.
package store

import (
	"context"
	"embed"
	"fmt"
	"io/fs"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
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

// Store implements audit.Index. It is safe for concurrent use.
type Store struct {
	db *sqldb.DB
}

var _ audit.Index = (*Store)(nil)

// Open brings the schema of db up to date and returns a store on it. Closing db stays with the caller.
func Open(ctx context.Context, db *sqldb.DB) (*Store, error) {
	if err := db.Migrate(ctx, Migrations()); err != nil {
		return nil, fmt.Errorf("store: bringing the schema up to date: %w", err)
	}
	return &Store{db: db}, nil
}

// collect reads all rows of a query, each with scan, and closes it.
func collect[T any](ctx context.Context, q sqldb.Querier, scan func(sqldb.Rows) (T, error), query string, args ...any) ([]T, error) {
	rows, err := q.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close() // what matters is Err
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

// each reads all rows of a query with read and closes it.
func each(ctx context.Context, q sqldb.Querier, read func(sqldb.Rows) error, query string, args ...any) error {
	rows, err := q.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close() // what matters is Err
	for rows.Next() {
		if err := read(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}
