package sqldb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"github.com/pressly/goose/v3"
)

// migrateLock is the lock that changes of the schema hold.
const migrateLock = "migrate"

var lockName = regexp.MustCompile(`^[a-z]{1,32}$`)

// errOutdated is what a process is told that finds an older schema than it needs and may not change it.
const errOutdated = "the schema is older than this program, and this role may not change it; run `privacyops migrate` as the role that owns the schema"

// Migrate brings the schema up to date: the goose migrations in the folder of
// migrations that is named after the engine (sqlite, postgres), and the job table's
// own. It may be called any number of times and by several processes at once: one
// works, the others wait. A nil file system migrates only the job table.
//
// A role that may read the tables in which the migrations are recorded is enough where
// there is nothing to do, and where the schema is ahead: it has migrations that this
// program does not know, because a newer release was rolled out. Every migration leaves
// a schema that the release before it works on.
func (db *DB) Migrate(ctx context.Context, migrations fs.FS) error {
	return db.alone(ctx, func() error { return outdated(db.backend.migrate(ctx, migrations)) })
}

var ensured = regexp.MustCompile(`^CREATE TABLE IF NOT EXISTS ([a-z_]+) `)

// Ensure runs one CREATE TABLE IF NOT EXISTS statement, for the table of a room that several
// services use and that no service's migrations should repeat. As with Migrate, several
// processes may do so at once, which PostgreSQL by itself does not allow, and where the table
// is there no right to make it is needed.
func (db *DB) Ensure(ctx context.Context, statement string) error {
	if err := db.usable(); err != nil {
		return err
	}
	table := ensured.FindStringSubmatch(statement)
	if table == nil {
		return errors.New("sqldb: Ensure takes a statement that begins with CREATE TABLE IF NOT EXISTS and a name")
	}
	if there, err := db.backend.hasTable(ctx, table[1]); err != nil || there {
		return err
	}
	return db.alone(ctx, func() error {
		err := db.Write(ctx, func(ctx context.Context, tx Tx) error {
			_, err := tx.Exec(ctx, statement)
			return err
		})
		if err == nil {
			db.changed("table " + table[1])
		}
		return outdated(err)
	})
}

// outdated explains a missing right.
func outdated(err error) error {
	if errors.Is(err, errRights) {
		return fmt.Errorf("%s: %w", errOutdated, err)
	}
	return err
}

// tell says which migrations have been applied.
func tell(changed func(string), applied []*goose.MigrationResult) {
	for _, m := range applied {
		changed("migration " + strings.TrimSuffix(path.Base(m.Source.Path), ".sql"))
	}
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
