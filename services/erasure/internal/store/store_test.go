package store_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/libs/sqldb/enginetest"
	"github.com/privacyops/privacyops/libs/sqldb/pgtest"
	"github.com/privacyops/privacyops/services/erasure/internal/erasure"
	"github.com/privacyops/privacyops/services/erasure/internal/rosters"
	"github.com/privacyops/privacyops/services/erasure/internal/store"
	"github.com/privacyops/privacyops/services/erasure/internal/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

func TestConformance(t *testing.T) {
	t.Parallel()
	enginetest.Run(t, nil, storetest.Run)
}

// inFiles counts how often a text stands in the files of a folder: the database and its write-ahead log.
func inFiles(t *testing.T, dir, text string) (n int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		n += bytes.Count(raw, []byte(text))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// No identifier stands in clear in the files, at any time; and once an erasure has ended and the database is scrubbed, what was
// sealed is gone from them, too.
func TestNothingInClear(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	db := enginetest.Open(t, "sqlite:"+filepath.Join(dir, "erasure.db"), nil)
	f := storetest.Open(t, db)
	planted := []string{"plantedlogin0001", "planted.mail@skole.example", "rosterlogin0001", "rosterlogin0002"}
	search := func(when string) {
		t.Helper()
		for _, p := range planted {
			if n := inFiles(t, dir, p); n > 0 {
				t.Errorf("%s: %s stands in the files %d times", when, p, n)
			}
		}
	}
	e := f.Insert(f.Erasure("north"), erasure.Identifier{Type: "UNILOGIN", Value: planted[0]})
	if inFiles(t, dir, string(e.ID)) == 0 {
		t.Fatal("the files are not where this test looks")
	}
	search("asked for")
	w, ids := f.Take(e)
	ids = append(ids, erasure.Identifier{Type: "EMAIL", Value: planted[1]})
	f.Save(erasure.Change{Erasure: w, Identifiers: ids, Event: erasure.Event{Action: "erasure.plan"}})
	f.Import("north", storetest.Extract(0, planted[2], planted[3], "third", "fourth"))
	held := f.Import("north", storetest.Extract(1, planted[2]))
	if held.State != rosters.Held {
		t.Fatalf("the extract is %s", held.State)
	}
	search("running")
	sealed := column(t, db, `SELECT sealed_identifiers FROM erasure`)
	extract := column(t, db, `SELECT sealed_extract FROM roster WHERE sealed_extract IS NOT NULL`)
	if inFiles(t, dir, sealed) == 0 || inFiles(t, dir, extract) == 0 {
		t.Fatal("what is sealed is not found where it must be")
	}

	w.State, w.VerifyTime = erasure.Completed, storetest.Base
	f.Save(erasure.Change{Erasure: w, DestroyIdentifiers: true, Tombstones: w.SubjectRefs, Event: erasure.Event{Action: "erasure.complete"}})
	if n := inFiles(t, dir, sealed); n > 0 {
		t.Errorf("completion leaves the sealed identifiers in the files %d times", n)
	}
	if _, err := f.Settle(held, rosters.Discarded); err != nil {
		t.Fatal(err)
	}
	search("completed")
	if err := f.Store.Scrub(context.Background()); err != nil {
		t.Fatal(err)
	}
	search("scrubbed")
	for name, text := range map[string]string{"identifiers": sealed, "extract": extract} {
		if n := inFiles(t, dir, text); n > 0 {
			t.Errorf("the sealed %s are still in the files %d times", name, n)
		}
	}
}

func column(t *testing.T, db *sqldb.DB, query string) string {
	t.Helper()
	var raw []byte
	err := db.Read(context.Background(), func(ctx context.Context, q sqldb.Querier) error { return q.QueryRow(ctx, query).Scan(&raw) })
	if err != nil || len(raw) < 40 {
		t.Fatalf("%s: %d bytes, %v", query, len(raw), err)
	}
	return string(raw[:40]) // a longer text may be spread over pages
}

// TestMigrationsMatch holds the two engines' migrations against each other: the same files, and the same tables but for types.
func TestMigrationsMatch(t *testing.T) {
	t.Parallel()
	names := func(engine string) (list []string) {
		entries, err := fs.ReadDir(store.Migrations(), engine)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			list = append(list, e.Name())
		}
		return list
	}
	lite := names("sqlite")
	if fmt.Sprint(lite) != fmt.Sprint(names("postgres")) {
		t.Fatalf("sqlite has %v, postgres %v", lite, names("postgres"))
	}
	if err := fstest.TestFS(store.Migrations(), "sqlite/"+lite[0], "postgres/"+lite[0]); err != nil {
		t.Fatal(err)
	}
	for _, name := range lite {
		if strings.Contains(name, "row_security") {
			continue // only one engine has it
		}
		a, err := fs.ReadFile(store.Migrations(), "sqlite/"+name)
		if err != nil {
			t.Fatal(err)
		}
		b, err := fs.ReadFile(store.Migrations(), "postgres/"+name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.ReplaceAll(string(a), "BLOB", "BYTEA") != string(b) {
			t.Errorf("%s differs in more than the type of bytes", name)
		}
	}
}
