package sqlmap

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/privacyops/privacyops/services/participant/internal/participant"
)

// maker finds the script that builds the learning platform, beside the checkout.
func maker(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; ; dir = filepath.Dir(dir) {
		path := filepath.Join(dir, "..", "shared", "fixtures", "lms", "make_lms.py")
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			if _, err := os.Stat(path); err != nil {
				t.Skip("The learning platform's fixtures are not beside this checkout.")
			}
			if _, err := exec.LookPath("python3"); err != nil {
				t.Skip("The learning platform's fixtures need python3, which is not here.")
			}
			return path
		}
		if dir == filepath.Dir(dir) {
			t.Skip("This is not a checkout: there is no go.work above.")
		}
	}
}

// platform builds the 483 tables for 100 subjects.
func (w *world) platform(script string) {
	w.Helper()
	if w.e == SQLite {
		w.dsn = filepath.Join(w.TempDir(), "lms.db")
		if out, err := exec.Command("python3", script, "--subjects", "100", "--sqlite", w.dsn).CombinedOutput(); err != nil {
			w.Fatalf("%v: %s", err, out)
		}
		w.open()
		return
	}
	text, err := exec.Command("python3", script, "--subjects", "100", "--postgres").Output()
	if err != nil {
		w.Fatal(err)
	}
	conn, err := pgx.Connect(context.Background(), w.dsn)
	if err != nil {
		w.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.PgConn().Exec(context.Background(), string(text)).ReadAll(); err != nil {
		w.Fatal(err)
	}
}

// byID dumps a table by the id of its rows.
func (w *world) byID(table string) map[string]string {
	w.Helper()
	out := map[string]string{}
	for _, row := range w.dump(table) {
		for _, cell := range strings.Split(row, "\x1f") {
			if name, value, _ := strings.Cut(cell, "="); name == "id" {
				out[value] = row
			}
		}
	}
	return out
}

func TestMoodle(t *testing.T) {
	t.Parallel()
	script := maker(t)
	yaml, err := os.ReadFile(filepath.Join("..", "..", "testdata", "moodle.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	each(t, func(t *testing.T, w *world) { testMoodle(t, w, script, string(yaml)) })
}

func testMoodle(t *testing.T, w *world, script, yaml string) {
	ctx := context.Background()
	w.platform(script)
	w.exec(`UPDATE mdl_assign_grades SET grader = 7 WHERE id = 8`) // 7 graded 8
	before := map[string]map[string]string{}
	for _, table := range w.tables() {
		before[table] = w.byID(table)
	}
	if len(before) != 483 {
		t.Fatalf("the platform has %d tables, want 483", len(before))
	}
	a := w.adapter(yaml)
	s := subject("UNILOGIN", "u000007")

	where, err := a.Locate(ctx, s)
	if err != nil {
		t.Fatal(err)
	}
	want := []participant.Identifier{{Type: "LOCAL_PERSON_ID", Value: "L000007"}, {Type: "EMAIL", Value: "u000007@skole.example"}}
	if !slices.Equal(where.Further, want) || len(where.Shared) > 0 || !where.Known {
		t.Errorf("Locate found %d further identifiers, %d shared, known %t", len(where.Further), len(where.Shared), where.Known)
	}
	for _, c := range where.Counts {
		want := int64(1)
		switch c.Dataset {
		case "grades-given":
			want = 2
		case "posts-naming-the-person":
			want = 0
		}
		if c.Rows != want {
			t.Errorf("Locate counts %d rows in %s, want %d", c.Rows, c.Dataset, want)
		}
	}

	texts := map[string]bool{}
	if _, err := a.Export(ctx, participant.ExportRequest{Subject: s}, func(r participant.Record) error {
		for _, c := range r.Columns {
			texts[r.Dataset+"."+c.Name] = strings.Contains(string(c.Value), "C7.")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []string{"user.firstname", "submission-texts.onlinetext", "messages.fullmessage", "log.other"} {
		if !texts[c] {
			t.Errorf("the export lacks %s", c)
		}
	}

	r := request(t, a, "e1", s)
	got, err := a.Erase(ctx, r)
	if err != nil {
		t.Fatal(err)
	}
	one := func(action string) string {
		n := map[string]int{action: 1}
		return fmt.Sprintf("located 1 erased %d anonymised %d kept %d unchanged %d", n["erased"], n["anonymised"], n["kept"], n["unchanged"])
	}
	if diff := cmp.Diff(map[string]string{
		"user": one("erased"), "user-children": one("unchanged"), "last-access": one("erased"), "preferences": one("erased"),
		"forum-posts": one("anonymised"), "forum-private-replies": one("anonymised"),
		"forum-discussions": one("anonymised"), "forum-discussions-changed": one("anonymised"),
		"submissions": one("erased"), "submission-texts": one("erased"), "grades": one("erased"),
		"grades-given":    "located 2 erased 0 anonymised 1 kept 0 unchanged 1",
		"message-actions": one("erased"), "message-actions-of-others": one("unchanged"), "messages": one("erased"),
		"log": one("erased"), "log-related": one("unchanged"), "log-real": one("unchanged"),
		"course-grades": one("erased"), "course-grades-changed": one("unchanged"), "completions": one("kept"),
	}, counts(got)); diff != "" {
		t.Errorf("Erase counts (-want +got):\n%s", diff)
	}
	w.unchanged(a, before)

	seen, err := a.Verify(ctx, participant.VerifyRequest{Request: "e1", Subject: s})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]participant.Finding{{Dataset: "completions", Table: "mdl_course_completions", Column: "userid",
		Method: participant.ByLink, Rows: 1, Kept: true}}, seen.Findings); diff != "" {
		t.Errorf("Verify finds (-want +got):\n%s", diff)
	}
}

// unchanged checks that nothing of subject 7 is left in the mapped tables and that
// every other row of every table is as it was.
func (w *world) unchanged(a *Adapter, before map[string]map[string]string) {
	w.Helper()
	mapped := map[string]bool{}
	for _, t := range a.plan.tables() {
		mapped[t.name] = true
	}
	for table, rows := range before {
		after := w.byID(table)
		for id, row := range rows {
			mine := strings.HasSuffix(id, ":7") && mapped[table]
			if mine && strings.Contains(after[id], "C7.") {
				w.Errorf("table %s still holds a text of subject 7", table)
			}
			if grade8 := table == "mdl_assign_grades" && strings.HasSuffix(id, ":8"); grade8 {
				if want := strings.Replace(row, "grader=int64:7", "grader=int64:-1", 1); after[id] != want {
					w.Errorf("the grade of 8, given by 7, is %q, want %q", after[id], want)
				}
			} else if !mine && after[id] != row {
				w.Errorf("row %s of table %s was changed", id, table)
			}
			delete(after, id)
		}
		if len(after) > 0 {
			w.Errorf("table %s has %d new rows", table, len(after))
		}
	}
}
