package sqlmap

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/stdlib"

	"github.com/privacyops/privacyops/services/participant/internal/datamap"
)

// errCrash is what everything answers after the crash.
var errCrash = errors.New("the process is gone")

// faults kills a process at its n-th statement, transaction begin or commit, over all
// its databases: before the step, or after it, when the answer is lost.
type faults struct {
	mu    sync.Mutex
	left  int // steps until the crash; negative: never
	after bool
	dead  bool
	steps int
}

// step runs f unless the process is dead or dies now.
func (x *faults) step(f func() error) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.dead {
		return errCrash
	}
	x.steps++
	if x.left--; x.left != -1 {
		return f()
	}
	x.dead = true
	if x.after {
		_ = f()
	}
	return errCrash
}

// connector opens connections of a driver that go through faults.
type connector struct {
	driver driver.Driver
	dsn    string
	faults *faults
}

func (c connector) Connect(context.Context) (driver.Conn, error) {
	conn, err := c.driver.Open(c.dsn)
	return faultConn{conn, c.faults}, err
}
func (c connector) Driver() driver.Driver { return c.driver }

type faultConn struct {
	driver.Conn
	faults *faults
}

func (c faultConn) ExecContext(ctx context.Context, q string, args []driver.NamedValue) (r driver.Result, err error) {
	err = c.faults.step(func() error { r, err = c.Conn.(driver.ExecerContext).ExecContext(ctx, q, args); return err })
	return r, err
}

func (c faultConn) QueryContext(ctx context.Context, q string, args []driver.NamedValue) (r driver.Rows, err error) {
	err = c.faults.step(func() error { r, err = c.Conn.(driver.QueryerContext).QueryContext(ctx, q, args); return err })
	if err != nil && r != nil {
		_ = r.Close()
		r = nil
	}
	return r, err
}

func (c faultConn) BeginTx(ctx context.Context, o driver.TxOptions) (tx driver.Tx, err error) {
	err = c.faults.step(func() error { tx, err = c.Conn.(driver.ConnBeginTx).BeginTx(ctx, o); return err })
	if err != nil && tx != nil {
		_ = tx.Rollback()
	}
	return faultTx{tx, c.faults}, err
}

func (c faultConn) CheckNamedValue(v *driver.NamedValue) error {
	if x, ok := c.Conn.(driver.NamedValueChecker); ok {
		return x.CheckNamedValue(v)
	}
	return driver.ErrSkip
}

type faultTx struct {
	driver.Tx
	faults *faults
}

func (t faultTx) Commit() error {
	err := t.faults.step(t.Tx.Commit)
	if err != nil {
		_ = t.Tx.Rollback() // what the database does when the process is gone
	}
	return err
}

// process opens an adapter whose databases all go through faults.
func (w *world) process(m *datamap.Map, x *faults) *Adapter {
	w.Helper()
	dsn, err := sqliteDSN(w.ledger, "rwc", "journal_mode(wal)", "synchronous(off)")
	if err != nil {
		w.Fatal(err)
	}
	lite := w.driver("sqlite")
	target := connector{stdlib.GetDefaultDriver(), w.dsn, x}
	if w.e == SQLite {
		path, err := sqliteDSN(w.dsn, "rw", "synchronous(off)")
		if err != nil {
			w.Fatal(err)
		}
		target = connector{lite, path, x}
	}
	never := x.left
	x.left = -1 // opening is not part of the erasure
	l, err := newLedger(context.Background(), sql.OpenDB(connector{lite, dsn, x}))
	if err != nil {
		w.Fatal(err)
	}
	a, err := newAdapter(context.Background(), Config{Engine: w.e, Map: m}, sql.OpenDB(target), l)
	if err != nil {
		w.Fatal(err)
	}
	x.left, x.steps = never, 0
	return a
}

func (w *world) driver(name string) driver.Driver {
	w.Helper()
	db, err := sql.Open(name, "")
	if err != nil {
		w.Fatal(err)
	}
	defer db.Close()
	return db.Driver()
}

// parse reads a map for process.
func parse(t testing.TB, yaml string) *datamap.Map {
	t.Helper()
	m, err := datamap.Parse("map.yaml", []byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	return m
}
