// Package store keeps erasures, tombstones and rosters in SQL.
//
// An erasure is one row: what is looked for stands in columns, the rest in a document. The person's identifiers stand beside it
// under a key of their own, wrapped by the keyring; when the erasure ends, both are emptied and the database is scrubbed.
package store

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/erasure/internal/erasure"
)

//go:embed migrations
var files embed.FS

// Migrations are the schema's versions, one folder for each engine.
func Migrations() fs.FS {
	sub, err := fs.Sub(files, "migrations")
	if err != nil { // the folder is compiled in
		panic("store: " + err.Error())
	}
	return sub
}

// Store implements erasure.Store, and what the RPCs need.
type Store struct {
	db      *sqldb.DB
	outbox  *outbox.Outbox
	keyring *keyring.Keyring
	clock   clock.Clock
	moved   func(erasure.Move)
}

// New makes a store on a migrated database.
func New(db *sqldb.DB, o *outbox.Outbox, k *keyring.Keyring, c clock.Clock) *Store {
	return &Store{db: db, outbox: o, keyring: k, clock: c}
}

var _ erasure.Store = (*Store)(nil)

const columns = `controller, id, state, fence, revision, document`

func scan(row sqldb.Row) (*erasure.Erasure, error) {
	e := &erasure.Erasure{}
	var controller, id, state, document string
	if err := row.Scan(&controller, &id, &state, &e.Fence, &e.Revision, &document); err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(document), e); err != nil {
		return nil, fmt.Errorf("store: document of an erasure: %w", err)
	}
	e.Controller, e.ID, e.State = erasure.ControllerID(controller), erasure.ID(id), erasure.State(state)
	return e, nil
}

// Insert stores a new erasure with its identifiers, in the caller's transaction, and its first job.
func (s *Store) Insert(ctx context.Context, tx sqldb.Tx, e *erasure.Erasure, ids []erasure.Identifier) error {
	env, wrapped, err := s.keyring.NewEnvelope(e.Name())
	if err != nil {
		return err
	}
	sealed, err := seal(env, ids)
	if err != nil {
		return err
	}
	document, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("store: document: %w", err)
	}
	_, err = tx.Exec(ctx, `INSERT INTO erasure (controller, id, state, ground, subject_ref, fence, revision, next_work,
		wrapped_key, sealed_identifiers, document, create_time, update_time, due_time)
		VALUES ($1, $2, $3, $4, $5, 0, 1, $6, $7, $8, $9, $10, $11, $12)`,
		string(e.Controller), string(e.ID), string(e.State), string(e.Ground), e.SubjectRef, nextWork(e),
		wrapped, sealed, string(document), sqldb.Micros(e.CreateTime), sqldb.Micros(e.UpdateTime), sqldb.Micros(e.DueTime))
	if err != nil {
		return err
	}
	e.Revision = 1
	if err := s.tell(ctx, tx, e, ""); err != nil {
		return err
	}
	return s.enqueue(ctx, tx, e)
}

// Get reads one erasure; sqldb.ErrNoRows where there is none.
func (s *Store) Get(ctx context.Context, c erasure.ControllerID, id erasure.ID) (e *erasure.Erasure, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, q sqldb.Querier) error {
		e, err = scan(q.QueryRow(ctx, `SELECT `+columns+` FROM erasure WHERE controller = $1 AND id = $2`, string(c), string(id)))
		return err
	})
	return e, err
}

// Active finds an erasure of the same person on the same ground that has not ended; nil where there is none.
func (s *Store) Active(ctx context.Context, tx sqldb.Tx, c erasure.ControllerID, subjectRef string, g erasure.Ground) (*erasure.Erasure, error) {
	e, err := scan(tx.QueryRow(ctx, `SELECT `+columns+` FROM erasure
		WHERE controller = $1 AND subject_ref = $2 AND ground = $3 AND next_work >= 0 ORDER BY id DESC LIMIT 1`,
		string(c), subjectRef, string(g)))
	if errors.Is(err, sqldb.ErrNoRows) {
		return nil, nil //nolint:nilnil // none is an answer
	}
	return e, err
}

// List reads a page of erasures, newest first, beginning below the id `before` (empty: the newest).
func (s *Store) List(ctx context.Context, c erasure.ControllerID, before string, limit int) (list []*erasure.Erasure, err error) {
	if before == "" {
		before = "~" // sorts after every id
	}
	err = s.db.Read(ctx, func(ctx context.Context, q sqldb.Querier) error {
		rows, err := q.Query(ctx, `SELECT `+columns+` FROM erasure WHERE controller = $1 AND id < $2 ORDER BY id DESC LIMIT $3`,
			string(c), before, limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			e, err := scan(rows)
			if err != nil {
				return err
			}
			list = append(list, e)
		}
		return rows.Err()
	})
	return list, err
}

// Change applies what a person decided: fn changes the erasure, and reports whether it did. The change raises the fence, so
// that a worker that looked at the erasure before can write nothing over it.
func (s *Store) Change(ctx context.Context, c erasure.ControllerID, id erasure.ID, event outbox.Event,
	fn func(e *erasure.Erasure) (changed bool, err error)) (e *erasure.Erasure, err error) {
	err = s.db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
		if e, err = s.lock(ctx, tx, c, id); err != nil {
			return err
		}
		if event.Before, err = s.Recorded(ctx, tx, c, id); err != nil {
			return err
		}
		changed, err := fn(e)
		if err != nil || !changed {
			return err
		}
		if e.Plan != nil {
			event.Detail = map[string]string{"planHash": e.Plan.Hash}
		}
		event.SubjectRefs = e.Named()
		before := e.Fence
		e.Fence++
		if err := s.update(ctx, tx, e, before, erasure.Change{DestroyIdentifiers: e.State.Final()}); err != nil {
			return err
		}
		if event.After, err = s.Recorded(ctx, tx, c, id); err != nil {
			return err
		}
		if _, err := s.outbox.Record(ctx, tx, event); err != nil {
			return err
		}
		return s.enqueue(ctx, tx, e)
	})
	if err == nil && e.State.Final() {
		s.scrub(ctx)
	}
	return e, err
}

// Recorded gives an erasure as it stands in the database, for the digests of its events; nil where there is none.
func (s *Store) Recorded(ctx context.Context, tx sqldb.Tx, c erasure.ControllerID, id erasure.ID) (any, error) {
	return recorded(ctx, tx, `SELECT state, document FROM erasure WHERE controller = $1 AND id = $2`, string(c), string(id))
}

// recorded is what an event's digests are made of: the row's state and its document. Nil where there is no row.
func recorded(ctx context.Context, tx sqldb.Tx, query, controller, id string) (any, error) {
	var state, document string
	err := tx.QueryRow(ctx, query, controller, id).Scan(&state, &document)
	switch {
	case errors.Is(err, sqldb.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return struct {
		State    string          `json:"state"`
		Document json.RawMessage `json:"document"`
	}{state, json.RawMessage(document)}, nil
}

// lock reads an erasure that the transaction is about to change.
func (s *Store) lock(ctx context.Context, tx sqldb.Tx, c erasure.ControllerID, id erasure.ID) (*erasure.Erasure, error) {
	query := `SELECT ` + columns + ` FROM erasure WHERE controller = $1 AND id = $2` + forUpdate(tx)
	return scan(tx.QueryRow(ctx, query, string(c), string(id)))
}

// forUpdate ends a query for a row that the transaction is about to change.
func forUpdate(tx sqldb.Tx) string {
	if tx.Engine() == sqldb.Postgres { // SQLite's writers are alone in any case
		return ` FOR UPDATE`
	}
	return ""
}

// Take implements erasure.Store.
func (s *Store) Take(ctx context.Context, c erasure.ControllerID, id erasure.ID, now time.Time) (e *erasure.Erasure, ids []erasure.Identifier, err error) {
	err = s.db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
		if e, err = s.lock(ctx, tx, c, id); err != nil {
			return err
		}
		if at, ok := e.NextWork(); !ok || at.After(now) {
			return erasure.ErrNoWork
		}
		e.Fence++
		var wrapped, sealed []byte
		err := tx.QueryRow(ctx, `UPDATE erasure SET fence = $1, next_work = $2 WHERE controller = $3 AND id = $4
			RETURNING wrapped_key, sealed_identifiers`, e.Fence, sqldb.Micros(now.Add(Lease)), string(c), string(id)).Scan(&wrapped, &sealed)
		if err != nil {
			return err
		}
		ids, err = s.unseal(e.Name(), wrapped, sealed)
		return err
	})
	return e, ids, err
}

// Save implements erasure.Store.
func (s *Store) Save(ctx context.Context, change erasure.Change) error {
	e, revision := change.Erasure, change.Erasure.Revision
	err := s.db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
		e.Revision = revision // the transaction may run again
		before, err := s.Recorded(ctx, tx, e.Controller, e.ID)
		if err != nil {
			return err
		}
		if err := s.update(ctx, tx, e, e.Fence, change); err != nil {
			return err
		}
		if err := s.goOn(ctx, tx, e); err != nil {
			return err
		}
		if err := entomb(ctx, tx, e, change.Tombstones); err != nil {
			return err
		}
		outcome, named := outbox.Outcome(change.Event.Outcome), e.SubjectRefs
		if change.Event.Nameless {
			named = nil
		}
		after, err := s.Recorded(ctx, tx, e.Controller, e.ID)
		if err != nil {
			return err
		}
		_, err = s.outbox.Record(ctx, tx, outbox.Event{ID: change.Event.ID, Controller: string(e.Controller), Before: before, After: after,
			Action: change.Event.Action, Kind: kindOf(change.Event.Action), Resource: e.Name(), SubjectRefs: named,
			Outcome: outcome, Reason: change.Event.Reason, Detail: change.Event.Detail})
		return err
	})
	if err == nil && change.DestroyIdentifiers {
		s.scrub(ctx)
	}
	return err
}

func kindOf(action string) outbox.Kind {
	if action == "erasure.execute" || action == "erasure.complete" {
		return outbox.Delete
	}
	return outbox.Modify
}

// update writes an erasure whose row still has the fence, and its next job.
func (s *Store) update(ctx context.Context, tx sqldb.Tx, e *erasure.Erasure, fence int64, change erasure.Change) error {
	document, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("store: document: %w", err)
	}
	before, err := stateOf(ctx, tx, e)
	if err != nil {
		return err
	}
	n, err := tx.Exec(ctx, `UPDATE erasure SET state = $1, fence = $2, revision = revision + 1, next_work = $3, document = $4, update_time = $5
		WHERE controller = $6 AND id = $7 AND fence = $8`,
		string(e.State), e.Fence, nextWork(e), string(document), sqldb.Micros(e.UpdateTime), string(e.Controller), string(e.ID), fence)
	switch {
	case err != nil:
		return err
	case n == 0:
		return erasure.ErrFenced
	}
	e.Revision++
	if err := s.tell(ctx, tx, e, before); err != nil {
		return err
	}
	return s.keep(ctx, tx, e, change)
}

// keep replaces or destroys the sealed identifiers.
func (s *Store) keep(ctx context.Context, tx sqldb.Tx, e *erasure.Erasure, change erasure.Change) error {
	switch {
	case change.DestroyIdentifiers:
		_, err := tx.Exec(ctx, `UPDATE erasure SET wrapped_key = NULL, sealed_identifiers = NULL WHERE controller = $1 AND id = $2`,
			string(e.Controller), string(e.ID))
		return err
	case change.Identifiers != nil:
		var wrapped []byte
		if err := tx.QueryRow(ctx, `SELECT wrapped_key FROM erasure WHERE controller = $1 AND id = $2`,
			string(e.Controller), string(e.ID)).Scan(&wrapped); err != nil {
			return err
		}
		env, err := s.keyring.OpenEnvelope(e.Name(), wrapped)
		if err != nil {
			return err
		}
		sealed, err := seal(env, change.Identifiers)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE erasure SET sealed_identifiers = $1 WHERE controller = $2 AND id = $3`,
			sealed, string(e.Controller), string(e.ID))
		return err
	}
	return nil
}

// entomb leaves a tombstone for each pseudonym, and drops what rosters still hold of the person under it: a user name that can be
// unsealed. Whoever is in the roster all the same comes back with the next extract, and is warned of.
func entomb(ctx context.Context, tx sqldb.Tx, e *erasure.Erasure, refs []string) error {
	for _, ref := range refs {
		_, err := tx.Exec(ctx, `DELETE FROM roster_member WHERE controller = $1 AND subject_ref = $2`, string(e.Controller), ref)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO tombstone (controller, subject_ref, erasure, erase_time) VALUES ($1, $2, $3, $4)
			ON CONFLICT (controller, subject_ref) DO UPDATE SET erasure = excluded.erasure, erase_time = excluded.erase_time`,
			string(e.Controller), ref, string(e.ID), sqldb.Micros(e.VerifyTime))
		if err != nil {
			return err
		}
	}
	return nil
}

// scrub removes what the database still holds of emptied columns outside its tables. A reader may stand in the way; the next
// erasure's scrub, or the periodic one, does it then.
func (s *Store) scrub(ctx context.Context) { _ = s.db.Scrub(ctx) }

// Scrub empties what the database keeps of earlier versions outside its tables.
func (s *Store) Scrub(ctx context.Context) error { return s.db.Scrub(ctx) }
