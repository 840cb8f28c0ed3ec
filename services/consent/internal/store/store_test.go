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

// What decides about a person is found by index searches, and never by going through all there is of anything.
func TestPeopleAreFoundByIndexes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		query string
		want  []string
	}{
		"consents": {consentsUnder, []string{
			"SEARCH l USING COVERING INDEX sqlite_autoindex_consent_subject_1 (controller=? AND subject_ref=?)",
			"SEARCH c USING INDEX sqlite_autoindex_consent_1 (controller=? AND consent_id=?)",
		}},
		"demands and links": {marksUnder, []string{
			"SEARCH erased_subject USING COVERING INDEX sqlite_autoindex_erased_subject_1 (controller=? AND subject_ref=?)",
			"SEARCH l USING COVERING INDEX sqlite_autoindex_objection_subject_1 (controller=? AND subject_ref=?)",
			"SEARCH o USING INDEX sqlite_autoindex_objection_1 (controller=? AND objection_id=?)",
			"SEARCH l USING COVERING INDEX sqlite_autoindex_restriction_subject_1 (controller=? AND subject_ref=?)",
			"SEARCH r USING INDEX sqlite_autoindex_restriction_1 (controller=? AND restriction_id=?)",
			"SEARCH l USING INDEX sqlite_autoindex_subject_link_1 (controller=? AND subject_ref=?)",
			"SEARCH other USING INDEX subject_link_by_person (controller=? AND person_id=?)",
			"SEARCH later USING COVERING INDEX sqlite_autoindex_subject_link_1 (controller=? AND subject_ref=? AND link_revision>?)",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			steps := plan(t, test.query)
			for _, want := range test.want {
				if !strings.Contains(steps, want) {
					t.Errorf("the plan is\n%s\nwant %s", steps, want)
				}
			}
			if strings.Contains(steps, "SCAN") {
				t.Errorf("the plan goes through a table:\n%s", steps)
			}
		})
	}
}

// plan is how SQLite finds what is asked for of one person.
func plan(t *testing.T, query string) string {
	t.Helper()
	var steps []string
	db := enginetest.Open(t, enginetest.URL(t, sqldb.SQLite), Migrations())
	err := db.Read(t.Context(), func(ctx context.Context, q sqldb.Querier) (err error) {
		steps, err = collect(ctx, q, func(r sqldb.Row) (detail string, err error) {
			var id, parent, unused int64
			err = r.Scan(&id, &parent, &unused, &detail)
			return detail, err
		}, "EXPLAIN QUERY PLAN "+query, "a", "u1")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(steps, "\n")
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
