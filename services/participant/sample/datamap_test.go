package sample_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/services/participant/internal/datamap"
	"github.com/privacyops/privacyops/services/participant/internal/sqlmap"
	"github.com/privacyops/privacyops/services/participant/sample"
)

func parsed(t *testing.T) *datamap.Map {
	t.Helper()
	m, err := datamap.Parse("sample.yaml", sample.DataMap)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// adapter opens the SQL adapter on a sample; opening checks the whole map against the database.
func adapter(t *testing.T, path string) *sqlmap.Adapter {
	t.Helper()
	a, err := sqlmap.Open(t.Context(), sqlmap.Config{Engine: sqlmap.SQLite, DSN: path, Map: parsed(t),
		Ledger: filepath.Join(t.TempDir(), "ledger.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return a
}

func TestWriteDataMapWritesTheMap(t *testing.T) {
	t.Parallel()
	path, err := sample.WriteDataMap(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(sample.DataMap), string(got)); diff != "" {
		t.Errorf("file (-want +got):\n%s", diff)
	}
	if m := parsed(t); m.System != sample.System {
		t.Errorf("the map is of system %q, want %q", m.System, sample.System)
	}
}

// TestEveryReferenceToAPersonIsMapped asks the database, not the map, where people are referred to.
func TestEveryReferenceToAPersonIsMapped(t *testing.T) {
	t.Parallel()
	_, db := build(t)
	m := parsed(t)
	rows, err := db.QueryContext(t.Context(), `SELECT m.name, f."from" FROM sqlite_master m, pragma_foreign_key_list(m.name) f
 WHERE m.type = 'table' AND f."table" = 'users'`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	n := 0
	for rows.Next() {
		var table, column string
		if err := rows.Scan(&table, &column); err != nil {
			t.Fatal(err)
		}
		n++
		if !slices.ContainsFunc(m.Datasets, func(d datamap.Dataset) bool {
			return d.Table == table && len(d.Path) > 0 && d.Path[0].Column == column
		}) {
			t.Errorf("no dataset follows %s.%s to the person", table, column)
		}
	}
	if err := rows.Err(); err != nil || n < 15 {
		t.Errorf("only %d references were looked at (%v)", n, err)
	}
}

// TestNobodyIsFoundOutsideTheMap searches for the texts that name people, which no foreign key tells.
func TestNobodyIsFoundOutsideTheMap(t *testing.T) {
	t.Parallel()
	_, db := build(t)
	mapped := map[string]bool{}
	for _, d := range parsed(t).Datasets {
		mapped[d.Table] = true
	}
	for _, where := range []string{"role = 'leder'", "role = 'lærer'", "role = 'elev'"} {
		for _, values := range people(t, db, where) {
			hits, err := sample.Search(t.Context(), db, values...)
			if err != nil {
				t.Fatal(err)
			}
			if len(hits) < 3 {
				t.Errorf("%s: only %d hits: the search does not see the person's own row", where, len(hits))
			}
			for _, h := range hits {
				if !mapped[h.Table] {
					t.Errorf("%s.%s names a person and the map does not know the table", h.Table, h.Column)
				}
			}
		}
	}
}

// people gives the values of a few people.
func people(t *testing.T, db *sql.DB, where string) (out [][]string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), `SELECT unilogin, email, display_name FROM users WHERE `+where+` ORDER BY id DESC LIMIT 4`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		v := make([]string, 3)
		if err := rows.Scan(&v[0], &v[1], &v[2]); err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
	}
	if len(out) == 0 || rows.Err() != nil {
		t.Fatalf("nobody is %s (%v)", where, rows.Err())
	}
	return out
}

func TestTheRegisterKnowsWhatTheMapNames(t *testing.T) {
	t.Parallel()
	activities := map[string]sample.Activity{}
	for _, a := range sample.Activities() {
		activities[a.ID] = a
		if !slices.Contains(a.Systems, sample.System) {
			t.Errorf("activity %s does not happen in the sample's system", a.ID)
		}
	}
	used := map[string]bool{}
	check := func(name, activity, category string) {
		used[activity] = true
		if !slices.Contains(activities[activity].DataCategories, category) {
			t.Errorf("dataset %s: activity %q has no data of category %q", name, activity, category)
		}
	}
	m := parsed(t)
	for _, d := range m.Datasets {
		check(d.Name, d.Activity, d.Category)
		if d.Erase.Action == datamap.Keep && !activities[d.Activity].Protected {
			t.Errorf("dataset %s is kept and activity %s is not protected", d.Name, d.Activity)
		}
	}
	for _, n := range m.Mentions {
		check(n.Name, n.Activity, n.Category)
	}
	if len(used) != len(activities) || len(activities) != 3 {
		t.Errorf("%d of %d activities are used, want 3 of 3", len(used), len(activities))
	}
	var schools []string
	for _, s := range sample.Schools() {
		schools = append(schools, s.ID)
	}
	if diff := cmp.Diff([]string{sample.Controller, sample.OtherController}, schools); diff != "" {
		t.Errorf("schools (-want +got):\n%s", diff)
	}
}
