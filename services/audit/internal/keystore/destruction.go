package keystore

import (
	"context"
	"fmt"
	"time"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
	"github.com/privacyops/privacyops/services/audit/internal/keys"
)

// Destroy implements keys.Store.
func (s *Store) Destroy(ctx context.Context, d keys.Destruction, people []keys.Marked) (keys.Destruction, error) {
	done := d
	err := s.db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) (err error) {
		done = d
		var there bool
		if d.Whole {
			done.Count, there, err = deleteController(ctx, tx, d.Controller)
		} else {
			done.Keys, err = deleteSubjects(ctx, tx, d.Controller, people)
			done.Count, there = len(done.Keys), len(done.Keys) > 0
		}
		if err != nil {
			return err
		}
		if err := mark(ctx, tx, people, d.Time); err != nil {
			return err
		}
		if !there {
			done.Event = ""
			return nil
		}
		return note(ctx, tx, done, false)
	})
	return done, said("destroying keys", err)
}

// deleteSubjects deletes the keys of people and returns their ids.
func deleteSubjects(ctx context.Context, tx sqldb.Tx, c audit.ControllerID, people []keys.Marked) (ids []audit.KeyID, err error) {
	for _, p := range people {
		rows, err := tx.Query(ctx, deleting(tx)+`controller = $1 AND subject_ref = $2 RETURNING key_id`, string(c), string(p.Ref))
		if err != nil {
			return nil, err
		}
		if err := each(rows, func() error {
			var raw []byte
			if err := rows.Scan(&raw); err != nil {
				return err
			}
			id, err := keyID(raw)
			ids = append(ids, id)
			return err
		}); err != nil {
			return nil, err
		}
	}
	return ids, nil
}

// A key that is deleted in SQLite stays as a row of the same length, of zeros and under a name that is no pseudonym (deadRef), and what looks for keys leaves
// it out (alive). SQLite overwrites what it deletes, but where deleting leaves a page nearly empty it moves the rows around it to other pages, and
// does not overwrite where they stood: keys that are destroyed later would be left there. Rows that are only added at the end and
// overwritten where they stand never move.
const (
	alive   = `substr(subject_ref, 1, 4) <> 'key_'`
	deadRef = `'key_' || lower(hex(key_id)) || substr(hex(zeroblob(32)), 1, max(length(subject_ref) - 36, 0))`
)

// deleting is how a statement begins that deletes keys, before its condition.
func deleting(tx sqldb.Tx) string {
	if tx.Engine() == sqldb.SQLite {
		return `UPDATE subject_key SET wrapped = zeroblob(length(wrapped)), subject_ref = ` + deadRef + ` WHERE ` + alive + ` AND `
	}
	return `DELETE FROM subject_key WHERE `
}

// deleteController deletes a controller's key, so that no more are made under it, and those under it. It returns how many these were.
func deleteController(ctx context.Context, tx sqldb.Tx, c audit.ControllerID) (under int, there bool, err error) {
	if _, err := tx.Exec(ctx, `DELETE FROM termination_approval WHERE controller = $1`, string(c)); err != nil {
		return 0, false, err
	}
	statement := `DELETE FROM controller_key WHERE controller = $1`
	if tx.Engine() == sqldb.SQLite { // as with the keys under it
		statement = `UPDATE controller_key SET wrapped = zeroblob(length(wrapped)), created_at = 0 WHERE created_at <> 0 AND controller = $1`
	}
	n, err := tx.Exec(ctx, statement, string(c))
	if err != nil {
		return 0, false, err
	}
	m, err := tx.Exec(ctx, deleting(tx)+`controller = $1`, string(c))
	return int(m), n+m > 0, err
}

// mark notes that people are erased. A later destruction counts.
func mark(ctx context.Context, tx sqldb.Tx, people []keys.Marked, at time.Time) error {
	for _, p := range people {
		if _, err := tx.Exec(ctx, `INSERT INTO erased (mark, erased_at) VALUES ($1, $2)
			ON CONFLICT (mark) DO UPDATE SET erased_at = excluded.erased_at WHERE erased.erased_at < excluded.erased_at`,
			p.Mark, sqldb.Micros(at)); err != nil {
			return err
		}
	}
	return nil
}

// note stores a destruction, or that it is recorded.
func note(ctx context.Context, tx sqldb.Tx, d keys.Destruction, recorded bool) error {
	_, err := tx.Exec(ctx, `INSERT INTO destruction (event_id, controller, resource, service, key_ids, whole, keys, destroyed_at, recorded)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (event_id) DO UPDATE SET recorded = excluded.recorded`,
		string(d.Event), string(d.Controller), d.Resource, d.Cause.Service, joined(d.Keys), sqldb.Bool(d.Whole), d.Count, sqldb.Micros(d.Time), sqldb.Bool(recorded))
	return err
}

// Recorded implements keys.Store.
func (s *Store) Recorded(ctx context.Context, d keys.Destruction) error {
	return said("noting a destruction", s.db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error { return note(ctx, tx, d, true) }))
}

// Scrub implements keys.Store.
func (s *Store) Scrub(ctx context.Context) error {
	if err := s.db.Scrub(ctx); err != nil {
		return fmt.Errorf("keystore: emptying the write-ahead log: %w", err)
	}
	return nil
}

// ScrubMemory implements keys.Store.
func (s *Store) ScrubMemory(ctx context.Context) error {
	return said("overwriting what the engine remembers", s.db.ScrubMemory(ctx))
}

// Unrecorded implements keys.Store.
func (s *Store) Unrecorded(ctx context.Context) (out []keys.Destruction, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, q sqldb.Querier) error {
		out = nil
		rows, err := q.Query(ctx, `SELECT event_id, controller, resource, service, key_ids, whole, keys, destroyed_at
			FROM destruction WHERE recorded = 0 ORDER BY destroyed_at`)
		if err != nil {
			return err
		}
		return each(rows, func() error {
			d, err := scanDestruction(rows)
			out = append(out, d)
			return err
		})
	})
	return out, said("looking for destructions", err)
}

func scanDestruction(rows sqldb.Rows) (d keys.Destruction, err error) {
	var ids string
	var whole, count, at int64
	if err := rows.Scan((*string)(&d.Event), (*string)(&d.Controller), &d.Resource, &d.Cause.Service, &ids, &whole, &count, &at); err != nil {
		return d, err
	}
	d.Whole, d.Count, d.Time = sqldb.Truth(whole), int(count), sqldb.Time(at)
	d.Keys, err = parted(ids)
	return d, err
}

// Known implements keys.Store.
func (s *Store) Known(ctx context.Context, event audit.EventID) (known bool, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, q sqldb.Querier) error {
		var n int64
		err := q.QueryRow(ctx, `SELECT count(*) FROM destruction WHERE event_id = $1`, string(event)).Scan(&n)
		known = n > 0
		return err
	})
	return known, said("looking for a destruction", err)
}

// Controllers implements keys.Store.
func (s *Store) Controllers(ctx context.Context) (out []audit.ControllerID, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, q sqldb.Querier) error {
		out = nil
		rows, err := q.Query(ctx, `SELECT controller FROM controller_key WHERE created_at <> 0 ORDER BY controller`)
		if err != nil {
			return err
		}
		return each(rows, func() error {
			var c string
			err := rows.Scan(&c)
			out = append(out, audit.ControllerID(c))
			return err
		})
	})
	return out, said("listing controllers", err)
}

// Unmark implements keys.Store.
func (s *Store) Unmark(ctx context.Context, before time.Time) error {
	return said("dropping old marks", s.db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
		_, err := tx.Exec(ctx, `DELETE FROM erased WHERE erased_at < $1`, sqldb.Micros(before))
		return err
	}))
}
