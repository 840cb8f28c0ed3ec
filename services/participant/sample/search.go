package sample

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"golang.org/x/text/unicode/norm"
)

// Hit is a cell that contains one of the values searched for. It does not repeat the value.
type Hit struct {
	Table, Column, Key string
}

// Search looks for values in every cell of every table of a SQLite database, whatever the type of the column, as parts of words
// too and in any case. It knows nothing of a data map: it is how to ask whether a person is really gone. Hits come in the order
// of tables, rows and columns, one a cell.
func Search(ctx context.Context, db *sql.DB, values ...string) ([]Hit, error) {
	wanted := make([]string, len(values))
	for i, v := range values {
		if wanted[i] = folded(v); wanted[i] == "" {
			return nil, errors.New("sample: an empty value would be found everywhere")
		}
	}
	all, err := tables(ctx, db)
	if err != nil {
		return nil, err
	}
	var out []Hit
	asText := func(column string) string { return "CAST(" + column + " AS TEXT)" }
	for _, t := range all {
		err := t.each(ctx, db, asText, func(key string, cells []sql.NullString) {
			for i, c := range cells {
				if containsAny(folded(c.String), wanted) {
					out = append(out, Hit{t.name, t.columns[i], key})
				}
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// folded makes texts comparable: one Unicode form, one case.
func folded(s string) string { return strings.ToLower(norm.NFC.String(s)) }

func containsAny(text string, wanted []string) bool {
	for _, w := range wanted {
		if strings.Contains(text, w) {
			return true
		}
	}
	return false
}
