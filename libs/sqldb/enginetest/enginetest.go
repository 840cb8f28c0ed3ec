// Package enginetest runs a store's tests on every engine of package sqldb, each on a
// fresh database. It is imported by tests only.
//
// PostgreSQL comes from package pgtest; where there is none, its half is skipped or, under
// CI, fails. So a test package that uses this one ends with pgtest:
//
//	func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }
package enginetest

import (
	"context"
	"io/fs"
	"path/filepath"
	"testing" //nolint:depguard // it serves the tests of every store

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/libs/sqldb/pgtest"
)

// Engines are the engines that a store has to work on.
func Engines() []sqldb.Engine { return []sqldb.Engine{sqldb.SQLite, sqldb.Postgres} }

// Each runs a test once for each engine, in a parallel subtest of the engine's name.
func Each(t *testing.T, test func(t *testing.T, engine sqldb.Engine)) {
	t.Helper()
	for _, engine := range Engines() {
		t.Run(string(engine), func(t *testing.T) {
			t.Parallel()
			test(t, engine)
		})
	}
}

// Run runs a conformance suite once for each engine. Each call of open gives a new
// database with these migrations, closed and thrown away when its test ends.
func Run(t *testing.T, migrations fs.FS, suite func(t *testing.T, open func(t *testing.T) *sqldb.DB)) {
	t.Helper()
	Each(t, func(t *testing.T, engine sqldb.Engine) {
		suite(t, func(t *testing.T) *sqldb.DB {
			t.Helper()
			return Open(t, URL(t, engine), migrations)
		})
	})
}

// URL names a new database of the engine (PostgreSQL: a schema) that exists until the
// test ends. Several handles may be opened on it, as several processes would.
func URL(t testing.TB, engine sqldb.Engine) string {
	t.Helper()
	if engine == sqldb.SQLite {
		return "sqlite:" + filepath.Join(t.TempDir(), "test.db")
	}
	return pgtest.Schema(t)
}

// Open opens a database and migrates it; nil migrations are the job table's alone. It is
// closed when the test ends.
func Open(t testing.TB, address string, migrations fs.FS) *sqldb.DB {
	t.Helper()
	db, err := sqldb.Open(context.Background(), sqldb.Config{URL: address})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	if err := db.Migrate(context.Background(), migrations); err != nil {
		t.Fatalf("Migrate: %v", err)
	}
	return db
}
