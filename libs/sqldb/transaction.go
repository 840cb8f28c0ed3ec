package sqldb

import (
	"context"
	"fmt"
	"sync/atomic"
)

// Write runs fn in one write transaction and commits it. An error or a panic of fn
// rolls everything back; the error is returned as it is. Write transactions of one
// SQLite database run one after the other, so fn must be short and must not call
// other services.
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
	s, err := db.backend.begin(ctx)
	if err != nil {
		return err
	}
	tx := &transaction{session: s, engine: db.Engine()}
	mark := &enclosure{write: true}
	// Runs also when fn panics or ends its goroutine; after a commit both do nothing.
	defer s.rollback()
	defer mark.ended.Store(true)

	if err := fn(context.WithValue(ctx, enclosureKey{db}, mark), tx); err != nil {
		return err
	}
	if err := s.commit(); err != nil {
		return err
	}
	mark.ended.Store(true)
	if tx.enqueued {
		db.backend.wake()
	}
	for _, hook := range tx.hooks {
		hook()
	}
	return nil
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
		return fn(ctx, outer.snapshot)
	}
	s, err := db.backend.snapshot(ctx)
	if err != nil {
		return err
	}
	mark := &enclosure{snapshot: s}
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
	write    bool
	snapshot session
	ended    atomic.Bool
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
