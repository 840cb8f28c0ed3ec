package historytest

import (
	"fmt"
	"os"
	"strings"

	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// Cell is what the decision table expects.
type Cell struct {
	Allowed bool
	Reason  consent.Reason
}

// Row is one situation of the decision table.
type Row struct {
	Situation, Says string
	Cells           map[consent.LegalBasis]Cell
}

// Table is the decision table, as it was reviewed.
type Table struct {
	// Bases are the columns, in their order.
	Bases []consent.LegalBasis
	Rows  []Row
}

// leading is how many columns come before those of the bases.
const leading = 2

// ReadTable reads the one table of a Markdown file. Its first column is the situation, its second what that means; the others are
// headed by a legal basis and its article, and have cells `ALLOW REASON` or `DENY REASON`.
func ReadTable(path string) (t Table, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return t, err
	}
	var lines [][]string
	for line := range strings.Lines(string(text)) {
		if cells, ok := split(line); ok {
			lines = append(lines, cells)
		}
	}
	if len(lines) < 3 { // heading, rule, one row
		return t, fmt.Errorf("%s has no table", path)
	}
	if t.Bases, err = heading(lines[0]); err != nil {
		return t, fmt.Errorf("%s: %w", path, err)
	}
	for _, cells := range lines[2:] {
		row, err := t.row(cells)
		if err != nil {
			return t, fmt.Errorf("%s: row %q: %w", path, cells[0], err)
		}
		t.Rows = append(t.Rows, row)
	}
	return t, nil
}

// split takes a line of a table apart; false where it is none.
func split(line string) ([]string, bool) {
	line, ok := strings.CutPrefix(strings.TrimSpace(line), "|")
	if !ok {
		return nil, false
	}
	cells := strings.Split(strings.TrimSuffix(line, "|"), "|")
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	return cells, true
}

func heading(cells []string) (bases []consent.LegalBasis, err error) {
	for _, cell := range cells[min(leading, len(cells)):] {
		name, article, _ := strings.Cut(cell, " ")
		basis := consent.LegalBasis(name)
		if article != basis.Article() || article == "" {
			return nil, fmt.Errorf("column %q is not headed by a legal basis and its article", cell)
		}
		bases = append(bases, basis)
	}
	return bases, nil
}

func (t Table) row(cells []string) (Row, error) {
	if len(cells) != leading+len(t.Bases) {
		return Row{}, fmt.Errorf("has %d cells", len(cells))
	}
	row := Row{Situation: cells[0], Says: cells[1], Cells: map[consent.LegalBasis]Cell{}}
	for i, basis := range t.Bases {
		outcome, reason, _ := strings.Cut(cells[leading+i], " ")
		if outcome != "ALLOW" && outcome != "DENY" || reason == "" || strings.Contains(reason, " ") {
			return Row{}, fmt.Errorf("under %s: %q is no answer", basis, cells[leading+i])
		}
		row.Cells[basis] = Cell{Allowed: outcome == "ALLOW", Reason: consent.Reason(reason)}
	}
	return row, nil
}
