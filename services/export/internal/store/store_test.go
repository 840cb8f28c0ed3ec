package store_test

import (
	"io/fs"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/libs/sqldb/enginetest"
	"github.com/privacyops/privacyops/libs/sqldb/pgtest"
	"github.com/privacyops/privacyops/services/export/internal/store"
	"github.com/privacyops/privacyops/services/export/internal/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

func TestConformance(t *testing.T) {
	t.Parallel()
	enginetest.Run(t, store.Migrations(), storetest.Run)
}

func TestMigrationsHaveTheSameNumbers(t *testing.T) {
	t.Parallel()
	names := map[sqldb.Engine][]string{}
	for _, engine := range []sqldb.Engine{sqldb.SQLite, sqldb.Postgres} {
		entries, err := fs.ReadDir(store.Migrations(), string(engine))
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			names[engine] = append(names[engine], e.Name())
		}
	}
	if diff := cmp.Diff(names[sqldb.SQLite], names[sqldb.Postgres]); diff != "" {
		t.Error(diff)
	}
}
