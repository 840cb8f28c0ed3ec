package sqldb

import (
	"strings"
	"testing"
)

func FuzzParameters(f *testing.F) {
	for _, query := range []string{
		``, `SELECT $1`, `SELECT $2, $1, $12`, `SELECT '$3'`, `SELECT 'it''s $3', $1`, `SELECT "$3" -- $4`,
		"SELECT 1 -- $4\n, $2", `/* $5 */ SELECT $1`, `SELECT $`, `SELECT $a`, `SELECT $0`, `'`, `--`, `/*`, `/*/`, `$99999999999999999999`,
	} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		highest, err := parameters(query)
		if err != nil && !strings.Contains(query, "$") {
			t.Errorf("%q has no $: %v", query, err)
		}
		if (highest > 0) && (err != nil || !strings.Contains(query, "$")) {
			t.Errorf("%q: highest %d, %v", query, highest, err)
		}
		// Quoted text and comments in front change nothing.
		for _, hidden := range []string{"'$7'", `"$7"`, "-- $7\n", "/* $7 */"} {
			// The space keeps a quote from continuing the one before it.
			again, againErr := parameters(hidden + " " + query)
			if again != highest || (againErr == nil) != (err == nil) {
				t.Errorf("%q: highest %d, %v; behind %s %d, %v", query, highest, err, hidden, again, againErr)
			}
		}
	})
}

func TestParameters(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]int{
		`SELECT 1`: 0, `SELECT $1`: 1, `SELECT $2, $1, $12`: 12, `SELECT '$3', $1`: 1, `SELECT 'it''s $3'`: 0,
		`SELECT "$3" -- $4`: 0, "SELECT 1 -- $4\n, $2": 2, `/* $5 */ SELECT $1`: 1, `/*/ $5 */ SELECT $1`: 1,
		`SELECT 'open $3`: 0, `SELECT $`: -1, `SELECT $a`: -1, `SELECT $0`: -1, `SELECT $1$`: -1,
	} {
		got, err := parameters(query)
		if err != nil {
			got = -1
		}
		if got != want {
			t.Errorf("%s: highest parameter %d (%v), want %d", query, got, err, want)
		}
	}
}
