package sqldb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"github.com/riverqueue/river"
)

// Engine names a database engine. Its value is also the name of the folder that
// holds the engine's migrations.
type Engine string

// The engines that portable SQL is written for.
const (
	SQLite   Engine = "sqlite"
	Postgres Engine = "postgres"
)

// Row is the result of a query that is expected to return at most one row.
type Row interface {
	// Scan copies the columns into dest. Without a row the error is [ErrNoRows].
	Scan(dest ...any) error
}

// Rows is the result of a query. It must be closed before the transaction ends;
// closing twice is harmless.
type Rows interface {
	// Next moves to the next row and reports whether there is one.
	Next() bool
	// Scan copies the columns of the current row into dest.
	Scan(dest ...any) error
	// Err returns the error that ended the iteration early, if any. It must be
	// asked after Next returned false, or a truncated result looks complete.
	Err() error
	// Close releases the result.
	Close() error
}

// Querier runs portable SQL with $1…$n parameters. There must be exactly as many
// arguments as the highest parameter says.
type Querier interface {
	// Exec runs a statement and returns the number of rows it changed.
	Exec(ctx context.Context, query string, args ...any) (rowsAffected int64, err error)
	// Query runs a query that returns any number of rows. They are read to their end or
	// closed before the next statement of the transaction.
	Query(ctx context.Context, query string, args ...any) (Rows, error)
	// QueryRow runs a query that returns at most one row; its error comes with Scan.
	QueryRow(ctx context.Context, query string, args ...any) Row
}

// Job is a piece of durable work, done after the transaction that enqueued it has
// committed, at least once. See package jobs for the side that does it.
type Job struct {
	// Kind selects the handler: letters, digits, dot, dash and underscore.
	Kind string
	// Args is marshalled to a JSON object. It holds ids only, never personal data:
	// the row outlives the erasure of the person it is about.
	Args any
	// RunAt is the earliest time to start; zero means at once.
	RunAt time.Time
	// UniqueKey, if set, allows at most one unfinished job of this Kind and key:
	// another Enqueue while one waits, runs or is to be retried changes nothing. A
	// handler that must see every change therefore reads its state when it starts and
	// the transaction that adds more work to do must not rely on a job already
	// running. Only a hash of the key is stored.
	UniqueKey string
	// TakeoverKey, if set, is the key to use instead where the job with UniqueKey runs:
	// for a caller who knows that its worker is dead. The dead job keeps its key until it
	// is rescued, long after its timeout. Give each takeover a key of its own: whoever
	// takes over may die too.
	TakeoverKey string
}

// Tx is one write transaction. It is valid until the function given to [DB.Write]
// returns, and is used by one goroutine at a time.
type Tx interface {
	Querier
	// Enqueue adds a job that exists if and only if the transaction commits. The W3C
	// trace context of ctx is stored with it, so that the work continues the trace.
	Enqueue(ctx context.Context, job Job) error
	// AfterCommit registers fn to run, in order of registration and on the caller's
	// goroutine, once the transaction has committed; never if it has not.
	AfterCommit(fn func())
	// Engine tells which engine runs the transaction, for the rare statement that
	// cannot be portable.
	Engine() Engine
}

// Config says which database to open.
type Config struct {
	// URL is "sqlite:" and the path of a file, which is created if it is missing
	// (its folder is not), or a PostgreSQL URL ("postgres://user@host/database") with
	// the usual parameters and these: schema names the schema that everything is in,
	// pool_max_conns bounds the transactions open at a time (default 8).
	URL string
	// ReadConnections bounds the number of snapshots that are open on a SQLite database
	// at a time. Default 4.
	ReadConnections int
	// BusyTimeout is how long to wait for another process that holds the database
	// (PostgreSQL: a lock in it) before giving up with [ErrUnavailable]. Default 5 s.
	BusyTimeout time.Duration
	// Logger receives what the job table's own machinery has to say while it
	// migrates and inserts. Default: nothing is logged.
	Logger *slog.Logger
	// Changed is told what Migrate and Ensure have made or changed, in a few words each.
	// Default: nobody is.
	Changed func(change string)
}

// DB is an open database. It is safe for concurrent use.
type DB struct {
	backend backend
	changed func(string)
	closed  atomic.Bool
}

// backend is one engine behind DB. DB itself holds the rules that are the same
// everywhere: nesting, rollback on panic, hooks after commit.
type backend interface {
	engine() Engine
	// begin starts a write transaction, waiting its turn.
	begin(ctx context.Context) (session, error)
	// snapshot starts a read-only transaction that sees one state of the database.
	snapshot(ctx context.Context) (session, error)
	// wake tells the local job runners that a commit made a job available.
	wake()
	// riverClient makes a River client on the engine's connections.
	riverClient(cfg *river.Config) (RiverClient, error)
	migrate(ctx context.Context, migrations fs.FS) error
	hasTable(ctx context.Context, name string) (bool, error)
	lock(ctx context.Context, name string, wait bool) (unlock func() error, err error)
	scrub(ctx context.Context) error
	scrubMemory(ctx context.Context) error
	ping(ctx context.Context) error
	close() error
}

// session is one engine's open transaction.
type session interface {
	Querier
	enqueue(ctx context.Context, job Job) error
	commit() error
	// rollback ends the transaction without effect; after commit it does nothing.
	rollback()
}

// EngineOf tells which engine a database's URL names.
func EngineOf(address string) (Engine, error) {
	scheme, _, ok := strings.Cut(address, ":")
	switch {
	case !ok:
		return "", errors.New(`sqldb: the database URL has no scheme; write for example "sqlite:/var/lib/privacyops/audit.db"`)
	case scheme == "sqlite":
		return SQLite, nil
	case scheme == "postgres" || scheme == "postgresql":
		return Postgres, nil
	}
	return "", fmt.Errorf("sqldb: no engine for database URLs with scheme %q; there are: %s, %s", scheme, SQLite, Postgres)
}

// Open opens the database that cfg.URL names. The scheme selects the engine.
func Open(ctx context.Context, cfg Config) (*DB, error) {
	cfg = cfg.withDefaults()
	engine, err := EngineOf(cfg.URL)
	if err != nil {
		return nil, err
	}
	var be backend
	if engine == SQLite {
		be, err = openSQLite(ctx, strings.TrimPrefix(cfg.URL, "sqlite:"), cfg)
	} else {
		be, err = openPostgres(ctx, cfg)
	}
	if err != nil {
		return nil, err
	}
	return &DB{backend: be, changed: cfg.Changed}, nil
}

func (c Config) withDefaults() Config {
	if c.ReadConnections <= 0 {
		c.ReadConnections = 4
	}
	if c.BusyTimeout <= 0 {
		c.BusyTimeout = 5 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Changed == nil {
		c.Changed = func(string) {}
	}
	return c
}

// Engine tells which engine the database runs on.
func (db *DB) Engine() Engine { return db.backend.engine() }

// Lock takes the database's lock of that name, which keeps other processes (and other
// DBs on the same database) out until unlock is called or the process ends. It does
// not wait: if the lock is taken the error is [ErrLocked]. The name is a lower-case word.
// With PostgreSQL the lock is a connection's and is lost with it, unnoticed: it keeps
// work apart, what must not happen twice is fenced in the rows themselves.
func (db *DB) Lock(ctx context.Context, name string) (unlock func() error, err error) {
	if err := db.usable(); err != nil {
		return nil, err
	}
	return db.backend.lock(ctx, name, false)
}

// Scrub removes what earlier versions of changed rows have left behind outside the
// tables: with SQLite it copies the write-ahead log into the database and truncates
// it. Call it after an erasure has committed. [ErrUnavailable] means that an open
// snapshot still needs the log; call again later. With PostgreSQL it does nothing: only
// the server can, see the package comment.
func (db *DB) Scrub(ctx context.Context) error {
	if err := db.usable(); err != nil {
		return err
	}
	return db.backend.scrub(ctx)
}

// ScrubMemory removes from this process's memory what the engine's client remembers of rows that are gone: pages, values that were
// bound or read. It closes connections and has the garbage of the whole process collected, so that the next calls take some ten
// milliseconds more, and is meant for a database of secrets. [ErrUnavailable] means that something is open which may remember more; call
// again later.
//
// SQLite's memory is its own and is overwritten here. The client of PostgreSQL works on the Go heap, and the runtime does not clear what it frees
// unless the process was started with GODEBUG=clobberfree=1; see server.OverwriteFreed.
func (db *DB) ScrubMemory(ctx context.Context) error {
	if err := db.usable(); err != nil {
		return err
	}
	err := db.backend.scrubMemory(ctx)
	for range 2 { // what is pooled is garbage only the second time
		debug.FreeOSMemory()
	}
	return err
}

// Ping asks the database for an answer, as a health check does.
func (db *DB) Ping(ctx context.Context) error {
	if err := db.usable(); err != nil {
		return err
	}
	return db.backend.ping(ctx)
}

// Close waits for running transactions and closes the database. Every later call on
// the DB fails with [ErrUnavailable]. Stop job runners first.
func (db *DB) Close() error {
	if db.closed.Swap(true) {
		return nil
	}
	return db.backend.close()
}

func (db *DB) usable() error {
	if db.closed.Load() {
		return &Error{text: "the database is closed", kinds: []error{ErrUnavailable}}
	}
	return nil
}
