package store

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

// removeRows is how many entries' rows are removed in one transaction: others write between them.
const removeRows = 5000

var _ audit.RetentionIndex = (*Store)(nil)

// Numbers implements audit.RetentionIndex.
func (s *Store) Numbers(ctx context.Context, end uint64) (map[audit.ControllerID]uint64, error) {
	var heads []head
	err := s.db.Read(ctx, func(ctx context.Context, q sqldb.Querier) (err error) {
		heads, err = collect(ctx, q, func(rows sqldb.Rows) (c head, err error) {
			err = rows.Scan((*string)(&c.controller), &c.sequence)
			return c, err
		}, `SELECT controller, MAX(controller_sequence) FROM entry WHERE position < $1 GROUP BY controller`, int64(end))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("store: reading the numbers of a shard: %w", err)
	}
	out := make(map[audit.ControllerID]uint64, len(heads))
	for _, h := range heads {
		out[h.controller] = uint64(h.sequence)
	}
	return out, nil
}

// Drop implements audit.RetentionIndex.
func (s *Store) Drop(ctx context.Context, t audit.Tombstone) error {
	first, end := int64(t.First), int64(t.After())
	var oldest, removed int64
	err := s.db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO tombstone (first_position, end_position) VALUES ($1, $2) ON CONFLICT (first_position) DO NOTHING`, first, end); err != nil {
			return err
		}
		for _, c := range slices.Sorted(maps.Keys(t.Numbers)) {
			if _, err := tx.Exec(ctx, `INSERT INTO controller_head (controller, sequence) VALUES ($1, $2)
				ON CONFLICT (controller) DO UPDATE SET sequence = excluded.sequence WHERE controller_head.sequence < excluded.sequence`, string(c), int64(t.Numbers[c])); err != nil {
				return err
			}
		}
		if err := tx.QueryRow(ctx, `SELECT COALESCE(MIN(position), -1) FROM entry WHERE position >= 0`).Scan(&oldest); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `SELECT COALESCE(MAX(position), 0) FROM removal`).Scan(&removed)
	})
	for at := max(oldest, removed); err == nil && oldest >= 0 && oldest < end && at < end; {
		at = min(at+removeRows, end)
		err = s.db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO removal (position) VALUES ($1)`, at)
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("store: removing the rows of a shard: %w", err)
	}
	return nil
}
