package sqlmap

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/services/participant/internal/participant"
)

func exportOf(login string) participant.ExportRequest {
	return participant.ExportRequest{Subject: subject("UNILOGIN", login)}
}

func count(n *int) func(participant.Record) error {
	return func(participant.Record) error { *n++; return nil }
}

// Who is found by which identifiers, and what is reported instead.
func TestWhoIsFound(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name    string
		subject participant.Subject
		users   int64
		shared  []participant.SharedIdentifier
	}{
		{"by user name", subject("UNILOGIN", "u1001"), 1, nil},
		{"by own e-mail", subject("EMAIL", "ann@x.example"), 1, nil},
		{"by key", subject("PLATFORM_USER_ID", "1"), 1, nil},
		{"by a key that is no number", subject("PLATFORM_USER_ID", "1 OR 1=1"), 0, nil},
		{"by a key out of range", subject("PLATFORM_USER_ID", "99999999999999999999"), 0, nil},
		{"by a key written otherwise", subject("PLATFORM_USER_ID", "01"), 0, nil},
		{"by a quote", subject("UNILOGIN", "' OR ''='"), 0, nil},
		{"by a type the map does not have", subject("PHONE", "u1001"), 0, nil},
		{"by two names of two people", subject("UNILOGIN", "u1001", "UNILOGIN", "u1002"), 2, nil},
		{"by the parents' e-mail", subject("EMAIL", "home@x.example"), 0, []participant.SharedIdentifier{{Type: "EMAIL", Dataset: "user", People: 2}}},
		{"by an e-mail that two have", subject("EMAIL", "same@x.example"), 0, []participant.SharedIdentifier{{Type: "EMAIL", Dataset: "user", People: 2}}},
		{"by an e-mail that is another's parent's", subject("EMAIL", "cy@x.example"), 0, []participant.SharedIdentifier{{Type: "EMAIL", Dataset: "user", People: 2}}},
		{"by the e-mail of an only child's parents", subject("EMAIL", "only@x.example"), 0, []participant.SharedIdentifier{{Type: "EMAIL", Dataset: "user", People: 1}}},
		{"by the parents' e-mail given as one's own", subject("EMAIL", "own@x.example"), 0, []participant.SharedIdentifier{{Type: "EMAIL", Dataset: "user", People: 1}}},
		{"by a shared one beside an own one", subject("UNILOGIN", "u1001", "EMAIL", "home@x.example"), 1, []participant.SharedIdentifier{{Type: "EMAIL", Dataset: "user", People: 2}}},
		{"by an e-mail of somebody with another user name", subject("UNILOGIN", "u1001", "EMAIL", "bo@x.example"), 1, []participant.SharedIdentifier{{Type: "EMAIL", Dataset: "user", People: 2}}},
		{"by a user name whose e-mail changed", subject("UNILOGIN", "u1001", "EMAIL", "old@x.example"), 1, nil},
		{"of another controller", subject("UNILOGIN", "u1004"), 0, nil},
		{"by a name in another normal form", subject("UNILOGIN", "a\u030asa"), 1, nil},
	}
	each(t, func(t *testing.T, w *world) {
		a := w.school()
		w.exec(`INSERT INTO users VALUES (5, 'c1', 'u1005', 'same@x.example', NULL, 'E', NULL), (6, 'c1', 'u1006', 'same@x.example', NULL, 'F', NULL),
  (7, 'c1', 'åsa', 'g@x.example', 'cy@x.example', 'G', NULL), (8, 'c1', 'u1008', 'h@x.example', 'only@x.example', 'H', NULL),
  (9, 'c1', 'u1009', 'own@x.example', 'own@x.example', 'I', NULL)`)
		for _, c := range cases {
			got, err := a.Locate(context.Background(), c.subject)
			if err != nil {
				t.Fatal(err)
			}
			if got.Counts[0].Rows != c.users || got.Known != (c.users > 0) {
				t.Errorf("%s: %d people, want %d", c.name, got.Counts[0].Rows, c.users)
			}
			reported := slices.DeleteFunc(got.Shared, func(s participant.SharedIdentifier) bool { return c.shared == nil && c.users > 0 })
			if diff := cmp.Diff(c.shared, reported); diff != "" && len(c.shared)+len(reported) > 0 {
				t.Errorf("%s: shared (-want +got):\n%s", c.name, diff)
			}
			for _, id := range got.Further {
				if id.Value == "home@x.example" || id.Value == "same@x.example" || id.Value == "cy@x.example" && c.users == 1 && id.Type == "EMAIL" {
					t.Errorf("%s: a shared identifier is offered as a further one", c.name)
				}
			}
		}
	})
}

// Two siblings share an e-mail. Erasing one by it, together with a weaker identifier,
// must not reach the other on a retry, when only the other still has it.
func TestSiblings(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.exec(school)
		w.exec(`UPDATE users SET email = 'both@x.example' WHERE id IN (1, 2)`)
		m := parse(t, schoolMap)
		s := subject("EMAIL", "both@x.example", "PLATFORM_USER_ID", "1")
		count := &faults{left: -1}
		a := w.process(m, count)
		mustErase(t, a, request(t, a, "e1", s))
		_ = a.Close()
		for _, back := range []int{1, 2, 3, 4, 5} { // the last steps, when the first sibling is gone
			w.again(t)
			w.exec(`UPDATE users SET email = 'both@x.example' WHERE id IN (1, 2)`)
			a := w.process(m, &faults{left: count.steps - back})
			r := request(t, a, "e1", s)
			if _, err := a.Erase(context.Background(), r); err == nil {
				t.Fatal("no crash")
			}
			_ = a.Close()
			b := w.process(m, &faults{left: -1})
			mustErase(t, b, r)
			if w.number(`SELECT count(*) FROM users WHERE id = 2`) != 1 || w.number(`SELECT count(*) FROM texts WHERE id = 200`) != 1 {
				t.Error("the sibling was erased too")
			}
			if found := verify(t, b, "e1", s); !found.Clean() {
				t.Errorf("the sibling is taken for a leftover: %+v", found.Findings)
			}
			_ = b.Close()
		}
	})
}

// A table that repeats an identifier is not followed by a value that several have.
func TestSharedPathEnd(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		a := w.school("path: [{column: login, to: {table: users, column: username}}]", "path: [{column: login, to: {table: users, column: parent_email}}]")
		w.exec(`INSERT INTO notes VALUES ('home@x.example', 1, 'about a child')`)
		got, err := a.Locate(context.Background(), ann)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(got.Shared, participant.SharedIdentifier{Type: "EMAIL", Dataset: "notes", People: 2}) {
			t.Errorf("shared: %v", got.Shared)
		}
		if got := mustErase(t, a, request(t, a, "e1", ann)); got["notes"] != "" {
			t.Errorf("notes: %s", got["notes"])
		}
		if w.number(`SELECT count(*) FROM notes`) != 4 {
			t.Error("a note was erased by a shared identifier")
		}
	})
}

// What a driver says may hold values; what the adapter says does not.
func TestErrorsHideValues(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		a := w.school()
		w.exec(`CREATE TABLE sealed (userid INTEGER REFERENCES users (id), secret TEXT);
INSERT INTO sealed VALUES (1, 'very secret')`)
		_, err := a.Erase(context.Background(), request(t, a, "e1", ann))
		code := map[Engine]string{SQLite: "SQLite code 787", PostgreSQL: "SQLSTATE 23503"}[w.e]
		want := "sqlmap: erasing dataset user: the database refused (" + code + ")"
		if err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
		if w.number(`SELECT count(*) FROM users WHERE id = 1`) != 1 {
			t.Error("the person's row is gone although the database refused")
		}
		_ = w.db.Close()
		_ = a.db.Close()
		if _, err := a.Locate(context.Background(), ann); err == nil || strings.Contains(err.Error(), "u1001") {
			t.Errorf("error %v", err)
		}
	})
}
