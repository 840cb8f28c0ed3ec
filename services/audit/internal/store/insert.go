package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/privacyops/privacyops/libs/sqldb"
)

// table says how many rows of a table are stored with one statement. The number of rows in a statement is always a power of two, so
// that there are few different statements and the engines keep them prepared.
type table struct {
	columns    int
	statements []string // of 1, 2, 4, … rows
}

var (
	entryTable = newTable(5, "entry", "position", "event_id", "event_digest", "controller", "controller_sequence", "received_at",
		"service", "action", "kind", "actor_ref", "resource", "outcome", "trace_id", "decisions", "leaf")
	personTable    = newTable(7, "entry_person", "person", "position")
	peopleTable    = newTable(3, "entry_people", "position", "controller", "received_at", "people")
	decisionsTable = newTable(3, "entry_decisions", "controller", "first_id", "last_id", "position")
)

// newTable writes the statements that store up to 2^doublings rows.
func newTable(doublings int, name string, columns ...string) table {
	t := table{columns: len(columns)}
	for size := range doublings + 1 {
		rows, next := make([]string, 1<<size), 1
		for i := range rows {
			rows[i] = parameters(&next, len(columns))
		}
		t.statements = append(t.statements, "INSERT INTO "+name+" ("+strings.Join(columns, ", ")+") VALUES "+strings.Join(rows, ", "))
	}
	return t
}

// parameters writes the next n parameters in brackets.
func parameters(next *int, n int) string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("$%d", *next)
		*next++
	}
	return "(" + strings.Join(names, ", ") + ")"
}

// insert stores rows, whose values follow each other in args.
func (t table) insert(ctx context.Context, tx sqldb.Tx, args []any) error {
	for size := len(t.statements) - 1; size >= 0; size-- {
		for n := t.columns << size; len(args) >= n; args = args[n:] {
			if _, err := tx.Exec(ctx, t.statements[size], args[:n]...); err != nil {
				return err
			}
		}
	}
	return nil
}

// maxIDs is how many events one query looks up.
const maxIDs = 128

// knownQueries look up 1, 2, 4, … maxIDs events.
var knownQueries = func() map[int]string {
	out := map[int]string{}
	for n := 1; n <= maxIDs; n *= 2 {
		next := 1
		out[n] = `SELECT event_id, event_digest, received_at, controller_sequence FROM entry WHERE event_id IN ` + parameters(&next, n)
	}
	return out
}()
