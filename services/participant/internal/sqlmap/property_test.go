package sqlmap

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/privacyops/privacyops/services/participant/internal/participant"
)

// A random platform: tables whose rows point at a person or at a row of an earlier
// table through either of two columns, and a dataset with a random action for each
// column that the map follows. The model says by itself what must become of each row.

type randomTable struct {
	name  string
	links [2]randomLink
	rows  []randomRow
}

type randomLink struct {
	parent int    // index of the table it points at, -1: the person
	action string // "", delete, columns or keep; "" = not in the map
}

type randomRow struct {
	id    int64
	links [2]int64
	text  string
}

type randomPlatform struct {
	people int
	tables []randomTable
}

func drawPlatform(t *rapid.T) *randomPlatform {
	p := &randomPlatform{people: rapid.IntRange(1, 4).Draw(t, "people")}
	for i := range rapid.IntRange(1, 4).Draw(t, "tables") {
		tbl := randomTable{name: fmt.Sprintf("t%d", i)}
		for l := range tbl.links {
			tbl.links[l] = randomLink{rapid.IntRange(-1, i-1).Draw(t, "parent"),
				rapid.SampledFrom([]string{"", "delete", "columns", "keep"}).Draw(t, "action")}
		}
		for id := range rapid.IntRange(0, 6).Draw(t, "rows") {
			row := randomRow{id: int64(id), text: rapid.SampledFrom([]string{"", "hej", "it's", "Ærø"}).Draw(t, "text")}
			for l := range row.links {
				row.links[l] = rapid.Int64Range(0, 5).Draw(t, "link")
			}
			tbl.rows = append(tbl.rows, row)
		}
		p.tables = append(p.tables, tbl)
	}
	return p
}

// sql creates and fills the tables.
func (p *randomPlatform) sql() string {
	var b strings.Builder
	b.WriteString("CREATE TABLE person (id INTEGER PRIMARY KEY, login TEXT NOT NULL);\n")
	for i := range p.people {
		fmt.Fprintf(&b, "INSERT INTO person VALUES (%d, 'login-%d');\n", i, i)
	}
	for _, t := range p.tables {
		fmt.Fprintf(&b, "CREATE TABLE %s (id INTEGER PRIMARY KEY, l0 INTEGER, l1 INTEGER, txt TEXT);\n", t.name)
		for _, r := range t.rows {
			fmt.Fprintf(&b, "INSERT INTO %s VALUES (%d, %d, %d, '%s');\n", t.name, r.id, r.links[0], r.links[1], strings.ReplaceAll(r.text, "'", "''"))
		}
	}
	return b.String()
}

// yaml is the data map. A path goes on from a parent by the parent's first column.
func (p *randomPlatform) yaml() string {
	var b strings.Builder
	b.WriteString(`version: 1
system: random
person: {table: person, key: id, identifiers: [{type: UNILOGIN, column: login}]}
datasets:
  - {name: person, table: person, category: C, activity: a, erase: {action: delete}}
`)
	for i, t := range p.tables {
		for l, link := range t.links {
			if link.action == "" {
				continue
			}
			fmt.Fprintf(&b, "  - name: t%d-%d\n    table: %s\n    category: C\n    activity: a\n    path:\n", i, l, t.name)
			column := fmt.Sprintf("l%d", l)
			for parent := link.parent; ; parent = p.tables[parent].links[0].parent {
				if parent < 0 {
					fmt.Fprintf(&b, "      - {column: %s, to: person}\n", column)
					break
				}
				fmt.Fprintf(&b, "      - {column: %s, to: {table: %s, column: id}}\n", column, p.tables[parent].name)
				column = "l0"
			}
			switch link.action {
			case "keep":
				b.WriteString("    erase: {action: keep, ground: G, article: a, explanation: {da: d, en: e}}\n")
			case "columns":
				fmt.Fprintf(&b, "    erase: {action: columns, columns: {l%d: {do: \"null\"}, txt: {do: replace, with: gone}}}\n", l)
			default:
				b.WriteString("    erase: {action: delete}\n")
			}
		}
	}
	return b.String()
}

// reaches says by following the rows whether a row leads to the person.
func (p *randomPlatform) reaches(table, link int, r randomRow, person int64) bool {
	parent := p.tables[table].links[link].parent
	if parent < 0 {
		return r.links[link] == person
	}
	for _, up := range p.tables[parent].rows {
		if up.id == r.links[link] {
			return p.reaches(parent, 0, up, person)
		}
	}
	return false
}

// expected is every table after the person was erased, as "table: row" lines, and how
// many rows are erased and how many changes are made.
func (p *randomPlatform) expected(person int64) (out []string, erased, changed int64) {
	for i := range p.people {
		if int64(i) != person {
			out = append(out, fmt.Sprintf("person: %d", i))
			continue
		}
		erased++
	}
	for i, t := range p.tables {
		for _, r := range t.rows {
			actions := map[string]bool{}
			changes := int64(0)
			links := [2]string{fmt.Sprint(r.links[0]), fmt.Sprint(r.links[1])}
			for l, link := range t.links {
				if link.action != "" && p.reaches(i, l, r, person) {
					actions[link.action] = true
					if link.action == "columns" {
						links[l] = "null"
						changes++
					}
				}
			}
			text := r.text
			switch {
			case actions["keep"]:
				links = [2]string{fmt.Sprint(r.links[0]), fmt.Sprint(r.links[1])}
			case actions["delete"]:
				erased++
				continue
			case actions["columns"]:
				changed += changes
				text = "gone"
			}
			out = append(out, fmt.Sprintf("%s: %d %s %s %s", t.name, r.id, links[0], links[1], text))
		}
	}
	slices.Sort(out)
	return out, erased, changed
}

// actual reads the same lines from the database.
func (p *randomPlatform) actual(w *world) []string {
	var out []string
	read := func(query string) {
		rows, err := w.db.Query(query)
		if err != nil {
			w.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var s string
			if err := rows.Scan(&s); err != nil {
				w.Fatal(err)
			}
			out = append(out, s)
		}
		if err := rows.Err(); err != nil {
			w.Fatal(err)
		}
	}
	read("SELECT 'person: ' || id FROM person")
	for _, t := range p.tables {
		read("SELECT '" + t.name + ": ' || id || ' ' || coalesce(l0, 'null') || ' ' || coalesce(l1, 'null') || ' ' || txt FROM " + t.name)
	}
	slices.Sort(out)
	return out
}

// After an erasure, with a crash somewhere and a retry, the database is what the model
// says, the counts add up, Verify is clean, and a second erasure does nothing.
func TestEraseProperty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		p := drawPlatform(rt)
		w := newWorld(t, SQLite)
		w.exec(p.sql())
		person := rapid.Int64Range(0, int64(p.people)).Draw(rt, "person") // one may be nobody
		s := subject("UNILOGIN", fmt.Sprintf("login-%d", person))
		want, erased, changed := p.expected(person)
		if person == int64(p.people) {
			want, erased, changed = p.actual(w), 0, 0
		}
		m := parse(t, p.yaml())
		a := w.process(m, &faults{left: rapid.IntRange(0, 150).Draw(rt, "crash"), after: rapid.Bool().Draw(rt, "after")})
		r := request(t, a, "e1", s)
		_, _ = a.Erase(context.Background(), r)
		_ = a.Close()
		a = w.process(m, &faults{left: -1})
		defer a.Close()
		r.FencingToken = 2
		result, err := a.Erase(context.Background(), r)
		if err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(want, p.actual(w)); diff != "" {
			rt.Fatalf("rows (-want +got):\n%s", diff)
		}
		for _, d := range result.Datasets {
			if d.Located != d.Erased+d.Anonymised+d.Kept+d.Unchanged || d.Unchanged < 0 {
				rt.Errorf("counts do not add up: %+v", d)
			}
			erased, changed = erased-d.Erased, changed-d.Anonymised
		}
		if erased != 0 || changed != 0 {
			rt.Errorf("%d erased and %d anonymised rows are missing from the counts", erased, changed)
		}
		for _, f := range verify(t, a, "e1", s).Findings {
			if !f.Kept {
				rt.Errorf("Verify finds %+v", f)
			}
		}
		second, err := a.Erase(context.Background(), request(t, a, "e2", s))
		if err != nil {
			rt.Fatal(err)
		}
		if got := slices.Collect(maps.Keys(counts(second))); len(got) > 0 {
			rt.Errorf("a second erasure counts rows in %v", got)
		}
		if diff := cmp.Diff(want, p.actual(w)); diff != "" {
			rt.Errorf("a second erasure changed rows:\n%s", diff)
		}
	})
}

// The ledger's keys survive encoding.
func TestCells(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		cells := rapid.SliceOf(rapid.OneOf(
			rapid.Just[any](nil), rapid.Int64().AsAny(), rapid.Float64().AsAny(), rapid.String().AsAny(), rapid.SliceOf(rapid.Byte()).AsAny(),
		)).Draw(t, "cells")
		b, err := encode(cells)
		if err != nil {
			t.Fatal(err)
		}
		back, err := decode(b)
		if err != nil {
			t.Fatal(err)
		}
		if len(back) != len(cells) || fmt.Sprintf("%#v", back) != fmt.Sprintf("%#v", cells) && len(cells) > 0 {
			t.Errorf("%#v became %#v", cells, back)
		}
	})
	for _, bad := range []string{"x", "s\x05ab", "i\x01a", "n\x01a", "s\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"} {
		if _, err := decode([]byte(bad)); err == nil {
			t.Errorf("%q was decoded", bad)
		}
	}
	if _, err := encode([]any{participant.Identifier{}}); err == nil {
		t.Error("an unknown type was encoded")
	}
}
