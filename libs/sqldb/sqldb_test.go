package sqldb_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"go.uber.org/goleak"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/libs/sqldb/enginetest"
	"github.com/privacyops/privacyops/libs/sqldb/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.Around(m)) }

// people is a migration with a table that has a constraint of every sort.
var people = fstest.MapFS{
	"sqlite/00001_people.sql":   {Data: []byte(peopleTables)},
	"postgres/00001_people.sql": {Data: []byte(peopleTables)},
}

const peopleTables = `-- +goose Up
CREATE TABLE team (id TEXT PRIMARY KEY);
CREATE TABLE person (
	id BIGINT PRIMARY KEY,
	email TEXT NOT NULL UNIQUE,
	team TEXT REFERENCES team (id),
	age BIGINT NOT NULL DEFAULT 0 CONSTRAINT age_is_positive CHECK (age >= 0)
);
-- +goose Down
DROP TABLE person;
`

// open opens and migrates a database of the test's own.
func open(t *testing.T, engine sqldb.Engine) *sqldb.DB {
	t.Helper()
	return openAt(t, enginetest.URL(t, engine), people)
}

func openAt(t *testing.T, url string, migrations fs.FS) *sqldb.DB {
	t.Helper()
	db, err := sqldb.Open(t.Context(), sqldb.Config{URL: url, BusyTimeout: time.Second})
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	if err := db.Migrate(t.Context(), migrations); err != nil {
		t.Fatalf("Migrate: %v", err)
	}
	return db
}

// exec runs one statement in a transaction of its own.
func exec(t *testing.T, db *sqldb.DB, query string, args ...any) error {
	t.Helper()
	return db.Write(t.Context(), func(ctx context.Context, tx sqldb.Tx) error {
		_, err := tx.Exec(ctx, query, args...)
		return err
	})
}

// count runs a query for one number on a snapshot of its own.
func count(t *testing.T, db *sqldb.DB, query string, args ...any) (n int64) {
	t.Helper()
	err := db.Read(t.Context(), func(ctx context.Context, q sqldb.Querier) error {
		return q.QueryRow(ctx, query, args...).Scan(&n)
	})
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

const (
	insertPerson = `INSERT INTO person (id, email) VALUES ($1, $2)`
	countPeople  = `SELECT count(*) FROM person`
	countJobs    = `SELECT count(*) FROM river_job`
)

func TestOpenRefusesWhatItCannotServe(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"", "audit.db", "postgres://localhost/audit", "mysql:audit",
		"sqlite:", "sqlite::memory:", "sqlite:/tmp/a.db?mode=ro", "sqlite:/nowhere/at/all/a.db",
		"sqlite:" + t.TempDir(),
	} {
		if db, err := sqldb.Open(t.Context(), sqldb.Config{URL: url}); err == nil {
			t.Errorf("Open(%q) succeeded", url)
			db.Close()
		}
	}
	_, err := sqldb.Open(t.Context(), sqldb.Config{URL: "mysql:audit"})
	if err == nil || !strings.Contains(err.Error(), `"mysql"`) {
		t.Errorf("the error of an unknown scheme does not name it: %v", err)
	}
}

func TestOpenRefusesAFileThatIsNoDatabase(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "letter.txt")
	if err := os.WriteFile(path, []byte(strings.Repeat("Dear Sir or Madam, ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := sqldb.Open(t.Context(), sqldb.Config{URL: "sqlite:" + path})
	if err == nil || errors.Is(err, sqldb.ErrUnavailable) {
		t.Errorf("Open = %v, want an error that does not invite to try again", err)
	}
}

func TestPathWithSpecialCharacters(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "år 100% & co.db")
	openAt(t, "sqlite:"+path, people)
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

func TestFilesAreTheOwnersAlone(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "old.db")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o664); err != nil {
		t.Fatal(err)
	}
	openAt(t, "sqlite:"+path, people)
	files, err := filepath.Glob(path + "*")
	if err != nil || len(files) < 3 {
		t.Fatalf("files %v, %v: want at least the database, its -wal and -shm", files, err)
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != 0o600 {
			t.Errorf("%s has mode %o, want 600", filepath.Base(file), got)
		}
	}
}

func TestConnectionsAreDurableAndStrict(t *testing.T) {
	t.Parallel()
	db := open(t, sqldb.SQLite)
	pragmas := map[string]string{
		"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "secure_delete": "1", "temp_store": "2",
	}
	check := func(ctx context.Context, q sqldb.Querier, name, want string) {
		var got string
		if err := q.QueryRow(ctx, "PRAGMA "+name).Scan(&got); err != nil || got != want {
			t.Errorf("PRAGMA %s = %q, %v; want %q", name, got, err, want)
		}
	}
	for name, want := range pragmas {
		err := db.Write(t.Context(), func(ctx context.Context, tx sqldb.Tx) error {
			check(ctx, tx, name, want)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	err := db.Read(t.Context(), func(ctx context.Context, q sqldb.Querier) error {
		check(ctx, q, "query_only", "1")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestMigrateIsRepeatableAndParallel(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		a, b := enginetest.URL(t, engine), enginetest.URL(t, engine)
		var wg sync.WaitGroup
		// Two handles on each of two databases, every one migrated twice, all at once.
		for i, url := range []string{a, a, b, b} {
			db, err := sqldb.Open(t.Context(), sqldb.Config{URL: url})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { db.Close() })
			wg.Go(func() {
				for range 2 {
					if err := db.Migrate(t.Context(), people); err != nil {
						t.Errorf("Migrate %d: %v", i, err)
					}
					if err := db.Ensure(t.Context(), `CREATE TABLE IF NOT EXISTS extra (id TEXT PRIMARY KEY)`); err != nil {
						t.Errorf("Ensure %d: %v", i, err)
					}
				}
			})
		}
		wg.Wait()
		db := openAt(t, a, nil)
		if n := count(t, db, `SELECT count(*) FROM goose_db_version WHERE version_id = 1`); n != 1 {
			t.Errorf("migration 1 was applied %d times", n)
		}
		if n := count(t, db, countJobs); n != 0 {
			t.Errorf("a new job table has %d jobs", n)
		}
		if n := count(t, db, `SELECT count(*) FROM extra`); n != 0 {
			t.Errorf("a new table has %d rows", n)
		}
	})
}

func TestMigrateNamesTheMigrationThatFailed(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		db := open(t, engine)
		bad := fstest.MapFS{
			string(engine) + "/00001_people.sql": {Data: []byte(peopleTables)},
			string(engine) + "/00007_bad.sql":    {Data: []byte("-- +goose Up\nALTER TABLE nobody ADD COLUMN x TEXT;\n")},
		}
		err := db.Migrate(t.Context(), bad)
		if err == nil || !strings.Contains(err.Error(), "migration 7") || !strings.Contains(err.Error(), "nobody") {
			t.Errorf("Migrate = %v, want the number and the reason", err)
		}
		if err := db.Migrate(t.Context(), fstest.MapFS{}); err == nil {
			t.Error("Migrate accepted a file system without a folder for the engine")
		}
	})
}

func TestLockExcludesAndEnds(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		url := enginetest.URL(t, engine)
		one, two := openAt(t, url, nil), openAt(t, url, nil)
		unlock, err := one.Lock(t.Context(), "jobs")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := two.Lock(t.Context(), "jobs"); !errors.Is(err, sqldb.ErrLocked) {
			t.Errorf("second Lock = %v, want ErrLocked", err)
		}
		other, err := two.Lock(t.Context(), "other")
		if err != nil {
			t.Errorf("a lock of another name: %v", err)
		} else if err := other(); err != nil {
			t.Error(err)
		}
		if err := unlock(); err != nil {
			t.Fatal(err)
		}
		again, err := two.Lock(t.Context(), "jobs")
		if err != nil {
			t.Fatalf("Lock after unlock: %v", err)
		}
		if err := again(); err != nil {
			t.Error(err)
		}
		if _, err := one.Lock(t.Context(), "../x"); err == nil || errors.Is(err, sqldb.ErrLocked) {
			t.Errorf("Lock of a path = %v, want a refusal", err)
		}
	})
}

func TestCloseIsFinal(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		db, err := sqldb.Open(t.Context(), sqldb.Config{URL: enginetest.URL(t, engine)})
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Ping(t.Context()); err != nil {
			t.Errorf("Ping: %v", err)
		}
		for range 2 {
			if err := db.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
		}
		_, lockErr := db.Lock(t.Context(), "x")
		for name, err := range map[string]error{
			"Ping":    db.Ping(t.Context()),
			"Ensure":  db.Ensure(t.Context(), `CREATE TABLE IF NOT EXISTS x (id TEXT)`),
			"Migrate": db.Migrate(t.Context(), nil),
			"Scrub":   db.Scrub(t.Context()),
			"Lock":    lockErr,
			"Write":   db.Write(t.Context(), func(context.Context, sqldb.Tx) error { return nil }),
			"Read":    db.Read(t.Context(), func(context.Context, sqldb.Querier) error { return nil }),
		} {
			if !errors.Is(err, sqldb.ErrUnavailable) {
				t.Errorf("%s after Close = %v, want ErrUnavailable", name, err)
			}
		}
	})
}

func TestScrubLeavesNoTraceOfErasedText(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	db := openAt(t, "sqlite:"+path, people)
	const secret = "freja.holm@example.dk"
	if err := exec(t, db, insertPerson, 1, secret); err != nil {
		t.Fatal(err)
	}
	if !onDisk(t, path, secret) {
		t.Fatal("the text is not in the files before its erasure: the test proves nothing")
	}
	if err := exec(t, db, `DELETE FROM person WHERE id = $1`, 1); err != nil {
		t.Fatal(err)
	}
	if err := db.Scrub(t.Context()); err != nil {
		t.Fatalf("Scrub: %v", err)
	}
	if onDisk(t, path, secret) {
		t.Error("the erased text is still in the database's files")
	}
}

func TestScrubSaysWhenASnapshotPreventsIt(t *testing.T) {
	t.Parallel()
	db := open(t, sqldb.SQLite)
	err := db.Read(t.Context(), func(ctx context.Context, q sqldb.Querier) error {
		var n int
		if err := q.QueryRow(ctx, countPeople).Scan(&n); err != nil {
			return err
		}
		if err := exec(t, db, insertPerson, 1, "a@example.dk"); err != nil {
			return err
		}
		if err := db.Scrub(t.Context()); !errors.Is(err, sqldb.ErrUnavailable) {
			t.Errorf("Scrub under an old snapshot = %v, want ErrUnavailable", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func onDisk(t *testing.T, path, text string) bool {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("files of an open database cannot be read here")
	}
	for _, file := range []string{path, path + "-wal"} {
		content, err := os.ReadFile(file)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		if strings.Contains(string(content), text) {
			return true
		}
	}
	return false
}
