package sqlmap

import (
	"context"
	"database/sql"

	"github.com/privacyops/privacyops/services/participant/internal/participant"
)

// target is a row that an erasure deals with: its key, and the cell of the column
// that its path starts with, both encoded.
type target struct{ key, link []byte }

// record adds targets of a dataset. One that was done already is there again and is
// opened again. Rows that are kept are recorded as done: other datasets yield to them.
func (l *ledger) record(ctx context.Context, request, dataset string, rows []target, kept bool) error {
	done := 0
	if kept {
		done = 1
	}
	return l.write(ctx, func(tx *sql.Tx) error {
		for _, r := range rows {
			err := execute(ctx, tx, []string{`INSERT INTO erasure_row (request, dataset, key, link, done) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (request, dataset, key) DO UPDATE SET done = excluded.done, link = excluded.link WHERE erasure_row.done = 1`},
				request, dataset, r.key, r.link, done)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// parents adds values that the first joins of a dataset's targets point at.
func (l *ledger) parents(ctx context.Context, request, dataset string, values [][]byte) error {
	return l.write(ctx, func(tx *sql.Tx) error {
		for _, v := range values {
			err := execute(ctx, tx, []string{`INSERT INTO erasure_parent (request, dataset, value) VALUES ($1, $2, $3)
ON CONFLICT DO NOTHING`}, request, dataset, v)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// people adds the person's own rows.
func (l *ledger) people(ctx context.Context, request string, key []byte, guards []string) error {
	return l.write(ctx, func(tx *sql.Tx) error {
		for _, g := range guards {
			err := execute(ctx, tx, []string{`INSERT INTO erasure_person (request, key, guard) VALUES ($1, $2, $3)
ON CONFLICT DO NOTHING`}, request, key, g)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// personKeys returns the recorded keys, each with its guards.
func (l *ledger) personKeys(ctx context.Context, request string) (map[string][]string, error) {
	out := map[string][]string{}
	err := scan(ctx, l.db, `SELECT key, guard FROM erasure_person WHERE request = $1`, []any{request}, func(read func(...any) error) error {
		var key []byte
		var guard string
		err := read(&key, &guard)
		out[string(key)] = append(out[string(key)], guard)
		return err
	})
	return out, failed("reading the ledger", err)
}

// yield leaves to dataset winner the rows that dataset reaches as well; both are on
// the same table.
func (l *ledger) yield(ctx context.Context, request, dataset, winner string) error {
	return execute(ctx, l.db, []string{`UPDATE erasure_row SET done = 2 WHERE request = $1 AND dataset = $2 AND done <> 2 AND EXISTS
(SELECT 1 FROM erasure_row w WHERE w.request = $1 AND w.dataset = $3 AND w.key = erasure_row.key)`}, request, dataset, winner)
}

// idle notes how many located rows of a dataset are no targets.
func (l *ledger) idle(ctx context.Context, request, dataset string, rows int64) error {
	return execute(ctx, l.db, []string{`UPDATE erasure_dataset SET idle = $1 WHERE request = $2 AND dataset = $3`}, rows, request, dataset)
}

// share notes which types of identifiers belonged to several people at the beginning.
func (l *ledger) share(ctx context.Context, request, types string) error {
	return execute(ctx, l.db, []string{`UPDATE erasure SET shared_types = $1 WHERE request = $2`}, types, request)
}

// sharedTypes returns what share noted, empty for an unknown request.
func (l *ledger) sharedTypes(ctx context.Context, request string) (string, error) {
	var types string
	err := scan(ctx, l.db, `SELECT shared_types FROM erasure WHERE request = $1`, []any{request},
		func(read func(...any) error) error { return read(&types) })
	return types, failed("reading the ledger", err)
}

// complete writes the counts of all datasets and moves the request to done.
func (l *ledger) complete(ctx context.Context, request string) error {
	return l.write(ctx, func(tx *sql.Tx) error {
		return execute(ctx, tx, []string{
			`UPDATE erasure_dataset SET
  located = idle + (SELECT count(*) FROM erasure_row r WHERE r.request = $1 AND r.dataset = erasure_dataset.dataset),
  handled = (SELECT count(*) FROM erasure_row r WHERE r.request = $1 AND r.dataset = erasure_dataset.dataset AND r.done = 1)
 WHERE request = $1 AND action <> 'KEEP'`,
			`UPDATE erasure_dataset SET located = idle, handled = idle WHERE request = $1 AND action = 'KEEP'`,
			`UPDATE erasure SET state = 'DONE' WHERE request = $1`,
		}, request)
	})
}

// chunkOf returns up to chunk targets of a dataset with a key above after, only those
// that are not done when open is set.
func (l *ledger) chunkOf(ctx context.Context, request, dataset string, after []byte, open bool) ([]target, error) {
	query := `SELECT key, link FROM erasure_row WHERE request = $1 AND dataset = $2 AND key > $3 AND done <> 2 ORDER BY key LIMIT $4`
	if open {
		query = `SELECT key, link FROM erasure_row WHERE request = $1 AND dataset = $2 AND key > $3 AND done = 0 ORDER BY key LIMIT $4`
	}
	if after == nil {
		after = []byte{}
	}
	var out []target
	err := scan(ctx, l.db, query, []any{request, dataset, after, chunk}, func(read func(...any) error) error {
		var t target
		err := read(&t.key, &t.link)
		out = append(out, t)
		return err
	})
	return out, failed("reading the ledger", err)
}

// has reports whether a row is recorded for a dataset.
func (l *ledger) has(ctx context.Context, request, dataset string, key []byte) (bool, error) {
	var found bool
	err := l.db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM erasure_row WHERE request = $1 AND dataset = $2 AND key = $3)`,
		request, dataset, key).Scan(&found)
	return found, failed("reading the ledger", err)
}

// parentChunk returns up to chunk parent values of a dataset above after.
func (l *ledger) parentChunk(ctx context.Context, request, dataset string, after []byte) ([][]byte, error) {
	if after == nil {
		after = []byte{}
	}
	var out [][]byte
	err := scan(ctx, l.db, `SELECT value FROM erasure_parent WHERE request = $1 AND dataset = $2 AND value > $3 ORDER BY value LIMIT $4`,
		[]any{request, dataset, after, chunk}, func(read func(...any) error) error {
			var v []byte
			err := read(&v)
			out = append(out, v)
			return err
		})
	return out, failed("reading the ledger", err)
}

// finish marks all targets of a dataset as done.
func (l *ledger) finish(ctx context.Context, request, dataset string) error {
	return execute(ctx, l.db, []string{`UPDATE erasure_row SET done = 1 WHERE request = $1 AND dataset = $2 AND done = 0`}, request, dataset)
}

// open counts the targets that are not done, but for those of one dataset.
func (l *ledger) open(ctx context.Context, request, except string) (int64, error) {
	var n int64
	err := l.db.QueryRowContext(ctx, `SELECT count(*) FROM erasure_row WHERE request = $1 AND dataset <> $2 AND done = 0`,
		request, except).Scan(&n)
	return n, failed("reading the ledger", err)
}

// actions returns the action of each dataset of a request.
func (l *ledger) actions(ctx context.Context, request string) (map[string]participant.Action, error) {
	out := map[string]participant.Action{}
	err := scan(ctx, l.db, `SELECT dataset, action FROM erasure_dataset WHERE request = $1`, []any{request}, func(read func(...any) error) error {
		var name, action string
		err := read(&name, &action)
		out[name] = participant.Action(action)
		return err
	})
	return out, failed("reading the ledger", err)
}

// result returns the counts of a request.
func (l *ledger) result(ctx context.Context, request string) (map[string]participant.ErasedDataset, error) {
	out := map[string]participant.ErasedDataset{}
	err := scan(ctx, l.db, `SELECT dataset, action, located, handled FROM erasure_dataset WHERE request = $1`, []any{request},
		func(read func(...any) error) error {
			var d participant.ErasedDataset
			var action string
			var handled int64
			err := read(&d.Dataset, &action, &d.Located, &handled)
			switch participant.Action(action) {
			case participant.Erase:
				d.Erased = handled
			case participant.Anonymise:
				d.Anonymised = handled
			case participant.Keep:
				d.Kept = d.Located
			}
			d.Unchanged = d.Located - d.Erased - d.Anonymised - d.Kept
			out[d.Dataset] = d
			return err
		})
	return out, failed("reading the ledger", err)
}
