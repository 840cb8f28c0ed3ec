package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path/filepath"

	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/rivermigrate"
	"modernc.org/sqlite"
)

func (b *sqliteBackend) migrate(ctx context.Context, migrations fs.FS) error {
	jobs, err := rivermigrate.New(b.driver, &rivermigrate.Config{Logger: b.cfg.Logger})
	if err != nil {
		return fmt.Errorf("sqldb: prepare the job table's migrations: %w", err)
	}
	applied, err := jobs.Migrate(ctx, rivermigrate.DirectionUp, nil)
	if err != nil {
		return fmt.Errorf("migrate the job table: %w", sqliteFailure(ctx, err))
	}
	tellJobs(b.cfg.Changed, applied)
	if migrations == nil {
		return nil
	}
	own, err := fs.Sub(migrations, string(SQLite))
	if err != nil {
		return fmt.Errorf("sqldb: migrations folder %s: %w", SQLite, err)
	}
	// A provider, not goose's package functions: those keep their dialect and file
	// system in globals, which databases opened side by side would overwrite.
	provider, err := goose.NewProvider(goose.DialectSQLite3, b.writer, own, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("sqldb: read the migrations in %s: %w", SQLite, err)
	}
	done, err := provider.Up(ctx)
	if err != nil {
		return migrationFailure(err, sqliteMigrationCause(ctx, err))
	}
	tell(b.cfg.Changed, done)
	return nil
}

func (b *sqliteBackend) hasTable(ctx context.Context, name string) (there bool, err error) {
	err = b.reader.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?)`, name).Scan(&there)
	return there, sqliteFailure(ctx, err)
}

// sqliteMigrationCause strips SQLite's error as any other: a migration has no arguments,
// but it may copy rows. What goose itself has to say is about the files.
func sqliteMigrationCause(ctx context.Context, err error) error {
	var native *sqlite.Error
	if errors.As(err, &native) {
		return sqliteFailure(ctx, err)
	}
	return err
}

// lock holds an exclusive transaction on an empty database beside the real one. That
// is SQLite's own lock between processes: it works wherever the database does, needs
// no call that differs between systems, and ends with the process, however it ends.
func (b *sqliteBackend) lock(ctx context.Context, name string, wait bool) (func() error, error) {
	if !lockName.MatchString(name) {
		return nil, errors.New("sqldb: the name of a lock is a lower-case word")
	}
	path := b.path + "-" + name + ".lock"
	if err := secureFile(path); err != nil {
		return nil, fmt.Errorf("sqldb: lock %s: %w", name, err)
	}
	busy := "0"
	if wait {
		busy = "3600000" // an hour: ctx decides
	}
	query := url.Values{"_pragma": {"busy_timeout(" + busy + ")"}}
	pool, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: query.Encode()}).String())
	if err != nil {
		return nil, fmt.Errorf("sqldb: lock %s: the driver refused its parameters", name)
	}
	pool.SetMaxOpenConns(1)
	conn, err := pool.Conn(ctx)
	if err == nil {
		_, err = conn.ExecContext(ctx, "BEGIN EXCLUSIVE")
	}
	if err == nil {
		return func() error { return errors.Join(conn.Close(), pool.Close()) }, nil
	}
	failed := sqliteFailure(ctx, err)
	if !wait && errors.Is(failed, ErrUnavailable) {
		failed = &Error{text: "the lock " + name + " is taken", kinds: []error{ErrLocked}}
	}
	if conn != nil {
		_ = conn.Close()
	}
	_ = pool.Close()
	return nil, failed
}
