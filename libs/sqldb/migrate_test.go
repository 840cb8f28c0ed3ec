package sqldb_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/libs/sqldb/enginetest"
	"github.com/privacyops/privacyops/libs/sqldb/pgtest"
)

// next is people and the migration of a later release.
func next() fstest.MapFS {
	later := maps.Clone(people)
	for _, engine := range enginetest.Engines() {
		later[string(engine)+"/99999_next.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\nALTER TABLE person ADD COLUMN town TEXT;\n")}
	}
	return later
}

const extra = `CREATE TABLE IF NOT EXISTS extra (id TEXT PRIMARY KEY)`

// TestMigrateSaysWhatItChanged, and says it once.
func TestMigrateSaysWhatItChanged(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		var said []string
		db, err := sqldb.Open(t.Context(), sqldb.Config{URL: enginetest.URL(t, engine), Changed: func(c string) { said = append(said, c) }})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		for range 2 {
			if err := db.Migrate(t.Context(), next()); err != nil {
				t.Fatal(err)
			}
			if err := db.Ensure(t.Context(), extra); err != nil {
				t.Fatal(err)
			}
		}
		own := slices.DeleteFunc(slices.Clone(said), func(c string) bool { return strings.HasPrefix(c, "job table, version ") })
		if diff := cmp.Diff([]string{"migration 00001_people", "migration 99999_next", "table extra"}, own); diff != "" {
			t.Error(diff)
		}
		if len(said) == len(own) {
			t.Error("nothing was said of the job table")
		}
		if err := db.Ensure(t.Context(), `DROP TABLE extra`); err == nil {
			t.Error("Ensure took a statement that makes nothing")
		}
	})
}

// TestASchemaThatIsAheadIsAccepted: while a release is rolled out, processes of the one before start on its schema.
func TestASchemaThatIsAheadIsAccepted(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		url := enginetest.URL(t, engine)
		openAt(t, url, next())
		old := openAt(t, url, people)
		if n := count(t, old, `SELECT count(*) FROM goose_db_version WHERE version_id = 99999`); n != 1 {
			t.Errorf("the later migration is recorded %d times", n)
		}
	})
}

// TestWhoOwnsNothingNeedsACurrentSchema: on one that is current or ahead the role of a service is enough, on an older one it
// is told who may help.
func TestWhoOwnsNothingNeedsACurrentSchema(t *testing.T) {
	t.Parallel()
	address := pgtest.Database(t)
	const advice = "run `privacyops migrate`"
	stranger := enginetest.Application(t, address)
	empty, err := sqldb.Open(t.Context(), sqldb.Config{URL: stranger})
	if err != nil {
		t.Fatal(err)
	}
	if err := empty.Migrate(t.Context(), people); err == nil || !strings.Contains(err.Error(), advice) {
		t.Errorf("Migrate of an empty database = %v, want advice", err)
	}
	if err := empty.Ensure(t.Context(), extra); err == nil || !strings.Contains(err.Error(), advice) {
		t.Errorf("Ensure in an empty database = %v, want advice", err)
	}
	empty.Close()

	owner := openAt(t, address, people)
	if err := owner.Ensure(t.Context(), extra); err != nil {
		t.Fatal(err)
	}
	app := openAt(t, enginetest.Application(t, address), people) // migrates again
	if err := app.Ensure(t.Context(), extra); err != nil {
		t.Errorf("Ensure of a table that is there: %v", err)
	}
	if err := app.Migrate(t.Context(), next()); err == nil || !strings.Contains(err.Error(), advice) {
		t.Errorf("Migrate of an older schema = %v, want advice", err)
	}
	if err := owner.Migrate(t.Context(), next()); err != nil {
		t.Fatal(err)
	}
	if err := app.Migrate(t.Context(), people); err != nil {
		t.Errorf("Migrate on a schema that is ahead: %v", err)
	}
}
