package sqldb

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// conflictPauses is how long to wait before a transaction that met another runs again.
var conflictPauses = [...]time.Duration{10 * time.Millisecond, 40 * time.Millisecond, 160 * time.Millisecond}

// Write runs fn in one write transaction and commits it. An error or a panic of fn
// rolls everything back; the error is returned as it is.
//
// Write transactions of one SQLite database run one after the other, so fn must be
// short and must not call other services. Those of PostgreSQL run side by side (READ
// COMMITTED): fn locks the rows that it decides on, with FOR UPDATE where [Tx].Engine is
// [Postgres]. Where two meet all the same and PostgreSQL ends one of them (a deadlock, a
// serialization failure), everything of it is undone, its hooks are forgotten and fn runs
// again, up to three times. So fn must be repeatable: what it leaves in variables outside
// is overwritten by the next run, never added to.
//
// A Write or Read of the same database inside fn, recognised by the ctx that fn was
// given, is refused with [ErrNested]: the first would wait for itself for ever, the
// second would not see what fn has written.
func (db *DB) Write(ctx context.Context, fn func(ctx context.Context, tx Tx) error) error {
	if err := db.usable(); err != nil {
		return err
	}
	if db.enclosing(ctx).writing() {
		return fmt.Errorf("sqldb: Write inside Write: %w", ErrNested)
	}
	tx, err := db.attempt(ctx, fn)
	for _, pause := range conflictPauses {
		if !errors.Is(err, errConflict) || !sleep(ctx, pause) {
			break
		}
		tx, err = db.attempt(ctx, fn)
	}
	if err != nil {
		return err
	}
	if tx.enqueued {
		db.backend.wake()
	}
	for _, hook := range tx.hooks {
		hook()
	}
	return nil
}

// attempt runs fn in a transaction and commits it.
func (db *DB) attempt(ctx context.Context, fn func(ctx context.Context, tx Tx) error) (*transaction, error) {
	s, err := db.backend.begin(ctx)
	if err != nil {
		return nil, err
	}
	tx := &transaction{session: s, engine: db.Engine()}
	mark := &enclosure{write: true}
	// Runs also when fn panics or ends its goroutine; after a commit both do nothing.
	defer s.rollback()
	defer mark.ended.Store(true)

	if err := fn(context.WithValue(ctx, enclosureKey{db}, mark), tx); err != nil {
		return nil, err
	}
	return tx, s.commit()
}

// sleep waits and reports whether ctx is still going on.
func sleep(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Read runs fn on one snapshot: every query in it sees the state of the database at
// the time of the first one, whatever is written meanwhile. Statements that change
// data fail. A Read inside a Read (recognised by ctx) shares the outer snapshot.
func (db *DB) Read(ctx context.Context, fn func(ctx context.Context, q Querier) error) error {
	if err := db.usable(); err != nil {
		return err
	}
	outer := db.enclosing(ctx)
	if outer.writing() {
		return fmt.Errorf("sqldb: Read inside Write would not see what the transaction wrote, query the Tx: %w", ErrNested)
	}
	if outer.reading() {
		if controller(ctx) != outer.controller {
			return fmt.Errorf("sqldb: Read inside a Read for another controller: %w", ErrNested)
		}
		return fn(ctx, outer.snapshot)
	}
	s, err := db.backend.snapshot(ctx)
	if err != nil {
		return err
	}
	mark := &enclosure{snapshot: s, controller: controller(ctx)}
	defer s.rollback()
	defer mark.ended.Store(true)
	return fn(context.WithValue(ctx, enclosureKey{db}, mark), s)
}

// enclosureKey is the context key of the transaction that encloses a call. The DB is
// part of it: a transaction on one database says nothing about another.
type enclosureKey struct{ db *DB }

// enclosure marks the context given to a transaction's function. It outlives the
// transaction in contexts that were kept, hence ended.
type enclosure struct {
	write      bool
	snapshot   session
	controller string // that the snapshot is for
	ended      atomic.Bool
}

func (e *enclosure) writing() bool { return e != nil && e.write && !e.ended.Load() }
func (e *enclosure) reading() bool { return e != nil && !e.write && !e.ended.Load() }

func (db *DB) enclosing(ctx context.Context) *enclosure {
	e, _ := ctx.Value(enclosureKey{db}).(*enclosure)
	return e
}

// transaction is the Tx that a Write hands to its function.
type transaction struct {
	session
	engine   Engine
	hooks    []func()
	enqueued bool
}

var _ Tx = (*transaction)(nil)

func (t *transaction) Engine() Engine { return t.engine }

func (t *transaction) AfterCommit(fn func()) { t.hooks = append(t.hooks, fn) }

func (t *transaction) Enqueue(ctx context.Context, job Job) error {
	if err := t.session.enqueue(ctx, job); err != nil {
		return fmt.Errorf("sqldb: enqueue job %s: %w", job.Kind, err)
	}
	t.enqueued = true
	return nil
}
