package sqlmap

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/services/participant/internal/participant"
)

// Whatever is put back after an erasure is found, each by the way that can find it.
func TestVerifyFinds(t *testing.T) {
	t.Parallel()
	left := func(dataset, table, column string, m participant.Method) participant.Finding {
		return participant.Finding{Dataset: dataset, Table: table, Column: column, Method: m, Rows: 1}
	}
	cases := []struct {
		name, sql string
		want      []participant.Finding
	}{
		{"nothing", `SELECT 1`, nil},
		{"a new row by link", `INSERT INTO submissions VALUES (99, 1, 'new')`, []participant.Finding{left("submissions", "submissions", "userid", participant.ByLink)}},
		{"a row by user name", `INSERT INTO notes VALUES ('u1001', 9, 'x')`, []participant.Finding{
			left("notes", "notes", "login", participant.ByLink), left("notes", "notes", "login", participant.ByContent)}},
		{"a recorded row that came back", `INSERT INTO grades VALUES (1, 'math', 3, 7, 'fine')`, []participant.Finding{
			left("grades", "grades", "pupil", participant.ByLink), left("grades", "grades", "", participant.ByRecord)}},
		{"an orphan of a recorded parent", `INSERT INTO texts VALUES (999, 10, 'late', 0)`, []participant.Finding{left("texts", "texts", "submission", participant.ByRecord)}},
		{"the person", `INSERT INTO users VALUES (1, 'c1', 'u1001', NULL, NULL, NULL, NULL)`, []participant.Finding{
			left("user", "users", "id", participant.ByLink), left("user", "users", "username", participant.ByContent)}},
		{"the person under another key", `INSERT INTO users VALUES (77, 'c1', 'u1001', NULL, NULL, NULL, NULL)`, []participant.Finding{
			left("user", "users", "id", participant.ByLink), left("user", "users", "username", participant.ByContent)}},
		{"an anonymisation undone", `UPDATE posts SET author = 1, message = 'hi' WHERE id = 1`, []participant.Finding{
			left("posts", "posts", "author", participant.ByLink), left("posts", "posts", "", participant.ByRecord)}},
		{"a name in a text", `UPDATE texts SET body = 'ask (U1001), please' WHERE id = 200`, []participant.Finding{left("texts", "texts", "body", participant.ByContent)}},
		{"part of another name", `UPDATE texts SET body = 'xu1001 u10011' WHERE id = 200`, nil},
		{"a name in a column of a mention", `UPDATE posts SET message = 'u1001!' WHERE id = 3`, []participant.Finding{
			{Dataset: "named-in-posts", Table: "posts", Column: "message", Method: participant.ByContent, Rows: 1, Kept: true}}},
		{"a name in a text of another controller's person", `INSERT INTO grades VALUES (4, 'art', NULL, 1, 'u1001')`, nil},
		{"a foreign key that the map does not know", `INSERT INTO unmapped VALUES (1)`, []participant.Finding{left("", "unmapped", "userid", participant.ByLink)}},
	}
	each(t, func(t *testing.T, w *world) {
		for _, c := range cases {
			w.again(t)
			w.exec(`CREATE TABLE unmapped (userid INTEGER REFERENCES users (id))`)
			a := w.adapter(schoolMap)
			s := subject("UNILOGIN", "u1001", "EMAIL", "home@x.example")
			mustErase(t, a, request(t, a, "e1", s))
			conn, err := w.db.Conn(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			off := map[Engine]string{SQLite: "PRAGMA foreign_keys = OFF", PostgreSQL: "SET session_replication_role = replica"}[w.e]
			for _, q := range []string{off, c.sql} {
				if _, err := conn.ExecContext(context.Background(), q); err != nil {
					t.Fatal(err)
				}
			}
			_ = conn.Close()
			got := verify(t, a, "e1", s)
			want := append([]participant.Finding{{Dataset: "bills", Table: "bills", Column: "userid", Method: participant.ByLink, Rows: 1, Kept: true}}, c.want...)
			if diff := cmp.Diff(byName(want), byName(got.Findings)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.name, diff)
			}
			_ = a.Close()
		}
	})
}

func byName(findings []participant.Finding) map[string]bool {
	out := map[string]bool{}
	for _, f := range findings {
		out[fmt.Sprintf("%+v", f)] = true
	}
	return out
}

// Rows that arrive while the erasure runs are erased too; a flood of them stops it
// before the person's own row goes.
func TestArrivals(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.exec(school)
		arrive := `INSERT INTO submissions (id, userid) SELECT max(id) + 1, 1 FROM submissions; INSERT INTO texts (id, submission) SELECT max(t.id) + 1, max(s.id) FROM texts t, submissions s`
		if w.e == SQLite {
			if _, err := w.db.Exec(`CREATE TRIGGER late AFTER DELETE ON submissions WHEN (SELECT count(*) FROM submissions WHERE id > 40) < 3 BEGIN ` + arrive + `; END`); err != nil {
				t.Fatal(err)
			}
		} else {
			w.exec(`CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN IF (SELECT count(*) FROM submissions WHERE id > 40) < 3 THEN ` + arrive + `; END IF; RETURN NULL; END'`)
			w.exec(`CREATE TRIGGER late AFTER DELETE ON submissions FOR EACH ROW EXECUTE FUNCTION late()`)
		}
		a := w.adapter(schoolMap)
		r := request(t, a, "e1", ann)
		if _, err := a.Erase(context.Background(), r); !errors.Is(err, participant.ErrUnsettled) {
			t.Fatalf("rows that never stop arriving: %v", err)
		}
		if w.number(`SELECT count(*) FROM users WHERE id = 1`) != 1 {
			t.Error("the person's row is gone while their data keep arriving")
		}
		drop := map[Engine]string{SQLite: `DROP TRIGGER late`, PostgreSQL: `DROP TRIGGER late ON submissions`}[w.e]
		w.exec(drop)
		mustErase(t, a, r)
		if n := w.number(`SELECT (SELECT count(*) FROM submissions WHERE userid = 1) + (SELECT count(*) FROM texts WHERE id NOT IN (200, 400))`); n != 0 {
			t.Errorf("%d rows that arrived are left", n)
		}
		if found := verify(t, a, "e1", ann); !found.Clean() {
			t.Errorf("Verify finds %+v", found.Findings)
		}
	})
}

// A row that is kept by a path which the erasure breaks is still known as kept.
func TestKeptByBrokenPath(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.exec(school)
		w.exec(`ALTER TABLE texts ADD COLUMN reviewer INTEGER;
UPDATE texts SET reviewer = 1 WHERE id IN (100, 200)`)
		a := w.adapter(edited(schoolMap, "mentions:", `  - name: texts-reviewed
    table: texts
    path: [{column: reviewer, to: person}]
    category: WORK
    activity: teaching
    erase: {action: columns, columns: {reviewer: {do: "null"}}}
mentions:`))
		r := request(t, a, "e1", ann)
		r.Datasets = slices.DeleteFunc(r.Datasets, func(name string) bool { return name == "texts" })
		got := mustErase(t, a, r)
		if got["texts"] != "located 2 erased 0 anonymised 0 kept 2 unchanged 0" || got["texts-reviewed"] != "located 2 erased 0 anonymised 1 kept 0 unchanged 1" {
			t.Errorf("counts %v", got)
		}
		if n := w.number(`SELECT count(*) FROM texts WHERE id = 100 AND reviewer = 1`); n != 1 {
			t.Error("a kept row was changed")
		}
		if found := verify(t, a, "e1", ann); !found.Clean() {
			t.Errorf("Verify finds %+v", found.Findings)
		}
	})
}

// Every identifier type of the protocol can stand in a data map.
func TestIdentifierTypes(t *testing.T) {
	t.Parallel()
	for _, typ := range participant.IdentifierTypes() {
		m := parse(t, edited(schoolMap, "type: UNILOGIN", "type: "+string(typ)))
		if m.Person.Identifiers[0].Type != string(typ) {
			t.Errorf("type %s was read as %s", typ, m.Person.Identifiers[0].Type)
		}
	}
}
