package sample_test

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/services/participant/sample"
)

// build makes the sample in a folder of the test's own.
func build(t *testing.T) (path string, db *sql.DB) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "platform.db")
	if err := sample.Build(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	db, err := sample.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return path, db
}

// texts reads the one column that a query selects.
func texts(t *testing.T, db *sql.DB, query string, args ...any) (out []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var v string
		if err := rows.Scan(&v); err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

func prints(t *testing.T, db *sql.DB) sample.Prints {
	t.Helper()
	p, err := sample.Fingerprint(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func count(t *testing.T, db *sql.DB, query string, args ...any) (n int) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestEveryBuildIsTheSame(t *testing.T) {
	t.Parallel()
	_, a := build(t)
	_, b := build(t)
	first := prints(t, a)
	if changes := first.Changes(prints(t, b)); len(changes) > 0 {
		t.Errorf("two builds differ in %d rows, the first is %v", len(changes), changes[0])
	}
	if n := len(first); n != 18 {
		t.Errorf("the sample has %d tables, the package comment says 18", n)
	}
	for table, rows := range first {
		if len(rows) == 0 {
			t.Errorf("table %s is empty", table)
		}
	}
}

func TestThePeopleAreThoseThatTheSampleSpeaksOf(t *testing.T) {
	t.Parallel()
	_, db := build(t)
	for school, want := range map[string]int{sample.Controller: 200, sample.OtherController: 40} {
		if n := count(t, db, `SELECT count(*) FROM users WHERE school = ?`, school); n != want {
			t.Errorf("%s has %d people, want %d", school, n, want)
		}
	}
	if n := count(t, db, `SELECT count(DISTINCT display_name) FROM users`); n != 240 {
		t.Errorf("%d different names for 240 people: a mention would not tell who is meant", n)
	}
	for _, p := range []sample.Person{sample.Pupil(), sample.Sibling()} {
		n := count(t, db, `SELECT count(*) FROM users WHERE id = ? AND school = ? AND unilogin = ? AND local_id = ? AND email = ?
 AND phone = ? AND display_name = ? AND guardian_email = ?`, p.Key, p.Controller, p.UniLogin, p.LocalPersonID, p.Email,
			p.Phone, p.DisplayName, p.GuardianEmail)
		if n != 1 {
			t.Errorf("person %d is not in the database as described", p.Key)
		}
	}
	if sample.Pupil().GuardianEmail != sample.Sibling().GuardianEmail || sample.Pupil().Key == sample.Sibling().Key {
		t.Error("pupil and sibling must be two people with one parent")
	}
}

func TestTheDatabaseKeepsItsOwnReferences(t *testing.T) {
	t.Parallel()
	_, db := build(t)
	if n := count(t, db, `SELECT count(*) FROM pragma_foreign_key_check`); n != 0 {
		t.Errorf("%d rows point at nothing", n)
	}
	// Nobody of one school writes in the other: a row of one controller would name a person of another.
	n := count(t, db, `SELECT count(*) FROM messages m JOIN users s ON s.id = m.sender JOIN users r ON r.id = m.recipient
 WHERE s.school <> r.school`)
	if n != 0 {
		t.Errorf("%d messages cross the schools", n)
	}
}

func TestBuildNeverTouchesWhatIsThere(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "platform.db")
	if err := os.WriteFile(path, []byte("somebody's"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := sample.Build(t.Context(), path); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v, want an error of an existing file", err)
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != "somebody's" {
		t.Errorf("the file was changed: %q, %v", got, err)
	}
}

func TestAFailedBuildLeavesNoFile(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	path := filepath.Join(t.TempDir(), "platform.db")
	if err := sample.Build(ctx, path); err == nil {
		t.Fatal("a cancelled build succeeded")
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("half a database was left behind: %v", err)
	}
}

func TestTheFileIsForItsOwnerOnly(t *testing.T) {
	t.Parallel()
	path, _ := build(t)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(fs.FileMode(0o600), info.Mode().Perm()); diff != "" {
		t.Errorf("mode (-want +got):\n%s", diff)
	}
}
