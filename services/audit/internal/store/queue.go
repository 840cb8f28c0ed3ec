package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

// Pending implements audit.Queue.
func (s *Store) Pending(ctx context.Context, limit int) ([]audit.Queued, error) {
	var out []audit.Queued
	err := s.db.Read(ctx, func(ctx context.Context, q sqldb.Querier) (err error) {
		out, err = collect(ctx, q, scanQueued, `SELECT e.event_id, e.leaf FROM queue q JOIN entry e ON e.position = q.position
			ORDER BY q.position LIMIT $1`, limit)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("store: reading the queue: %w", err)
	}
	return out, nil
}

func scanQueued(rows sqldb.Rows) (q audit.Queued, err error) {
	err = rows.Scan((*string)(&q.ID), &q.Leaf)
	return q, err
}

// Place implements audit.Queue.
func (s *Store) Place(ctx context.Context, placements []audit.Placement) error {
	err := s.db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
		next, err := nextIndex(ctx, tx)
		if err != nil {
			return err
		}
		for _, p := range placements {
			if next, err = placeOne(ctx, tx, next, p); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("store: noting places: %w", err)
	}
	return nil
}

// placeOne notes a placement and returns the next free index.
func placeOne(ctx context.Context, tx sqldb.Tx, next uint64, p audit.Placement) (uint64, error) {
	position, placed, err := whereIs(ctx, tx, p.ID)
	switch {
	case err != nil:
		return next, err
	case placed >= 0 && uint64(placed) == p.Index:
		return next, nil // noted before
	case placed >= 0:
		return next, fmt.Errorf("%w: the entry for index %d is noted at index %d", audit.ErrDiverged, p.Index, placed)
	case p.Index < next:
		return next, fmt.Errorf("%w: index %d is noted for another entry", audit.ErrDiverged, p.Index)
	case p.Index > next:
		return next, fmt.Errorf("%w: index %d comes before %d", audit.ErrDiverged, next, p.Index)
	}
	return next + 1, take(ctx, tx, position, p.Index)
}

// whereIs returns the position of an entry and its index in the log, -1 while it has none.
func whereIs(ctx context.Context, tx sqldb.Tx, id audit.EventID) (position, index int64, err error) {
	err = tx.QueryRow(ctx, `SELECT e.position, COALESCE(p.log_index, -1) FROM entry e
		LEFT JOIN placement p ON p.position = e.position WHERE e.event_id = $1`, string(id)).Scan(&position, &index)
	if errors.Is(err, sqldb.ErrNoRows) {
		err = audit.ErrNotFound
	}
	return position, index, err
}

// take gives an index to the entry at a position and takes it off the queue.
func take(ctx context.Context, tx sqldb.Tx, position int64, index uint64) error {
	if _, err := tx.Exec(ctx, `INSERT INTO placement (log_index, position) VALUES ($1, $2)`, int64(index), position); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `DELETE FROM queue WHERE position = $1`, position)
	return err
}

// Placed implements audit.Queue.
func (s *Store) Placed(ctx context.Context) (next uint64, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, q sqldb.Querier) error {
		next, err = nextIndex(ctx, q)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("store: reading the end of the index: %w", err)
	}
	return next, nil
}

// nextIndex is the first index that is not taken. Place and Adopt leave no gaps, so it follows the largest.
func nextIndex(ctx context.Context, q sqldb.Querier) (uint64, error) {
	var next int64
	err := q.QueryRow(ctx, `SELECT COALESCE(MAX(log_index) + 1, 0) FROM placement`).Scan(&next)
	return uint64(next), err
}

// Adopt implements audit.Queue.
func (s *Store) Adopt(ctx context.Context, index uint64, entry audit.Entry) error {
	err := s.db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
		next, err := nextIndex(ctx, tx)
		if err != nil {
			return err
		}
		if index != next {
			return fmt.Errorf("%w: index %d cannot follow %d", audit.ErrDiverged, index, next)
		}
		return adopt(ctx, tx, index, entry)
	})
	if sqldb.IsUniqueViolation(err) {
		err = fmt.Errorf("%w: the entry's number %d is taken", audit.ErrDiverged, entry.ControllerSequence)
	}
	if err != nil {
		return fmt.Errorf("store: taking over an entry: %w", err)
	}
	return nil
}

func adopt(ctx context.Context, tx sqldb.Tx, index uint64, entry audit.Entry) error {
	heads, err := openHeads(ctx, tx)
	if err != nil {
		return err
	}
	if _, err := heads.nextSequence(ctx, tx, entry.Controller); err != nil {
		return err
	}
	isNew, err := insertEntry(ctx, tx, heads.nextPosition, entry)
	if err != nil {
		return err
	}
	if !isNew {
		return fmt.Errorf("%w: the event of index %d is known", audit.ErrDiverged, index)
	}
	if err := take(ctx, tx, heads.nextPosition, index); err != nil {
		return err
	}
	heads.advance(entry)
	return heads.save(ctx, tx)
}
