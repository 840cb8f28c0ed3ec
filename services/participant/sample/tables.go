package sample

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
)

// table is a table of a live database, read from its own catalogue: nothing here trusts a data map.
type table struct {
	name    string
	key     []string // primary key, or rowid
	columns []string
}

// tables reads the tables of a SQLite database, by name.
func tables(ctx context.Context, db *sql.DB) ([]table, error) {
	rows, err := db.QueryContext(ctx, `SELECT m.name, c.name, c.pk FROM sqlite_master m, pragma_table_info(m.name) c
 WHERE m.type = 'table' ORDER BY m.name, c.cid`)
	if err != nil {
		return nil, fmt.Errorf("sample: read tables: %w", err)
	}
	defer rows.Close()
	var out []table
	places := map[string]int{}
	for rows.Next() {
		var name, column string
		var place int
		if err := rows.Scan(&name, &column, &place); err != nil {
			return nil, fmt.Errorf("sample: read tables: %w", err)
		}
		if len(out) == 0 || out[len(out)-1].name != name {
			out = append(out, table{name: name})
		}
		t := &out[len(out)-1]
		t.columns = append(t.columns, column)
		if place > 0 {
			places[name+"\x00"+column] = place
			t.key = append(t.key, column)
		}
	}
	for i := range out {
		t := &out[i]
		slices.SortFunc(t.key, func(a, b string) int { return places[t.name+"\x00"+a] - places[t.name+"\x00"+b] })
		if len(t.key) == 0 {
			t.key = []string{"rowid"}
		}
	}
	return out, rows.Err()
}

func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// keyOf is an SQL expression of a row's key: its columns, joined by a slash.
func (t table) keyOf() string {
	parts := make([]string, len(t.key))
	for i, k := range t.key {
		parts[i] = "CAST(" + quoted(k) + " AS TEXT)"
	}
	return strings.Join(parts, " || '/' || ")
}

// each calls f with the key and the cells of every row, where cell makes an SQL expression of a column.
func (t table) each(ctx context.Context, db *sql.DB, cell func(column string) string, f func(key string, cells []sql.NullString)) error {
	selected := []string{t.keyOf()}
	for _, c := range t.columns {
		selected = append(selected, cell(quoted(c)))
	}
	rows, err := db.QueryContext(ctx, "SELECT "+strings.Join(selected, ", ")+" FROM "+quoted(t.name)) //nolint:gosec // the names come from the catalogue, quoted
	if err != nil {
		return fmt.Errorf("sample: read table %s: %w", t.name, err)
	}
	defer rows.Close()
	cells := make([]sql.NullString, len(selected))
	dest := make([]any, len(selected))
	for i := range cells {
		dest[i] = &cells[i]
	}
	for rows.Next() {
		if err := rows.Scan(dest...); err != nil {
			return fmt.Errorf("sample: read table %s: %w", t.name, err)
		}
		f(cells[0].String, cells[1:])
	}
	return rows.Err()
}
