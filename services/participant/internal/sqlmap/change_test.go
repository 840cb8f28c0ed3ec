package sqlmap

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/services/participant/internal/participant"
)

const dates = `version: 1
system: dates
person: {table: person, key: id, identifiers: [{type: UNILOGIN, column: login}]}
datasets:
  - name: person
    table: person
    category: C
    activity: a
    erase:
      action: columns
      columns:
        login: {do: replace, with: "gone-{key}-{key}"}
        born: {do: generalise, to: year}
        seen: {do: generalise, to: month, unit: microseconds}
        made: {do: generalise, to: day}
        day: {do: generalise, to: month}
        stamp: {do: generalise, to: year}
        flag: {do: replace, with: false}
        raw: {do: replace, with: "x"}
        size: {do: replace, with: 1.5}
        doc: {do: replace, with: "{}"}
        note: {do: keep}
`

// Every kind of change on every kind of column, on null, odd and negative values.
func TestChanges(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		types := map[Engine][]any{SQLite: {"BIGINT", "DATE", "TIMESTAMP", "BOOLEAN", "BLOB", "REAL", "JSON"},
			PostgreSQL: {"BIGINT", "DATE", "TIMESTAMPTZ", "BOOLEAN", "BYTEA", "DOUBLE PRECISION", "JSON"}}[w.e]
		w.exec(fmt.Sprintf(`CREATE TABLE person (id INTEGER PRIMARY KEY, login TEXT UNIQUE, born TEXT, seen %[1]s, made INTEGER, day %[2]s, stamp %[3]s,
  flag %[4]s, raw %[5]s, size %[6]s, doc %[7]s, note TEXT)`, types...))
		w.exec(`INSERT INTO person VALUES (1, 'a-login', '2011-05-06T07:08:09Z', 1710590400123456, -1, '2011-05-06', '2011-05-06 07:08:09+00', true, NULL, 3, '{"a":1}', 'n'),
  (2, 'b-login', 'last spring', -1, 1710590400, NULL, NULL, NULL, NULL, NULL, NULL, NULL), (3, 'c-login', NULL, NULL, NULL, '2012-01-31', '2012-12-31 23:59:59+00', false, NULL, 1.5, '{}', NULL)`)
		a := w.adapter(dates)
		for i, login := range []string{"a-login", "b-login", "c-login"} {
			id := fmt.Sprint("e", i)
			s := subject("UNILOGIN", login)
			got := mustErase(t, a, request(t, a, id, s))
			if got["person"] != "located 1 erased 0 anonymised 1 kept 0 unchanged 0" {
				t.Errorf("%s: %s", login, got["person"])
			}
			if found := verify(t, a, id, s); len(found.Findings) > 0 {
				t.Errorf("%s: Verify finds %+v", login, found.Findings)
			}
		}
		var got []string
		if _, err := a.Export(context.Background(), participant.ExportRequest{Subject: subject("UNILOGIN", "gone-1-1", "UNILOGIN", "gone-2-2", "UNILOGIN", "gone-3-3")},
			func(r participant.Record) error {
				line := ""
				for _, c := range r.Columns[1:] {
					line += string(c.Value) + " "
				}
				// The engines write times and booleans in their own ways.
				got = append(got, strings.NewReplacer(`T00:00:00+00:00"`, `"`, `"2011-01-01 00:00:00+00"`, `"2011-01-01"`).Replace(line))
				return nil
			}); err != nil {
			t.Fatal(err)
		}
		want := []string{
			`"gone-1-1" "2011-01-01" 1709251200000000 -86400 "2011-05-01" "2011-01-01" false {"encoding":"base64","data":"eA=="} 1.5 {} "n" `,
			`"gone-2-2" "" -2678400000000 1710547200 null null false {"encoding":"base64","data":"eA=="} 1.5 {} null `,
			`"gone-3-3" null null null "2012-01-01" "2012-01-01" false {"encoding":"base64","data":"eA=="} 1.5 {} null `,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("rows (-want +got):\n%s", diff)
		}
	})
}

func TestHasWord(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text, word string
		want       bool
	}{
		{"u000007", "u000007", true}, {"see U000007.", "u000007", true}, {"u0000071", "u000007", false}, {"xu000007", "u000007", false},
		{"u0000071 u000007", "u000007", true}, {"åu000007", "u000007", false}, {"_u000007_", "u000007", true}, {"Søren Ærø", "søren ærø", true},
		{"", "u000007", false}, {"abc", "", false}, {"a@b.dk.", "a@b.dk", true}, {"ÆÆ", "æ", false},
	} {
		if got := hasWord(c.text, c.word); got != c.want {
			t.Errorf("hasWord(%q, %q) = %t", c.text, c.word, got)
		}
	}
}
