package move

import (
	"context"
	"fmt"
	"strings"

	"github.com/privacyops/privacyops/libs/sqldb"
)

// Table is what a move found out about a table.
type Table struct {
	Service string `json:"service"`
	Name    string `json:"name"`
	// Rows and SHA256 are those of the file; TargetRows and TargetSHA256 those of PostgreSQL. The hash is over all rows in the
	// order of the primary key, in a form that is the same for both engines.
	Rows         int64  `json:"rows"`
	SHA256       string `json:"sha256"`
	TargetRows   int64  `json:"target_rows"`
	TargetSHA256 string `json:"target_sha256"`
	// Missing rows are only in the file, Extra ones only in PostgreSQL, Changed ones in both with different contents.
	Missing int64 `json:"missing"`
	Extra   int64 `json:"extra"`
	Changed int64 `json:"changed"`
}

// Equal says whether both engines hold the same.
func (t Table) Equal() bool {
	return t.Rows == t.TargetRows && t.SHA256 == t.TargetSHA256 && t.Missing+t.Extra+t.Changed == 0
}

// verify reads a table from both engines, side by side in the order of its key, and counts what differs.
func (t *task) verify(ctx context.Context, to *target) (found Table, err error) {
	found = Table{Service: t.service, Name: t.name}
	here, err := t.source.rows(ctx, t.table, 0)
	if err != nil {
		return found, err
	}
	defer here.close()
	err = to.read(ctx, func(ctx context.Context, q sqldb.Querier) error {
		rows, err := q.Query(ctx, t.selection())
		if err != nil {
			return err
		}
		defer rows.Close()
		return t.compare(&found, here.next, (&targetRows{rows, newReader(t.table)}).next)
	})
	if err != nil {
		return found, fmt.Errorf("verify %s: %w", t, err)
	}
	return found, nil
}

// compare merges two readings of the table.
func (t *task) compare(found *Table, nextHere, nextThere func() ([]any, error)) error {
	hashHere, hashThere := newDigest(), newDigest()
	here, err := nextHere()
	if err != nil {
		return err
	}
	there, err := nextThere()
	if err != nil {
		return err
	}
	for here != nil || there != nil {
		order := 0
		switch {
		case there == nil:
			order = -1
		case here == nil:
			order = 1
		default:
			order = compareKeys(t.table, here, there)
		}
		var a, b []byte
		if order <= 0 {
			a = encoded(here)
			hashHere.add(a)
			if here, err = nextHere(); err != nil {
				return err
			}
		}
		if order >= 0 {
			b = encoded(there)
			hashThere.add(b)
			if there, err = nextThere(); err != nil {
				return err
			}
		}
		switch {
		case order < 0:
			found.Missing++
		case order > 0:
			found.Extra++
		case string(a) != string(b):
			found.Changed++
		}
	}
	found.Rows, found.SHA256 = hashHere.rows, hashHere.sum()
	found.TargetRows, found.TargetSHA256 = hashThere.rows, hashThere.sum()
	return nil
}

// selection is the statement that reads the table back, in the order in which SQLite gives it.
func (t table) selection() string {
	var list, order []string
	for _, c := range t.columns {
		list = append(list, on(c.kind.check, quoted(c.name)))
	}
	for _, i := range t.key {
		name := quoted(t.columns[i].name)
		if t.columns[i].kind.name == "text" {
			name += ` COLLATE "C"`
		}
		order = append(order, name)
	}
	return "SELECT " + strings.Join(list, ", ") + " FROM " + t.full() + " ORDER BY " + strings.Join(order, ", ")
}

// targetRows is a table being read from PostgreSQL.
type targetRows struct {
	rows   sqldb.Rows
	reader reader
}

// next gives the next row, nil after the last. The row is valid until the next call.
func (r *targetRows) next() ([]any, error) {
	if !r.rows.Next() {
		return nil, r.rows.Err()
	}
	if err := r.rows.Scan(r.reader.into...); err != nil {
		return nil, err
	}
	return r.reader.row()
}
