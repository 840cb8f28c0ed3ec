package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/riverqueue/river"
	_ "modernc.org/sqlite" // the database/sql driver "sqlite"
)

// sqliteBackend is one SQLite file: a pool of exactly one connection that writes, and
// a pool of connections that can only read.
type sqliteBackend struct {
	path   string
	writer *sql.DB
	reader *sql.DB
	driver *sqliteDriver
	insert *river.Client[*sql.Tx]
	cfg    Config
	// written and read are the queries that are kept prepared.
	written, read *statements
}

func openSQLite(ctx context.Context, path string, cfg Config) (*sqliteBackend, error) {
	path, err := sqlitePath(path)
	if err != nil {
		return nil, err
	}
	if err := secureFile(path); err != nil {
		return nil, fmt.Errorf("sqldb: open SQLite database: %w", err)
	}
	b := &sqliteBackend{path: path, cfg: cfg}
	if b.writer, err = sql.Open("sqlite", sqliteDSN(path, "immediate", cfg.BusyTimeout, writerCache)); err != nil {
		return nil, errors.New("sqldb: open SQLite database: the driver refused its parameters")
	}
	b.writer.SetMaxOpenConns(1)
	if b.reader, err = sql.Open("sqlite", sqliteDSN(path, "deferred", cfg.BusyTimeout, "query_only(1)")); err != nil {
		return nil, errors.Join(errors.New("sqldb: open SQLite database: the driver refused its parameters"), b.writer.Close())
	}
	b.reader.SetMaxOpenConns(cfg.ReadConnections)
	b.reader.SetMaxIdleConns(cfg.ReadConnections)
	// The writer comes first: it turns a new file into a WAL database, which a
	// connection that may only read could not.
	for _, pool := range []*sql.DB{b.writer, b.reader} {
		if err := pool.PingContext(ctx); err != nil {
			return nil, errors.Join(fmt.Errorf("open SQLite database: %w", sqliteFailure(ctx, err)), b.close())
		}
	}
	b.written, b.read = newStatements(b.writer), newStatements(b.reader)
	b.driver = newSQLiteDriver(b.writer)
	if b.insert, err = newInsertClient(b.driver, cfg, ""); err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

// sqlitePath makes the path absolute and refuses what is not a plain file.
func sqlitePath(path string) (string, error) {
	if path == "" || strings.HasPrefix(path, ":") || strings.ContainsAny(path, "?#") {
		return "", errors.New(`sqldb: a SQLite URL is "sqlite:" and the path of a file, without parameters`)
	}
	if strings.HasPrefix(path, "//") {
		path = "/" + strings.TrimLeft(path, "/")
	}
	return filepath.Abs(path)
}

// writerCache is how many KiB of pages the writer keeps, four times the usual: whoever adds rows to several indexes meets their
// pages again.
const writerCache = "cache_size(-8192)"

// sqliteDSN is the driver's name for the file, with everything a connection needs.
func sqliteDSN(path, txlock string, busy time.Duration, pragmas ...string) string {
	values := url.Values{"_txlock": {txlock}, "_dqs": {"0"}}
	pragmas = append([]string{
		fmt.Sprintf("busy_timeout(%d)", busy.Milliseconds()), // first: the next ones may have to wait
		"journal_mode(wal)",
		"synchronous(full)",
		"foreign_keys(1)",
		"secure_delete(1)",
		fmt.Sprintf("journal_size_limit(%d)", 16<<20), // what a log that had to grow is cut down to
		"temp_store(memory)",                          // no temporary files with personal data
	}, pragmas...)
	for _, pragma := range pragmas {
		values.Add("_pragma", pragma)
	}
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: values.Encode()}).String()
}

// secureFile creates the file for the owner alone, or takes other people's rights
// away. SQLite gives its -wal and -shm files the same mode.
//
// It never opens an existing file: on POSIX systems closing any descriptor of a file
// drops all record locks that the process holds on it, SQLite's included.
func secureFile(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err == nil {
		return f.Close()
	}
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s is not a file", path)
	}
	if info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	return os.Chmod(path, info.Mode().Perm()&0o700)
}

func (b *sqliteBackend) engine() Engine { return SQLite }

func (b *sqliteBackend) begin(ctx context.Context) (session, error) {
	return b.session(ctx, b.writer, b.written)
}

func (b *sqliteBackend) snapshot(ctx context.Context) (session, error) {
	return b.session(ctx, b.reader, b.read)
}

func (b *sqliteBackend) session(ctx context.Context, pool *sql.DB, known *statements) (session, error) {
	tx, err := pool.BeginTx(ctx, nil)
	if err != nil {
		return nil, sqliteFailure(ctx, err)
	}
	return &sqliteSession{ctx: ctx, tx: tx, insert: b.insert, known: known}, nil
}

func (b *sqliteBackend) wake() { b.driver.wakeups.broadcast() }

func (b *sqliteBackend) ping(ctx context.Context) error {
	var n int
	// Reads a page of the file, which the driver's own ping does not.
	err := b.reader.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&n)
	return sqliteFailure(ctx, err)
}

func (b *sqliteBackend) scrub(ctx context.Context) error {
	var busy, frames, moved int
	err := b.writer.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &frames, &moved)
	if err != nil {
		return sqliteFailure(ctx, err)
	}
	if busy != 0 {
		return &Error{text: "an open snapshot keeps the write-ahead log", kinds: []error{ErrUnavailable}}
	}
	return nil
}

func (b *sqliteBackend) close() error {
	// The writer goes last: the last connection to close checkpoints the log.
	var errs []error
	for _, known := range []*statements{b.read, b.written} {
		if known != nil { // opening failed before
			errs = append(errs, known.close())
		}
	}
	return errors.Join(append(errs, b.reader.Close(), b.writer.Close())...)
}
