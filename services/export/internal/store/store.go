// Package store keeps exports in a database. It is written once in portable SQL for SQLite and PostgreSQL; package storetest
// holds the suite that every store must pass.
//
// Work on an export is guarded by its row's fence: [Store.Take] raises it, every later write names it. Cancelling and expiring
// raise it too, which is how they win against whoever works on the export at that moment.
package store

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"
	"time"

	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/export/internal/export"
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

// The kinds of job that the store enqueues, both with [JobArgs].
const (
	// JobAdvance carries an export on.
	JobAdvance = "export.advance"
	// JobExpire deletes a package whose time has come.
	JobExpire = "export.expire"
)

// JobArgs names an export.
type JobArgs struct {
	Controller export.ControllerID `json:"controller"`
	Export     export.ID           `json:"export"`
}

// Ref is the export's name.
func (a JobArgs) Ref() export.Ref { return export.Ref{Controller: a.Controller, ID: a.Export} }

// Recorder writes audit events in the transaction of the change that they report.
type Recorder interface {
	Record(ctx context.Context, tx sqldb.Tx, e outbox.Event) (string, error)
}

// Store implements export.Store and what the handlers need. It is safe for concurrent use.
type Store struct {
	db       *sqldb.DB
	recorder Recorder
	changed  func(export.Ref)
	// unscrubbed says that destroyed keys may still stand in the database's log.
	unscrubbed atomic.Bool
}

var _ export.Store = (*Store)(nil)

// New returns a store on db, whose schema is up to date. changed is called after each commit that changed an export.
func New(db *sqldb.DB, recorder Recorder, changed func(export.Ref)) *Store {
	return &Store{db: db, recorder: recorder, changed: changed}
}

// Insert adds a new export and the job that carries it on, in the caller's transaction.
func (s *Store) Insert(ctx context.Context, tx sqldb.Tx, w *export.Work) error {
	values, err := encode(w)
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, insertSQL, values...); err != nil {
		return fmt.Errorf("store: insert export: %w", err)
	}
	tx.AfterCommit(func() { s.changed(w.Ref) })
	return enqueue(ctx, tx, JobAdvance, w.Ref, w.Fence)
}

// enqueue adds a job unless one for the same fence waits. The fence is part of the key because a job that died with its
// process keeps its key: whoever takes the export over must not have to wait for that to be noticed.
func enqueue(ctx context.Context, tx sqldb.Tx, kind string, ref export.Ref, fence int64) error {
	return tx.Enqueue(ctx, jobOf(kind, ref, fence))
}

func jobOf(kind string, ref export.Ref, fence int64) sqldb.Job {
	return sqldb.Job{Kind: kind, Args: JobArgs{ref.Controller, ref.ID}, UniqueKey: fmt.Sprintf("%s#%d", ref.Name(), fence)}
}

// Get reads an export. The error is export.ErrMissing where the controller has none of that id.
func (s *Store) Get(ctx context.Context, ref export.Ref) (w *export.Work, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, q sqldb.Querier) error {
		w, err = one(q.QueryRow(ctx, `SELECT `+columnList+` FROM export WHERE controller = $1 AND id = $2`, ref.Controller, ref.ID))
		return err
	})
	if errors.Is(err, sqldb.ErrNoRows) {
		return nil, export.ErrMissing
	}
	return w, err
}

// List reads a controller's exports, newest first, at most limit. With before it begins after that one.
func (s *Store) List(ctx context.Context, c export.ControllerID, before export.ID, limit int) (out []*export.Work, err error) {
	query := `SELECT ` + columnList + ` FROM export WHERE controller = $1 ORDER BY id DESC LIMIT $2`
	args := []any{c, limit}
	if before != "" {
		query = `SELECT ` + columnList + ` FROM export WHERE controller = $1 AND id < $2 ORDER BY id DESC LIMIT $3`
		args = []any{c, before, limit}
	}
	err = s.db.Read(ctx, func(ctx context.Context, q sqldb.Querier) error {
		out, err = collect(ctx, q, func(r sqldb.Rows) (*export.Work, error) { return one(r) }, query, args...)
		return err
	})
	return out, err
}

// Take gives an export to work on; see export.Store.
func (s *Store) Take(ctx context.Context, ref export.Ref, now time.Time, lease time.Duration) (*export.Work, error) {
	at := sqldb.Micros(now)
	return s.seize(ctx, ref, `UPDATE export SET fence = fence + 1, lease_until = $1
		WHERE controller = $2 AND id = $3 AND settled = 0 AND lease_until <= $4 AND next_time <= $5
		RETURNING `+columnList, sqldb.Micros(now.Add(lease)), ref.Controller, ref.ID, at, at)
}

// TakeExpired gives an export whose package's time has come; see export.Store.
func (s *Store) TakeExpired(ctx context.Context, ref export.Ref, now time.Time) (*export.Work, error) {
	return s.seize(ctx, ref, `UPDATE export SET fence = fence + 1
		WHERE controller = $1 AND id = $2 AND package_file <> '' AND expire_time <= $3
		RETURNING `+columnList, ref.Controller, ref.ID, sqldb.Micros(now))
}

func (s *Store) seize(ctx context.Context, ref export.Ref, query string, args ...any) (w *export.Work, err error) {
	err = s.db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
		w, err = one(tx.QueryRow(ctx, query, args...))
		if !errors.Is(err, sqldb.ErrNoRows) {
			return err
		}
		var n int64
		err = tx.QueryRow(ctx, `SELECT COUNT(*) FROM export WHERE controller = $1 AND id = $2`, ref.Controller, ref.ID).Scan(&n)
		if err == nil && n == 0 {
			return export.ErrMissing
		}
		return errors.Join(err, export.ErrIdle)
	})
	return w, err
}

// Save writes a piece of work; see export.Store.
func (s *Store) Save(ctx context.Context, w *export.Work, e *export.Event, release bool) error {
	next := *w
	next.Version++
	err := s.db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
		if e == nil {
			return s.update(ctx, tx, &next, release)
		}
		before, err := s.Recorded(ctx, tx, w.Ref)
		if err != nil {
			return err
		}
		if err := s.update(ctx, tx, &next, release); err != nil {
			return err
		}
		return s.record(ctx, tx, &next, *e, before)
	})
	if err != nil {
		return err
	}
	*w = next
	s.scrubAfter(ctx, w)
	return nil
}

func (s *Store) update(ctx context.Context, tx sqldb.Tx, w *export.Work, release bool) error {
	values, err := encode(w)
	if err != nil {
		return err
	}
	n, err := tx.Exec(ctx, updateSQL, append(values[2:], w.Controller, w.ID, w.Fence)...)
	if err != nil {
		return fmt.Errorf("store: save export: %w", err)
	}
	if n == 0 {
		return export.ErrFenced
	}
	if release {
		if _, err := tx.Exec(ctx, `UPDATE export SET lease_until = 0 WHERE controller = $1 AND id = $2`, w.Controller, w.ID); err != nil {
			return fmt.Errorf("store: release export: %w", err)
		}
	}
	tx.AfterCommit(func() { s.changed(w.Ref) })
	return nil
}

// Recorded gives what the digests of an export's events are made of: what it is and how far it has come, not how often it was tried
// meanwhile; nil where there is no such export.
func (s *Store) Recorded(ctx context.Context, tx sqldb.Tx, ref export.Ref) (any, error) {
	var r struct {
		State, Kind, Language, Refs, Recipient, Package string
		Due, Expires                                    int64
	}
	err := tx.QueryRow(ctx, `SELECT state, kind, language, refs, recipient, package_sha256, due_time, expire_time FROM export
		WHERE controller = $1 AND id = $2`, ref.Controller, ref.ID).
		Scan(&r.State, &r.Kind, &r.Language, &r.Refs, &r.Recipient, &r.Package, &r.Due, &r.Expires)
	switch {
	case errors.Is(err, sqldb.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("store: read export: %w", err)
	}
	return r, nil
}

func (s *Store) record(ctx context.Context, tx sqldb.Tx, w *export.Work, e export.Event, before any) error {
	after, err := s.Recorded(ctx, tx, w.Ref)
	if err != nil {
		return err
	}
	event := outbox.Event{Controller: string(w.Controller), Action: e.Action, Kind: outbox.Export, Resource: w.Name(),
		SubjectRefs: w.Refs, Reason: e.Reason, Detail: e.Detail, Before: before, After: after}
	if e.Failed {
		event.Outcome = outbox.Failed
	}
	if e.Action == JobExpire {
		event.Kind = outbox.Delete
	}
	_, err = s.recorder.Record(ctx, tx, event)
	return err
}

// Extend moves the end of a lease; see export.Store.
func (s *Store) Extend(ctx context.Context, ref export.Ref, fence int64, until time.Time) error {
	return s.db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
		n, err := tx.Exec(ctx, `UPDATE export SET lease_until = $1 WHERE controller = $2 AND id = $3 AND fence = $4`,
			sqldb.Micros(until), ref.Controller, ref.ID, fence)
		if err == nil && n == 0 {
			return export.ErrFenced
		}
		return err
	})
}

// Cancel calls an export off in the caller's transaction, whoever works on it. It gives the export as it stands then, and the
// files that nothing refers to any more once the transaction has committed. The error is export.ErrMissing or export.ErrFinished.
func (s *Store) Cancel(ctx context.Context, tx sqldb.Tx, ref export.Ref, now time.Time) (w *export.Work, orphans []export.FileID, err error) {
	w, err = one(tx.QueryRow(ctx, `UPDATE export SET fence = fence + 1 WHERE controller = $1 AND id = $2 RETURNING `+columnList,
		ref.Controller, ref.ID))
	if errors.Is(err, sqldb.ErrNoRows) {
		return nil, nil, export.ErrMissing
	}
	if err != nil {
		return nil, nil, err
	}
	orphans = w.Files()
	if err := w.Cancel(now); err != nil {
		return nil, nil, err
	}
	w.Version++
	if err := s.update(ctx, tx, w, true); err != nil {
		return nil, nil, err
	}
	tx.AfterCommit(func() { s.unscrubbed.Store(true) })
	return w, orphans, nil
}
