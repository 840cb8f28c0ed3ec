package consent_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/services/consent/internal/consent"
	"github.com/privacyops/privacyops/services/consent/internal/historytest"
)

const tablePath = "testdata/decisions.md"

func decisionTable(t *testing.T) historytest.Table {
	t.Helper()
	table, err := historytest.ReadTable(tablePath)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// Every cell of the reviewed table is what the code answers.
func TestDecisionsAreThoseOfTheTable(t *testing.T) {
	t.Parallel()
	table := decisionTable(t)
	for _, s := range historytest.Situations {
		i := slices.IndexFunc(table.Rows, func(r historytest.Row) bool { return r.Situation == s.Name })
		if i < 0 {
			t.Errorf("the table has no row %q", s.Name)
			continue
		}
		if table.Rows[i].Says != s.Says {
			t.Errorf("row %q is explained as %q, and is tested as %q", s.Name, table.Rows[i].Says, s.Says)
		}
		for _, basis := range consent.Bases() {
			want, ok := table.Rows[i].Cells[basis]
			if !ok {
				t.Errorf("row %q has no answer under %s", s.Name, basis)
				continue
			}
			c := s.Case(basis, "learning", "u1")
			snapshot := consent.SnapshotAt(c.History, c.Refs, consent.Moment{AsOf: historytest.Noon, KnownAt: historytest.Noon})
			snapshot.Stale = c.Stale
			d := consent.Decide(c.Question, snapshot)
			if got := (historytest.Cell{Allowed: d.Allowed, Reason: d.Reason}); got != want {
				t.Errorf("%s under %s: %+v, want %+v", s.Name, basis, got, want)
			}
		}
	}
}

// The table has a column for each basis, a row for each situation, and each reason at least once; and nothing else.
func TestTheTableHasNoGap(t *testing.T) {
	t.Parallel()
	table := decisionTable(t)
	columns := slices.Sorted(slices.Values(table.Bases))
	if diff := cmp.Diff(consent.Bases(), columns); diff != "" {
		t.Errorf("columns (-code +table):\n%s", diff)
	}
	var rows, situations []string
	reasons := map[consent.Reason]bool{}
	for _, row := range table.Rows {
		rows = append(rows, row.Situation)
		for _, cell := range row.Cells {
			reasons[cell.Reason] = true
		}
	}
	for _, s := range historytest.Situations {
		situations = append(situations, s.Name)
	}
	if diff := cmp.Diff(situations, rows); diff != "" {
		t.Errorf("rows (-code +table):\n%s", diff)
	}
	for _, reason := range consent.Reasons() {
		if !reasons[reason] {
			t.Errorf("no situation of the table leads to %s", reason)
		}
		delete(reasons, reason)
	}
	for reason := range reasons {
		t.Errorf("the table has the reason %s, which the code does not know", reason)
	}
}

// A table with a gap is refused.
func TestATableWithAGapIsRefused(t *testing.T) {
	t.Parallel()
	whole, err := os.ReadFile(tablePath)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"an empty cell":      {"DENY NO_CONSENT ", "                "},
		"a cell without why": {"DENY NO_CONSENT", "DENY"},
		"a cell too few":     {"| DENY NO_CONSENT", ""},
		"no such outcome":    {"DENY NO_CONSENT", "PERHAPS NO_CONSENT"},
		"no such basis":      {"CONTRACT 6(1)(b)", "CUSTOM 6(1)(b)"},
		"the wrong article":  {"CONTRACT 6(1)(b)", "CONTRACT 6(1)(f)"},
		"no table":           {"|", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "decisions.md")
			n := 1
			if name == "no table" {
				n = -1
			}
			changed := strings.Replace(string(whole), change[0], change[1], n)
			if changed == string(whole) {
				t.Fatal("nothing was changed")
			}
			if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := historytest.ReadTable(path); err == nil {
				t.Error("it was read")
			}
		})
	}
}
