package sample_test

import (
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/services/participant/sample"
)

// scratch is a database of the test's own tables.
func scratch(t *testing.T, statements ...string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "scratch.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	change(t, db, statements...)
	return db
}

func change(t *testing.T, db *sql.DB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSearchFindsAValueWhereverItStands(t *testing.T) {
	t.Parallel()
	db := scratch(t,
		`CREATE TABLE "odd ""name" (a INTEGER, b TEXT, PRIMARY KEY (b, a)) WITHOUT ROWID`,
		`INSERT INTO "odd ""name" VALUES (7, 'x'), (8, 'before ÅGÅRD after'), (9, 'a'||char(778)||'ga'||char(778)||'rd')`,
		`CREATE TABLE plain (n INTEGER, b BLOB)`,
		`INSERT INTO plain VALUES (12345678, NULL), (1, CAST('xxågårdxx' AS BLOB)), (2, 'gård')`)
	got, err := sample.Search(t.Context(), db, "Ågård", "345678")
	if err != nil {
		t.Fatal(err)
	}
	want := []sample.Hit{
		{Table: `odd "name`, Column: "b", Key: "a\u030aga\u030ard/9"},
		{Table: `odd "name`, Column: "b", Key: "before ÅGÅRD after/8"},
		{Table: "plain", Column: "n", Key: "1"},
		{Table: "plain", Column: "b", Key: "2"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("hits (-want +got):\n%s", diff)
	}
}

func TestSearchRefusesAnEmptyValue(t *testing.T) {
	t.Parallel()
	if _, err := sample.Search(t.Context(), scratch(t, `CREATE TABLE t (a TEXT)`), "x", ""); err == nil {
		t.Error("an empty value was searched for, which is everywhere")
	}
}

func TestChangesTellsEveryKindOfChange(t *testing.T) {
	t.Parallel()
	db := scratch(t, `CREATE TABLE t (id INTEGER PRIMARY KEY, a, b)`,
		`INSERT INTO t VALUES (1, 'x', 'y'), (2, 'x', 'y'), (3, '1', NULL), (4, 'x'',''y', 'z'), (5, 'same', 'same')`)
	was := prints(t, db)
	change(t, db,
		`DELETE FROM t WHERE id = 1`,
		`UPDATE t SET a = 'y', b = 'x' WHERE id = 2`,
		`UPDATE t SET a = 1 WHERE id = 3`, // the same text, another type
		`UPDATE t SET a = 'x', b = 'y'',''z' WHERE id = 4`,
		`INSERT INTO t VALUES (6, 'new', '')`)
	want := []sample.Row{{Table: "t", Key: "1"}, {Table: "t", Key: "2"}, {Table: "t", Key: "3"}, {Table: "t", Key: "4"}, {Table: "t", Key: "6"}}
	if diff := cmp.Diff(want, was.Changes(prints(t, db))); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
}
