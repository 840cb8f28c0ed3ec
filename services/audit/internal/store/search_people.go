package store

import (
	"context"
	"slices"
	"strings"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

// positionsAbout returns the places of the next entries of a search that name its people, or have a decision that may: the newest
// first, at most limit. The two kinds of entries are found in two ways and merged: within a controller places, numbers and times
// run the same way.
func positionsAbout(ctx context.Context, q sqldb.Querier, query audit.Query, people []audit.KeyID, limit int) ([]int64, error) {
	text, args := personSQL(query, people, limit)
	single, err := collect(ctx, q, func(rows sqldb.Rows) (position int64, err error) {
		err = rows.Scan(&position)
		return position, err
	}, text, args...)
	if err != nil {
		return nil, err
	}
	batches, err := markedPositions(ctx, q, query, people, limit)
	if err != nil {
		return nil, err
	}
	all := append(single, batches...)
	slices.SortFunc(all, func(a, b int64) int { return int(b - a) })
	return all[:min(len(all), limit)], nil
}

// stretches are those of the log that have people: the index by person is one for each. SQLite takes the tables of a CROSS JOIN in the
// order in which they stand.
const stretches = `WITH RECURSIVE stretches (n) AS (SELECT MIN(position) / 131072 FROM entry_person
	UNION ALL SELECT n + 1 FROM stretches WHERE n < (SELECT MAX(position) / 131072 FROM entry_person)) `

// personSQL finds single events: from the few of each person.
func personSQL(query audit.Query, people []audit.KeyID, limit int) (string, []any) {
	var s statement
	ids := make([]string, len(people))
	for i, p := range people {
		ids[i] = s.bind(p[:])
	}
	s.bounds(query)
	s.filter(query.Filter)
	s.where("e.position = s.position")
	return stretches + "SELECT e.position FROM (SELECT DISTINCT p.position FROM stretches CROSS JOIN entry_person p WHERE p.position / 131072 = stretches.n " +
		"AND p.person IN (" + strings.Join(ids, ", ") + ")) s CROSS JOIN entry e WHERE " + strings.Join(s.conditions, " AND ") +
		" ORDER BY e.position DESC LIMIT " + s.bind(limit), s.args
}

// markedPositions finds batches: it looks through the marks of the controller's, from the newest on.
func markedPositions(ctx context.Context, q sqldb.Querier, query audit.Query, people []audit.KeyID, limit int) ([]int64, error) {
	text, args := marksSQL(query)
	rows, err := q.Query(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close() // what matters is Err
	var out []int64
	for len(out) < limit && rows.Next() {
		var position int64
		var marks []byte
		if err := rows.Scan(&position, &marks); err != nil {
			return nil, err
		}
		if audit.Marked(marks, people) {
			out = append(out, position)
		}
	}
	return out, rows.Err()
}

// marksSQL reads the marks of a controller's batches. An entry of the cursor's time may be before or behind it; its number says which.
func marksSQL(query audit.Query) (string, []any) {
	var s statement
	s.where("m.controller = " + s.bind(string(query.Controller)))
	if !query.Start.IsZero() {
		s.where("m.received_at >= " + s.bind(sqldb.Micros(ceilMicros(query.Start))))
	}
	if !query.End.IsZero() {
		s.where("m.received_at < " + s.bind(sqldb.Micros(ceilMicros(query.End))))
	}
	if !query.After.IsZero() {
		s.where("m.received_at <= " + s.bind(sqldb.Micros(query.After.ReceivedTime)))
	}
	s.bounds(query)
	s.filter(query.Filter)
	return "SELECT m.position, m.people FROM entry_people m JOIN entry e ON e.position = m.position WHERE " +
		strings.Join(s.conditions, " AND ") + " ORDER BY m.received_at DESC, m.position DESC", s.args
}

// positionsSQL reads the rows of entries at places.
func positionsSQL(positions []int64) (string, []any) {
	var s statement
	places := make([]string, len(positions))
	for i, p := range positions {
		places[i] = s.bind(p)
	}
	return foundColumns + "FROM entry e WHERE e.position IN (" + strings.Join(places, ", ") + ") ORDER BY e.position DESC", s.args
}
