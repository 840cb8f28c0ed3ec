package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/privacyops/privacyops/services/participant/sample"
)

// TestFleetUpgrade does the first half of a rolling upgrade under load: the schema of the next release is there, with a column more
// in every table, and processes of this release go on, stop and start on it. No call may fail.
func TestFleetUpgrade(t *testing.T) {
	onStackOnly(t)
	var people []sample.Person
	f := newFleet(t, func(s *fleetSetting) {
		s.quiet = true
		s.prepare = func(path string) { people = newcomers(t, path, (mixedCallers+1)*mixedPeople) }
	})
	fresh := people[mixedCallers*mixedPeople:]
	people = people[:mixedCallers*mixedPeople]
	load := f.begin(people, 20*time.Millisecond, f.client)
	time.Sleep(time.Second)
	columns, versions := f.migrateAhead()
	for _, service := range []string{"consent", "export", "erasure", "gateway"} {
		for _, p := range f.replicas[service] {
			if code, took := p.terminate(); code != 0 || took > drainTime {
				t.Errorf("%v ended with code %d after %s:\n%s", p, code, took, p.lastWords())
			}
			p.start()
			p.awaitReady()
		}
	}
	time.Sleep(time.Second)
	load.stop()
	all := load.between(time.Time{}, time.Now())
	t.Logf("%d new columns, versions %v; %d calls: %v", columns, versions, len(all), counts(all))
	complain(t, all)
	load.nothingLost(t, people)

	// There is one of the audit service, so its callers do notice that it restarts.
	p := f.replicas["audit"][0]
	if code, took := p.terminate(); code != 0 || took > drainTime {
		t.Errorf("%v ended with code %d after %s:\n%s", p, code, took, p.lastWords())
	}
	p.start()
	p.awaitReady()
	f.works(fresh)
	f.logHasNoGap()
	for schema, version := range versions {
		var n int64
		must(t, f.everything().QueryRow(t.Context(), "SELECT max(version_id) FROM "+pgx.Identifier{schema, "goose_db_version"}.Sanitize()).Scan(&n))
		if n != version {
			t.Errorf("%s is at version %d again, not at %d", schema, n, version)
		}
	}
}

// migrateAhead makes the schemas those of a later release: it adds a column to every table, and notes a migration of which this
// release knows nothing.
func (f *fleet) migrateAhead() (columns int, versions map[string]int64) {
	f.t.Helper()
	conn, ctx := f.everything(), f.t.Context()
	rows, err := conn.Query(ctx, `SELECT table_schema, table_name FROM information_schema.tables
		WHERE table_schema IN ('audit', 'consent', 'export', 'erasure') AND table_type = 'BASE TABLE' AND table_name NOT LIKE 'river%' AND table_name NOT LIKE 'goose%'`)
	must(f.t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct{ Schema, Name string }])
	must(f.t, err)
	versions = map[string]int64{}
	for _, table := range tables {
		_, err := conn.Exec(ctx, fmt.Sprintf("ALTER TABLE %s ADD COLUMN added_later TEXT", pgx.Identifier{table.Schema, table.Name}.Sanitize()))
		must(f.t, err)
		columns++
		versions[table.Schema] = 0
	}
	for schema := range versions {
		var version int64
		must(f.t, conn.QueryRow(ctx, fmt.Sprintf(`INSERT INTO %[1]s (version_id, is_applied)
			SELECT max(version_id) + 1, true FROM %[1]s RETURNING version_id`, pgx.Identifier{schema, "goose_db_version"}.Sanitize())).Scan(&version))
		versions[schema] = version
	}
	if columns < 8 || len(versions) != 4 {
		f.t.Fatalf("there are %d tables in %v", columns, versions)
	}
	return columns, versions
}
