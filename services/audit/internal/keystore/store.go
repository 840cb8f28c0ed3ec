// Package keystore keeps the keys of people in a database of their own, apart from the log and its index: whoever has a copy of those
// can read nobody in them. It is written once in portable SQL for SQLite and PostgreSQL.
//
// What is deleted must be gone. In SQLite it is overwritten where it stands, in a row that stays (170 bytes of nothing for each key that was destroyed),
// and [Store.Scrub] empties the write-ahead log, so that no file holds it any more. PostgreSQL keeps deleted rows until autovacuum, which is told to come within its minute, and
// their bytes within a page until the page is used again; its write-ahead log keeps them until that is recycled, and archives of it
// as long as they are kept. What stays there is wrapped by the controller's key. Neither engine can overwrite what a file system
// or a disk has moved elsewhere.
package keystore

import (
	"bytes"
	"context"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
	"github.com/privacyops/privacyops/services/audit/internal/keys"
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

// Store implements keys.Store. It is safe for concurrent use.
type Store struct{ db *sqldb.DB }

var _ keys.Store = (*Store)(nil)

// Open brings the schema of db up to date and returns a store on it. Closing db stays with the caller.
func Open(ctx context.Context, db *sqldb.DB) (*Store, error) {
	if err := db.Migrate(ctx, Migrations()); err != nil {
		return nil, fmt.Errorf("keystore: bringing the schema up to date: %w", err)
	}
	return &Store{db: db}, nil
}

// ControllerKey implements keys.Store.
func (s *Store) ControllerKey(ctx context.Context, c audit.ControllerID, fresh []byte, now time.Time) (wrapped []byte, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, q sqldb.Querier) error {
		wrapped, err = controllerKey(ctx, q, c)
		return err
	})
	if !errors.Is(err, sqldb.ErrNoRows) {
		return wrapped, said("reading a controller's key", err)
	}
	err = s.db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO controller_key (controller, wrapped, created_at) VALUES ($1, $2, $3)
			ON CONFLICT (controller) DO UPDATE SET wrapped = excluded.wrapped, created_at = excluded.created_at WHERE controller_key.created_at = 0`, string(c), fresh, sqldb.Micros(now)); err != nil {
			return err
		}
		wrapped, err = controllerKey(ctx, tx, c)
		return err
	})
	return wrapped, said("making a controller's key", err)
}

func controllerKey(ctx context.Context, q sqldb.Querier, c audit.ControllerID) (wrapped []byte, err error) {
	err = q.QueryRow(ctx, `SELECT wrapped FROM controller_key WHERE created_at <> 0 AND controller = $1`, string(c)).Scan(&wrapped)
	return wrapped, err
}

// Find implements keys.Store.
func (s *Store) Find(ctx context.Context, c audit.ControllerID, refs []audit.SubjectRef) (found map[audit.SubjectRef]audit.KeyID, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, q sqldb.Querier) error {
		found, err = find(ctx, q, c, refs)
		return err
	})
	return found, said("looking for keys", err)
}

func find(ctx context.Context, q sqldb.Querier, c audit.ControllerID, refs []audit.SubjectRef) (map[audit.SubjectRef]audit.KeyID, error) {
	out := make(map[audit.SubjectRef]audit.KeyID, len(refs))
	err := inChunks(refs, func(refs []audit.SubjectRef) error {
		args := []any{string(c)}
		for _, ref := range refs {
			args = append(args, string(ref))
		}
		rows, err := q.Query(ctx, `SELECT subject_ref, key_id FROM subject_key WHERE controller = $1 AND subject_ref IN (`+places(2, len(refs))+`)`, args...)
		if err != nil {
			return err
		}
		return each(rows, func() error {
			var ref string
			var raw []byte
			if err := rows.Scan(&ref, &raw); err != nil {
				return err
			}
			id, err := keyID(raw)
			out[audit.SubjectRef(ref)] = id
			return err
		})
	})
	return out, err
}

// Get implements keys.Store.
func (s *Store) Get(ctx context.Context, c audit.ControllerID, ids []audit.KeyID) (found []keys.Row, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, q sqldb.Querier) error {
		found = nil
		return inChunks(unique(ids), func(ids []audit.KeyID) error {
			args := []any{string(c)}
			for _, id := range ids {
				args = append(args, id[:])
			}
			// The controller is no use for finding them: SQLite would read all of its keys for eight of them.
			rows, err := q.Query(ctx, `SELECT key_id, subject_ref, wrapped FROM subject_key WHERE controller || '' = $1 AND `+alive+` AND key_id IN (`+places(2, len(ids))+`)`, args...)
			if err != nil {
				return err
			}
			seen := map[audit.KeyID]bool{}
			return each(rows, func() error {
				row, err := scanRow(rows)
				if err == nil && !seen[row.ID] {
					seen[row.ID], found = true, append(found, row)
				}
				return err
			})
		})
	})
	return found, said("reading keys", err)
}

func scanRow(rows sqldb.Rows) (row keys.Row, err error) {
	var raw []byte
	if err := rows.Scan(&raw, (*string)(&row.Ref), (*taken)(&row.Wrapped)); err != nil {
		return row, err
	}
	row.ID, err = keyID(raw)
	return row, err
}

// taken is what a scan takes away: the driver's own copy is overwritten, so that there is one which its reader can overwrite.
type taken []byte

// Scan implements sql.Scanner.
func (t *taken) Scan(src any) error {
	raw, ok := src.([]byte)
	if !ok {
		return errors.New("keystore: a wrapped key is no bytes")
	}
	*t = bytes.Clone(raw)
	clear(raw)
	return nil
}

// Create implements keys.Store.
func (s *Store) Create(ctx context.Context, c audit.ControllerID, under []byte, whole string, fresh []keys.Fresh) (ids map[audit.SubjectRef]audit.KeyID, err error) {
	err = s.db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
		if err := holdKey(ctx, tx, c, under); err != nil {
			return err
		}
		erased, err := marks(ctx, tx, whole, fresh)
		if err != nil {
			return err
		}
		var wanted []keys.Fresh
		refs := make([]audit.SubjectRef, len(fresh))
		for i, f := range fresh {
			refs[i] = f.Ref
			if !f.Before.After(erased[f.Mark]) || !f.Before.After(erased[whole]) {
				continue
			}
			wanted = append(wanted, f)
		}
		if err := insert(ctx, tx, c, wanted); err != nil {
			return err
		}
		ids, err = find(ctx, tx, c, refs)
		return err
	})
	if errors.Is(err, keys.ErrGone) {
		return nil, keys.ErrGone
	}
	return ids, said("storing keys", err)
}

// holdKey checks that a controller's key is the one that is meant, and keeps it so until the transaction has ended.
func holdKey(ctx context.Context, tx sqldb.Tx, c audit.ControllerID, under []byte) error {
	query := `SELECT wrapped FROM controller_key WHERE controller = $1`
	if tx.Engine() == sqldb.Postgres { // SQLite's writers are alone in any case
		query += ` FOR SHARE`
	}
	var wrapped []byte
	err := tx.QueryRow(ctx, query, string(c)).Scan(&wrapped)
	if errors.Is(err, sqldb.ErrNoRows) || err == nil && string(wrapped) != string(under) {
		return keys.ErrGone
	}
	return err
}

// marks returns since when pseudonyms and the controller are marked, as far as they are.
func marks(ctx context.Context, q sqldb.Querier, whole string, fresh []keys.Fresh) (map[string]time.Time, error) {
	wanted := []string{whole}
	for _, f := range fresh {
		wanted = append(wanted, f.Mark)
	}
	out := map[string]time.Time{}
	err := inChunks(wanted, func(wanted []string) error {
		args := make([]any, len(wanted))
		for i, mark := range wanted {
			args[i] = mark
		}
		rows, err := q.Query(ctx, `SELECT mark, erased_at FROM erased WHERE mark IN (`+places(1, len(wanted))+`)`, args...)
		if err != nil {
			return err
		}
		return each(rows, func() error {
			var mark string
			var at int64
			err := rows.Scan(&mark, &at)
			out[mark] = sqldb.Time(at)
			return err
		})
	})
	return out, err
}

// insert stores keys of pseudonyms that have none.
func insert(ctx context.Context, tx sqldb.Tx, c audit.ControllerID, fresh []keys.Fresh) error {
	for len(fresh) > 0 {
		n := 1
		for 2*n <= min(len(fresh), mostPlaces) {
			n *= 2
		}
		var values []string
		var args []any
		for i, f := range fresh[:n] {
			values = append(values, fmt.Sprintf("($%d, $%d, $%d, $%d)", 4*i+1, 4*i+2, 4*i+3, 4*i+4))
			args = append(args, f.ID[:], string(c), string(f.Ref), f.Wrapped)
		}
		if _, err := tx.Exec(ctx, `INSERT INTO subject_key (key_id, controller, subject_ref, wrapped) VALUES `+strings.Join(values, ", ")+
			` ON CONFLICT (controller, subject_ref) DO NOTHING`, args...); err != nil {
			return err
		}
		fresh = fresh[n:]
	}
	return nil
}

// mostPlaces is how many values one statement takes. It and the lower powers of two are the only numbers, so that there are few
// different statements and the engines keep them prepared.
const mostPlaces = 128

// inChunks calls fn with parts of a list, each as long as a power of two; the last value of the list may come more than once.
func inChunks[T any](list []T, fn func([]T) error) error {
	for len(list) > 0 {
		n := min(len(list), mostPlaces)
		part := append([]T(nil), list[:n]...)
		size := 1
		for size < n {
			size *= 2
		}
		for len(part) < size {
			part = append(part, part[n-1])
		}
		if err := fn(part); err != nil {
			return err
		}
		list = list[n:]
	}
	return nil
}

// places writes n placeholders from a number on.
func places(from, n int) string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("$%d", from+i)
	}
	return strings.Join(out, ", ")
}

// each calls fn for each row and closes them.
func each(rows sqldb.Rows, fn func() error) error {
	defer rows.Close() // what matters is Err
	for rows.Next() {
		if err := fn(); err != nil {
			return err
		}
	}
	return rows.Err()
}

func unique(ids []audit.KeyID) []audit.KeyID {
	seen := make(map[audit.KeyID]bool, len(ids))
	var out []audit.KeyID
	for _, id := range ids {
		if !seen[id] {
			seen[id], out = true, append(out, id)
		}
	}
	return out
}

func keyID(raw []byte) (id audit.KeyID, err error) {
	if len(raw) != len(id) {
		return id, errors.New("keystore: the id of a key has another length")
	}
	return audit.KeyID(raw), nil
}

// said tells what an error was met at.
func said(at string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("keystore: %s: %w", at, err)
}

// joined and parted write ids as one text and read it.
func joined(ids []audit.KeyID) string {
	out := make([]byte, 0, len(ids)*16)
	for _, id := range ids {
		out = append(out, id[:]...)
	}
	return hex.EncodeToString(out)
}

func parted(text string) ([]audit.KeyID, error) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw)%16 != 0 {
		return nil, errors.New("keystore: a list of ids cannot be read")
	}
	var out []audit.KeyID
	for ; len(raw) > 0; raw = raw[16:] {
		out = append(out, audit.KeyID(raw[:16]))
	}
	return out, nil
}
