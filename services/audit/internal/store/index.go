package store

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

// Window implements audit.Index.
func (s *Store) Window(ctx context.Context, from uint64, limit int) ([]audit.Row, error) {
	var rows []audit.Row
	err := s.db.Read(ctx, func(ctx context.Context, q sqldb.Querier) (err error) {
		rows, err = collect(ctx, q, scanRow, `SELECT position, leaf, event_id, controller, controller_sequence, received_at, service, action, kind,
			actor_ref, resource, outcome, trace_id, decisions FROM entry WHERE position >= $1 ORDER BY position LIMIT $2`, int64(from), limit)
		if err != nil || len(rows) == 0 {
			return err
		}
		return addKeys(ctx, q, rows)
	})
	if err != nil {
		return nil, fmt.Errorf("store: reading rows: %w", err)
	}
	return rows, nil
}

func scanRow(rows sqldb.Rows) (r audit.Row, err error) {
	var index, sequence, received, decisions int64
	k := &r.Keys
	err = rows.Scan(&index, &r.Leaf, (*string)(&k.ID), (*string)(&k.Controller), &sequence, &received,
		&k.Service, &k.Action, (*string)(&k.Kind), &k.ActorRef, &k.Resource, (*string)(&k.Outcome), &k.TraceID, &decisions)
	r.Index, k.ControllerSequence, k.ReceivedTime, k.Decisions = uint64(index), uint64(sequence), sqldb.Time(received), int(decisions)
	return r, err
}

// addKeys puts the keys of other tables into the rows that they belong to.
func addKeys(ctx context.Context, q sqldb.Querier, rows []audit.Row) error {
	at := make(map[int64]*audit.Keys, len(rows))
	for i := range rows {
		at[int64(rows[i].Index)] = &rows[i].Keys
	}
	between := []any{int64(rows[0].Index), int64(rows[len(rows)-1].Index)}
	err := each(ctx, q, func(r sqldb.Rows) error { return addPerson(r, at) },
		`SELECT position, person FROM entry_person WHERE position >= $1 AND position <= $2`, between...)
	if err == nil {
		err = each(ctx, q, func(r sqldb.Rows) error { return addMarks(r, at) },
			`SELECT position, controller, received_at, people FROM entry_people WHERE position >= $1 AND position <= $2`, between...)
	}
	if err == nil {
		err = each(ctx, q, func(r sqldb.Rows) error { return addRange(r, at) },
			`SELECT position, controller, first_id, last_id FROM entry_decisions WHERE position >= $1 AND position <= $2 ORDER BY first_id, last_id`, between...)
	}
	for i := range rows {
		slices.SortFunc(rows[i].Keys.People, func(a, b audit.KeyID) int { return bytes.Compare(a[:], b[:]) })
	}
	return err
}

// addPerson adds a person to a row's keys. An id of another length becomes one that nobody has.
func addPerson(rows sqldb.Rows, at map[int64]*audit.Keys) error {
	var position int64
	var person []byte
	if err := rows.Scan(&position, &person); err != nil {
		return err
	}
	id := audit.KeyID{}
	if len(person) == len(id) {
		copy(id[:], person)
	}
	if k := at[position]; k != nil {
		k.People = append(k.People, id)
	}
	return nil
}

// addMarks adds the people of decisions to a row's keys. Those that stand under another controller or time than their entry's
// would not be found, and are not the row's.
func addMarks(rows sqldb.Rows, at map[int64]*audit.Keys) error {
	var position, received int64
	var controller audit.ControllerID
	var marks []byte
	if err := rows.Scan(&position, (*string)(&controller), &received, &marks); err != nil {
		return err
	}
	if k := at[position]; k != nil && k.Controller == controller && sqldb.Micros(k.ReceivedTime) == received {
		k.Marks = marks
	}
	return nil
}

// addRange adds a range of ids to a row's keys, unless it stands under another controller than the row.
func addRange(rows sqldb.Rows, at map[int64]*audit.Keys) error {
	var position int64
	var controller audit.ControllerID
	var first, last []byte
	if err := rows.Scan(&position, (*string)(&controller), &first, &last); err != nil {
		return err
	}
	r := audit.IDRange{}
	copy(r.First[:], first)
	copy(r.Last[:], last)
	if k := at[position]; k != nil && k.Controller == controller {
		k.IDRanges = append(k.IDRanges, r)
	}
	return nil
}

// Strays implements audit.Index. Rows of the other tables cannot stand alone: they refer to those of entries.
func (s *Store) Strays(ctx context.Context) (count uint64, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, q sqldb.Querier) error {
		var n int64
		err := q.QueryRow(ctx, `SELECT count(*) FROM entry WHERE position < 0
			OR position < (SELECT COALESCE(MAX(end_position), 0) FROM tombstone)`).Scan(&n)
		count = uint64(n)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("store: looking for stray rows: %w", err)
	}
	return count, nil
}
