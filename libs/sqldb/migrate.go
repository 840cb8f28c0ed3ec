package sqldb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"regexp"

	"github.com/pressly/goose/v3"
)

// migrateLock is the lock that changes of the schema hold.
const migrateLock = "migrate"

var lockName = regexp.MustCompile(`^[a-z]{1,32}$`)

// Migrate brings the schema up to date: the goose migrations in the folder of
// migrations that is named after the engine (sqlite, postgres), and the job table's
// own. It may be called any number of times and by several processes at once: one
// works, the others wait. A nil file system migrates only the job table.
func (db *DB) Migrate(ctx context.Context, migrations fs.FS) error {
	return db.alone(ctx, func() error { return db.backend.migrate(ctx, migrations) })
}

// Ensure runs one CREATE … IF NOT EXISTS statement, for the table of a room that several
// services use and that no service's migrations should repeat. As with Migrate, several
// processes may do so at once, which PostgreSQL by itself does not allow.
func (db *DB) Ensure(ctx context.Context, statement string) error {
	return db.alone(ctx, func() error {
		return db.Write(ctx, func(ctx context.Context, tx Tx) error {
			_, err := tx.Exec(ctx, statement)
			return err
		})
	})
}

// alone runs fn while no other process changes the schema.
func (db *DB) alone(ctx context.Context, fn func() error) error {
	if err := db.usable(); err != nil {
		return err
	}
	unlock, err := db.backend.lock(ctx, migrateLock, true)
	if err != nil {
		return fmt.Errorf("sqldb: wait for another process to finish migrating: %w", err)
	}
	defer unlock() //nolint:errcheck // the lock ends with its connection in any case
	return fn()
}

// migrationFailure keeps which migration failed beside the cause.
func migrationFailure(err, cause error) error {
	var partial *goose.PartialError
	if errors.As(err, &partial) && partial.Failed != nil && partial.Failed.Source != nil {
		return fmt.Errorf("migration %d: %w", partial.Failed.Source.Version, cause)
	}
	return fmt.Errorf("migrate: %w", cause)
}
