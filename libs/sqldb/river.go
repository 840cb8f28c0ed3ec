package sqldb

import (
	"context"
	"database/sql"
	"fmt"
	"sync"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
)

// RiverClient is what package jobs needs of a river.Client, whose type otherwise
// depends on the engine.
type RiverClient interface {
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
	StopAndCancel(ctx context.Context) error
}

// NewRiverClient makes a River client that works the jobs of this database. It is
// meant for package jobs; everybody else uses [Tx].Enqueue and jobs.Runner.
func (db *DB) NewRiverClient(cfg *river.Config) (RiverClient, error) {
	return db.backend.riverClient(cfg)
}

func (b *sqliteBackend) riverClient(cfg *river.Config) (RiverClient, error) {
	return river.NewClient(b.driver, cfg)
}

func (b *postgresBackend) riverClient(cfg *river.Config) (RiverClient, error) {
	own := *cfg
	own.Schema = b.schema
	// Rebuilding indexes every night is for who owns them; a service's role owns nothing.
	own.ReindexerIndexNames = []string{}
	return river.NewClient(b.driver, &own)
}

// tellJobs says what has changed about the job table.
func tellJobs(changed func(string), applied *rivermigrate.MigrateResult) {
	for _, v := range applied.Versions {
		changed(fmt.Sprintf("job table, version %d", v.Version))
	}
}

// sqliteDriver is River's SQLite driver with one thing exchanged: how a runner learns
// of a new job. River writes a row into a notification table and polls it twenty times
// a second; here the commit itself wakes the runners of this process, at no cost.
// Other processes on the same file find the job at their next poll.
type sqliteDriver struct {
	*riversqlite.Driver
	wakeups *wakeups
}

var _ riverdriver.Driver[*sql.Tx] = (*sqliteDriver)(nil)

func newSQLiteDriver(pool *sql.DB) *sqliteDriver {
	return &sqliteDriver{Driver: riversqlite.New(pool), wakeups: &wakeups{listeners: map[*listener]struct{}{}}}
}

// SupportsListenNotify false keeps River from writing notification rows.
func (d *sqliteDriver) SupportsListenNotify() bool { return false }

// SupportsListener true makes River ask GetListener for its wake-up calls.
func (d *sqliteDriver) SupportsListener() bool { return true }

// GetListener returns a listener on the commits of this process.
func (d *sqliteDriver) GetListener(params *riverdriver.GetListenenerParams) riverdriver.Listener {
	return &listener{wakeups: d.wakeups, schema: params.Schema, calls: make(chan struct{}, 1)}
}

// wakeups is the set of runners that want to know of commits.
type wakeups struct {
	mu        sync.Mutex
	listeners map[*listener]struct{}
}

func (w *wakeups) broadcast() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for l := range w.listeners {
		select {
		case l.calls <- struct{}{}:
		default: // a call is waiting already, and it covers this commit too
		}
	}
}

// listener gives one River client its wake-up calls.
type listener struct {
	wakeups *wakeups
	schema  string
	calls   chan struct{}
}

// insertTopic and insertPayload are what River's own drivers send after an insert.
const (
	insertTopic   = "river_insert"
	insertPayload = `{"queue":"` + JobQueue + `"}`
)

func (l *listener) Connect(context.Context) error {
	l.wakeups.mu.Lock()
	defer l.wakeups.mu.Unlock()
	l.wakeups.listeners[l] = struct{}{}
	return nil
}

func (l *listener) Close(context.Context) error {
	l.wakeups.mu.Lock()
	defer l.wakeups.mu.Unlock()
	delete(l.wakeups.listeners, l)
	return nil
}

func (l *listener) WaitForNotification(ctx context.Context) (*riverdriver.Notification, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-l.calls:
		return &riverdriver.Notification{Topic: insertTopic, Payload: insertPayload}, nil
	}
}

func (l *listener) Listen(context.Context, string) error   { return nil }
func (l *listener) Unlisten(context.Context, string) error { return nil }
func (l *listener) Ping(context.Context) error             { return nil }
func (l *listener) Schema() string                         { return l.schema }

// SetAfterConnectExec does nothing: there is no connection.
func (l *listener) SetAfterConnectExec(string) {}
