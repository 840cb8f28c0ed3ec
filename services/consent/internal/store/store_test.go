package store

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/libs/sqldb/enginetest"
	"github.com/privacyops/privacyops/libs/sqldb/pgtest"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
	"github.com/privacyops/privacyops/services/consent/internal/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

func TestConformance(t *testing.T) {
	t.Parallel()
	enginetest.Run(t, Migrations(), func(t *testing.T, open func(t *testing.T) *sqldb.DB) {
		storetest.Run(t, func(t *testing.T) (*sqldb.DB, consent.Store) {
			t.Helper()
			return open(t), Store{}
		})
	})
}

// What decides about a person is found by two index searches, and never by going through all consents.
func TestPeopleAreFoundByIndexes(t *testing.T) {
	t.Parallel()
	var plan []string
	db := enginetest.Open(t, enginetest.URL(t, sqldb.SQLite), Migrations())
	err := db.Read(t.Context(), func(ctx context.Context, q sqldb.Querier) (err error) {
		plan, err = collect(ctx, q, func(r sqldb.Row) (detail string, err error) {
			var id, parent, unused int64
			err = r.Scan(&id, &parent, &unused, &detail)
			return detail, err
		}, "EXPLAIN QUERY PLAN "+consentsUnder, "a", "u1")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	steps := strings.Join(plan, "\n")
	for _, want := range []string{
		"SEARCH l USING COVERING INDEX sqlite_autoindex_consent_subject_1 (controller=? AND subject_ref=?)",
		"SEARCH c USING INDEX sqlite_autoindex_consent_1 (controller=? AND consent_id=?)",
	} {
		if !strings.Contains(steps, want) {
			t.Errorf("the plan is\n%s\nwant %s", steps, want)
		}
	}
	if strings.Contains(steps, "SCAN") {
		t.Errorf("the plan goes through a table:\n%s", steps)
	}
}

// Both engines have the same migrations, under the same numbers.
func TestMigrationsAreTheSameOnBothEngines(t *testing.T) {
	t.Parallel()
	names := map[string]int{}
	for _, engine := range []string{"sqlite", "postgres"} {
		entries, err := files.ReadDir("migrations/" + engine)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			names[e.Name()]++
		}
	}
	for name, n := range names {
		if n != 2 {
			t.Errorf("%s is there for one engine only", name)
		}
	}
}
