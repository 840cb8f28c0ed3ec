package sample

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"slices"
	"strings"
)

// Prints are the hashes of all rows, by table and key; the columns of a key are joined by a slash. A hash is over every cell of
// the row and its type, so that rows with the same hash are the same bytes.
type Prints map[string]map[string]string

// Fingerprint hashes every row of every table of a SQLite database.
func Fingerprint(ctx context.Context, db *sql.DB) (Prints, error) {
	all, err := tables(ctx, db)
	if err != nil {
		return nil, err
	}
	out := Prints{}
	for _, t := range all {
		out[t.name] = map[string]string{}
		exact := func(column string) string { return "quote(" + column + ")" }
		err := t.each(ctx, db, exact, func(key string, cells []sql.NullString) {
			h := sha256.New()
			for _, c := range cells { // quote() escapes, so a comma ends a cell unmistakably
				h.Write([]byte(c.String + ","))
			}
			out[t.name][key] = hex.EncodeToString(h.Sum(nil))
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Row names a row of a database.
type Row struct {
	Table, Key string
}

// Changes lists the rows of p that are not the same in later, and those that are only there, in order.
func (p Prints) Changes(later Prints) []Row {
	var out []Row
	for table, rows := range p {
		for key, was := range rows {
			if later[table][key] != was {
				out = append(out, Row{table, key})
			}
		}
	}
	for table, rows := range later {
		for key := range rows {
			if _, there := p[table][key]; !there {
				out = append(out, Row{table, key})
			}
		}
	}
	slices.SortFunc(out, func(a, b Row) int {
		return cmp.Or(strings.Compare(a.Table, b.Table), strings.Compare(a.Key, b.Key))
	})
	return out
}
