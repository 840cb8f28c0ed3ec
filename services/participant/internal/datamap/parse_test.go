package datamap_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/privacyops/privacyops/services/participant/internal/datamap"
)

// small is a valid map whose lines the error tests change.
const small = `version: 1
system: lms
person:
  table: users
  key: id
  controller: school
  identifiers:
    - {type: UNILOGIN, column: username}
    - {type: EMAIL, column: parent_email, shared: true}
datasets:
  - name: user
    table: users
    category: IDENTITY
    activity: teaching
    erase: {action: delete}
  - name: texts
    table: texts
    path:
      - {column: submission, to: {table: submissions, column: id}}
      - {column: userid, to: person}
    category: WORK
    activity: teaching
    subjectProvided: true
    others: [grader]
    export: {exclude: [{column: rank, ground: TRADE_SECRET, article: art}]}
    erase:
      action: columns
      columns:
        ip: {do: null}
        grader: {do: replace, with: 0}
        born: {do: generalise, to: year, unit: seconds}
        note: {do: keep}
  - name: bills
    table: bills
    key: [school, number]
    path: [{column: userid, to: person}]
    category: MONEY
    activity: billing
    erase: {action: keep, ground: LAW, article: art, explanation: {da: d, en: e}}
mentions:
  - {name: named, table: posts, column: text, match: [name], activity: teaching, ground: LAW, article: art, explanation: {da: d, en: e}}
`

func parse(t *testing.T, src string) *datamap.Map {
	t.Helper()
	m, err := datamap.Parse("map.yaml", []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestParse(t *testing.T) {
	t.Parallel()
	m := parse(t, small)
	want := &datamap.Map{
		File: "map.yaml", Version: 1, System: "lms",
		Person: datamap.Person{Table: "users", Key: "id", Controller: "school", Identifiers: []datamap.Identifier{
			{Type: "UNILOGIN", Column: "username", Provide: true}, {Type: "EMAIL", Column: "parent_email", Shared: true}}},
		Datasets: []datamap.Dataset{
			{Name: "user", Table: "users", Category: "IDENTITY", Activity: "teaching", Erase: datamap.Erase{Action: datamap.Delete}},
			{Name: "texts", Table: "texts", Path: []datamap.Join{
				{Column: "submission", Table: "submissions", ToColumn: "id"},
				{Column: "userid", Table: "users", ToColumn: "id", Person: true}},
				Category: "WORK", Activity: "teaching", SubjectProvided: true, Others: []datamap.Column{{Name: "grader"}},
				Exclude: []datamap.Exclude{{Column: "rank", Ground: "TRADE_SECRET", Article: "art"}},
				Erase: datamap.Erase{Action: datamap.Columns, Columns: []datamap.Change{
					{Column: "ip", Do: datamap.Null}, {Column: "grader", Do: datamap.Replace, With: "0"},
					{Column: "born", Do: datamap.Generalise, To: "year", Unit: "seconds"}, {Column: "note", Do: datamap.KeepColumn}}}},
			{Name: "bills", Table: "bills", Key: []string{"school", "number"},
				Path:     []datamap.Join{{Column: "userid", Table: "users", ToColumn: "id", Person: true}},
				Category: "MONEY", Activity: "billing",
				Erase: datamap.Erase{Action: datamap.Keep, Ground: "LAW", Article: "art", Explanation: datamap.Explanation{DA: "d", EN: "e"}}},
		},
		Mentions: []datamap.Mention{{Name: "named", Table: "posts", Column: "text", Match: []datamap.Column{{Name: "name"}},
			Category: "MENTION", Activity: "teaching", Ground: "LAW", Article: "art", Explanation: datamap.Explanation{DA: "d", EN: "e"}}},
	}
	if diff := cmp.Diff(want, m, cmpopts.IgnoreTypes(datamap.Pos{})); diff != "" {
		t.Errorf("Parse (-want +got):\n%s", diff)
	}
	if p := m.Datasets[1].Path[1].Pos; p != (datamap.Pos{Line: 20, Column: 9}) {
		t.Errorf("the second join is at %v", p)
	}
	if m.Identity().Name != "user" {
		t.Errorf("the person's own row is %q", m.Identity().Name)
	}
}

// Each case changes the small map in one place and names the whole error.
func TestErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, old, new, want string }{
		{"unknown key", "    table: texts", "    tabel: texts", `map.yaml:17:5: unknown key "tabel"; did you mean "table"?` + "\n" +
			`map.yaml:16:5: datasets[1]: required key "table" is missing`},
		{"far key", "system: lms", "system: lms\nzzzzzz: 1", `map.yaml:3:1: unknown key "zzzzzz" in the data map; allowed: version, system, schema, person, datasets, mentions`},
		{"duplicate key", "  key: id", "  key: id\n  key: id", `map.yaml:6:3: duplicate key "key"`},
		{"duplicate column", "        note: {do: keep}", "        ip: {do: keep}", `map.yaml:32:9: duplicate key "ip"`},
		{"anchor", "system: lms", "system: &a lms", `map.yaml:2:9: anchors are not allowed in a data map`},
		{"alias", "system: lms", "system: lms\nschema: *a", `map.yaml:3:9: aliases are not allowed in a data map`},
		{"tag", "system: lms", "system: !!str lms", `map.yaml:2:9: tags are not allowed in a data map`},
		{"merge", "  key: id", "  key: id\n  <<: {key: id}", `map.yaml:6:3: a key in person must be a plain word`},
		{"documents", "system: lms", "system: lms\n---\na: 1", `map.yaml:3:1: a data map is one document`},
		{"syntax", "system: lms", "system: [", `map.yaml:2:1: did not find expected ',' or ']'`},
		{"version", "version: 1", "version: 2", `map.yaml:1:10: version must be 1`},
		{"system", "system: lms", "system: LMS", `map.yaml:2:9: system must be 1 to 63 of a-z, 0-9 and '-', and not begin with '-'`},
		{"not a text", "system: lms", "system: 12", `map.yaml:2:9: system must be a text; write it in quotes`},
		{"list for text", "system: lms", "system: [a]", `map.yaml:2:9: system must be a text, not a list`},
		{"action", "erase: {action: delete}", "erase: {action: drop}", `map.yaml:15:21: action: "drop" is not one of delete, columns, keep`},
		{"identifier type", "type: UNILOGIN", "type: CPR", `map.yaml:8:14: type: "CPR" is not one of UNILOGIN, LOCAL_PERSON_ID, EMAIL, PLATFORM_USER_ID, PHONE, STUDENT_NUMBER`},
		{"boolean", "shared: true", "shared: yes", `map.yaml:9:51: shared must be true or false`},
		{"shared and provided", "shared: true", "shared: true, provide: true", `map.yaml:9:66: a shared identifier is never offered to other systems; take provide out`},
		{"all shared", "column: username}", "column: username, shared: true}", `map.yaml:4:3: person: at least one identifier must not be shared, or nobody can be found`},
		{"keep without article", "ground: LAW, article: art, explanation: {da: d, en: e}}\nmentions", "ground: LAW, explanation: {da: d, en: e}}\nmentions",
			`map.yaml:39:12: erase: required key "article" is missing`},
		{"keep without Danish", "{da: d, en: e}}\nmentions", "{en: e}}\nmentions", `map.yaml:39:67: explanation: required key "da" is missing`},
		{"ground of a delete", "erase: {action: delete}", "erase: {action: delete, ground: LAW}", `map.yaml:15:37: ground belongs to action: keep only`},
		{"columns of a delete", "erase: {action: delete}", "erase: {action: delete, columns: {a: {do: keep}}}", `map.yaml:15:38: columns belongs to action: columns only`},
		{"with of a null", "{do: null}", "{do: null, with: 1}", `map.yaml:29:30: with belongs to do: replace only`},
		{"replace by null", "with: 0", "with: null", `map.yaml:30:37: with must be a constant, not empty; to empty a column use do: null or with: ""`},
		{"to", "to: year, unit", "to: decade, unit", `map.yaml:31:36: to: "decade" is not one of year, month, day`},
		{"end of a path", "    path: [{column: userid, to: person}]", "    path: [{column: userid, to: {table: submissions, column: id}}]", `map.yaml:36:12: dataset "bills": the path must end at person`},
		{"person in the middle", "{column: submission, to: {table: submissions, column: id}}", "{column: submission, to: person}", `map.yaml:19:9: only the last join of a path leads to person`},
		{"no such end", "to: person}]", "to: user}]", `map.yaml:36:33: to must be person, or {table: …, column: …}`},
		{"empty path", "    path: [{column: userid, to: person}]", "    path: []", `map.yaml:36:11: path must not be empty; leave it out for the person's own row`},
		{"no path", "    path: [{column: userid, to: person}]\n", "", `map.yaml:33:5: dataset "bills" needs a path: only the person table "users" goes without one`},
		{"no identity", "  - name: user\n    table: users", "  - name: user\n    table: users\n    path: [{column: parent, to: person}]", `map.yaml:4:3: no dataset covers the person's own row: add one on table "users" without a path`},
		{"name twice", "name: bills", "name: user", `map.yaml:33:5: the name "user" is used twice`},
		{"withheld twice", "column: rank", "column: grader", `map.yaml:25:24: column "grader" is withheld twice`},
		{"another key", "table: bills", "table: texts", `map.yaml:33:5: datasets "texts" and "bills" share table "texts" and must have the same key`},
		{"match nothing", "match: [name]", "match: []", `map.yaml:41:5: mentions[0]: match must name at least one column of the person table`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			src := strings.Replace(small, c.old, c.new, 1)
			if src == small {
				t.Fatalf("the map has no %q", c.old)
			}
			_, err := datamap.Parse("map.yaml", []byte(src))
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(c.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

// Two datasets of one table must not set a column to different values.
func TestConflictingChanges(t *testing.T) {
	t.Parallel()
	second := `  - name: texts-graded
    table: texts
    path: [{column: grader, to: person}]
    category: WORK
    activity: teaching
    erase: {action: columns, columns: {grader: {do: replace, with: VALUE}}}
mentions:`
	src := strings.Replace(small, "mentions:", second, 1)
	parse(t, strings.Replace(src, "VALUE", "0", 1))
	_, err := datamap.Parse("map.yaml", []byte(strings.Replace(src, "VALUE", "-1", 1)))
	want := `map.yaml:45:40: column "grader" of table "texts" is set to another value on line 30`
	if err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestSize(t *testing.T) {
	t.Parallel()
	fits := small + "#" + strings.Repeat("x", datamap.MaxSize-len(small)-1)
	parse(t, fits)
	path := filepath.Join(t.TempDir(), "big.yaml")
	if err := os.WriteFile(path, []byte(fits+"x"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := datamap.Load(path)
	if want := "big.yaml:1:1: the file is larger than 1048576 bytes"; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

// A file with very many mistakes names the first of them.
func TestManyErrors(t *testing.T) {
	t.Parallel()
	_, err := datamap.Parse("map.yaml", []byte(strings.Repeat("a: b\n", 1000)))
	if n := strings.Count(err.Error(), "\n") + 1; n != 20 {
		t.Errorf("%d errors are named, want 20", n)
	}
}

// The digest follows the meaning, not the layout.
func TestDigest(t *testing.T) {
	t.Parallel()
	d := parse(t, small).Digest()
	if len(d) != 64 || strings.Trim(d, "0123456789abcdef") != "" {
		t.Errorf("digest %q is not lower-case hex of SHA-256", d)
	}
	same := "# a comment\n" + strings.NewReplacer("{action: delete}", "\n      action: \"delete\"", "shared: true", "provide: false, shared: true").Replace(small)
	if parse(t, same).Digest() != d {
		t.Error("another layout has another digest")
	}
	seen := map[string]string{d: "unchanged"}
	for _, change := range [][2]string{{"username", "login"}, {"{do: null}", "{do: keep}"}, {"year", "month"}, {"da: d,", "da: x,"},
		{"ground: LAW", "ground: RULE"}, {"shared: true", "shared: false"}, {"[school, number]", "[number, school]"}, {"subjectProvided: true", "subjectProvided: false"},
		{"match: [name]", "match: [nick]"}, {"to: person}]", "to: {table: users, column: username}}]"}} {
		other := parse(t, strings.Replace(small, change[0], change[1], 1)).Digest()
		if before, ok := seen[other]; ok {
			t.Errorf("%q has the digest of %q", change[1], before)
		}
		seen[other] = change[1]
	}
}

func TestSuggest(t *testing.T) {
	t.Parallel()
	known := []string{"table", "column", "identifiers"}
	for _, c := range []struct{ in, want string }{
		{"tabel", "table"}, {"Table", "table"}, {"colunm", "column"}, {"identifier", "identifiers"}, {"x", ""}, {"action", ""},
	} {
		want := ""
		if c.want != "" {
			want = `; did you mean "` + c.want + `"?`
		}
		if got := datamap.Suggest(c.in, known); got != want {
			t.Errorf("Suggest(%q) = %q, want %q", c.in, got, want)
		}
	}
}

// The map of a real platform, and the example of the package comment, are read.
func TestShippedMaps(t *testing.T) {
	t.Parallel()
	if _, err := datamap.Load(filepath.Join("..", "..", "testdata", "moodle.yaml")); err != nil {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(small))
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("? [a]\n: b"))
	f.Add([]byte("%YAML 1.1\n---\nversion: 1"))
	if b, err := os.ReadFile(filepath.Join("..", "..", "testdata", "moodle.yaml")); err == nil {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		m, err := datamap.Parse("f.yaml", src)
		if err != nil {
			var errs datamap.Errors
			if !errors.As(err, &errs) || len(errs) == 0 {
				t.Fatalf("error of type %T", err)
			}
			for _, e := range errs {
				if e.Pos.Line < 1 || e.Pos.Column < 1 || e.File != "f.yaml" {
					t.Errorf("error without a place: %v", e)
				}
			}
			return
		}
		if m.Identity() == nil || len(m.Digest()) != 64 {
			t.Error("a map without a person or a digest was accepted")
		}
		for _, d := range m.Datasets {
			if d.Erase.Action == datamap.Keep && (d.Erase.Ground == "" || d.Erase.Article == "" || d.Erase.Explanation.DA == "") {
				t.Error("a dataset is kept without a ground")
			}
			if !d.Identity() && !d.Path[len(d.Path)-1].Person {
				t.Error("a path does not end at the person")
			}
		}
	})
}
