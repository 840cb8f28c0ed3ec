package store_test

import (
	"context"
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/export/internal/store"
	"github.com/privacyops/privacyops/services/export/internal/store/storetest"
)

func TestSQLite(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) *sqldb.DB {
		t.Helper()
		db, err := sqldb.Open(context.Background(), sqldb.Config{URL: "sqlite:" + filepath.Join(t.TempDir(), "export.db")})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
		if err := db.Migrate(context.Background(), store.Migrations()); err != nil {
			t.Fatal(err)
		}
		return db
	})
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
