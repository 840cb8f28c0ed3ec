package keystore

import (
	"context"
	"errors"
	"time"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
	"github.com/privacyops/privacyops/services/audit/internal/keys"
)

// rewrappedAtOnce is how many keys are read before they are written again.
const rewrappedAtOnce = 256

// Rewrap implements keys.Store.
func (s *Store) Rewrap(ctx context.Context, c audit.ControllerID, old, fresh []byte, rewrap func(keys.Row) ([]byte, error)) (n int, err error) {
	err = s.db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
		n = 0
		done, err := tx.Exec(ctx, `UPDATE controller_key SET wrapped = $1 WHERE controller = $2 AND wrapped = $3`, fresh, string(c), old)
		if err != nil {
			return err
		}
		if done == 0 {
			return keys.ErrGone
		}
		for last := []byte{}; ; {
			rows, err := page(ctx, tx, c, last)
			if err != nil || len(rows) == 0 {
				return err
			}
			for _, row := range rows {
				wrapped, err := rewrap(row)
				if err == nil {
					_, err = tx.Exec(ctx, `UPDATE subject_key SET wrapped = $1 WHERE key_id = $2 AND controller = $3`, wrapped, row.ID[:], string(c))
				}
				clear(wrapped)
				clear(row.Wrapped)
				if err != nil {
					return err
				}
			}
			n += len(rows)
			id := rows[len(rows)-1].ID
			last = id[:]
		}
	})
	if errors.Is(err, keys.ErrGone) {
		return 0, keys.ErrGone
	}
	return n, said("wrapping keys anew", err)
}

// page reads keys of a controller in the order of their ids, from behind one on.
func page(ctx context.Context, q sqldb.Querier, c audit.ControllerID, after []byte) (out []keys.Row, err error) {
	rows, err := q.Query(ctx, `SELECT key_id, subject_ref, wrapped FROM subject_key WHERE controller = $1 AND `+alive+` AND key_id > $2 ORDER BY key_id LIMIT $3`,
		string(c), after, rewrappedAtOnce)
	if err != nil {
		return nil, err
	}
	err = each(rows, func() error {
		row, err := scanRow(rows)
		out = append(out, row)
		return err
	})
	return out, err
}

// Approve implements keys.Store.
func (s *Store) Approve(ctx context.Context, c audit.ControllerID, actor string, now, lapsed time.Time) (since []time.Time, err error) {
	err = s.db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
		since = nil
		if _, err := tx.Exec(ctx, `DELETE FROM termination_approval WHERE controller = $1 AND approved_at <= $2`, string(c), sqldb.Micros(lapsed)); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO termination_approval (controller, actor, approved_at) VALUES ($1, $2, $3)
			ON CONFLICT (controller, actor) DO NOTHING`, string(c), actor, sqldb.Micros(now)); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `SELECT approved_at FROM termination_approval WHERE controller = $1 ORDER BY approved_at`, string(c))
		if err != nil {
			return err
		}
		return each(rows, func() error {
			var at int64
			err := rows.Scan(&at)
			since = append(since, sqldb.Time(at))
			return err
		})
	})
	return since, said("noting an approval", err)
}
