package sqlmap

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What the map says and the database does not have is refused, with the place.
func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	cases := []struct{ name, old, new, want string }{
		{"table", "table: submissions\n", "table: submission\n", `map.yaml:15:12: the database has no table "submission"; did you mean "submissions"?`},
		{"case of a table", "table: texts", "table: Texts", `map.yaml:22:12: the database has no table "Texts"; did you mean "texts"?`},
		{"injection", "table: texts", `table: 'texts"; DROP TABLE users; --'`, `map.yaml:22:12: the database has no table "texts\"; DROP TABLE users; --"`},
		{"key", "  key: id\n", "  key: ids\n", `map.yaml:5:8: table "users" has no column "ids"; did you mean "id"?`},
		{"key is not unique", "  key: id\n", "  key: email\n", `map.yaml:5:8: column "email" of table "users" is neither its primary key nor unique`},
		{"controller", "controller: school", "controller: skole", `map.yaml:6:15: table "users" has no column "skole"`},
		{"identifier", "column: email}", "column: mail}", `map.yaml:9:7: table "users" has no column "mail"; did you mean "email"?`},
		{"join column", "{column: submission, to", "{column: submision, to", `map.yaml:24:9: table "texts" has no column "submision"; did you mean "submission"?`},
		{"join table", "{table: submissions, column: id}", "{table: submissons, column: id}", `map.yaml:24:34: the database has no table "submissons"; did you mean "submissions"?`}, //nolint:misspell // the slip is the case
		{"join target", "{table: submissions, column: id}", "{table: submissions, column: idx}", `map.yaml:24:34: table "submissions" has no column "idx"; did you mean "id"?`},
		{"join of different types", "{column: submission, to", "{column: body, to",
			`map.yaml:24:9: column "body" of table "texts" is of type text and cannot be joined to "id" of table "submissions", which is of type integer`},
		{"others", "others: [grader]", "others: [garder]", `map.yaml:35:14: table "grades" has no column "garder"; did you mean "grader"?`},
		{"exclude", "column: remark", "column: remarks", `map.yaml:43:24: table "grades" has no column "remarks"; did you mean "remark"?`},
		{"no primary key", "    key: [login, seq]\n", "", `map.yaml:52:12: table "notes" has no primary key; name the columns that identify a row with key`},
		{"declared key", "key: [login, seq]", "key: [login, no]", `map.yaml:53:10: table "notes" has no column "no"`},
		{"changed column", "author: {do: replace", "auhtor: {do: replace", `map.yaml:50:40: table "posts" has no column "auhtor"; did you mean "author"?`},
		{"null into NOT NULL", "author: {do: replace, with: 0}", "author: {do: null}", `map.yaml:50:40: column "author" of table "posts" is NOT NULL; use do: replace`},
		{"constant of another type", "with: 0}", "with: nobody}", `map.yaml:50:40: the constant does not fit column "author", which is of type integer`},
		{"key column", "author: {do: replace, with: 0}", "id: {do: replace, with: 0}", `map.yaml:50:40: column "id" is part of the key and cannot be changed`},
		{"mark in a number", "with: 0}", `with: "{key}"}`, `map.yaml:50:40: {key} can be written into text only; column "author" is of type integer`},
		{"mark with two keys", `grader: {do: "null"}`, `remark: {do: replace, with: "{key}"}`, `map.yaml:44:40: {key} needs a key of one column; table "grades" has 2`},
		{"generalise", `payer: {do: "null"}`, `amount: {do: generalise, to: year}`, `map.yaml:69:40: column "amount" is of type decimal and cannot be generalised to a year`},
		{"unique column", "table: users, category: IDENTITY, activity: teaching, erase: {action: delete}", "table: users, category: IDENTITY, activity: teaching, erase: {action: columns, columns: {username: {do: replace, with: gone}}}",
			`map.yaml:13:107: column "username" is unique: a second person would get the same value; put {key} into with`},
		{"length", "table: users, category: IDENTITY, activity: teaching, erase: {action: delete}",
			"table: users, category: IDENTITY, activity: teaching, erase: {action: columns, columns: {username: {do: replace, with: \"{key}" + strings.Repeat("x", 41) + "\"}}}",
			`map.yaml:13:107: column "username" holds 40 characters; the constant has 41`},
		{"mention", "column: message\n", "column: author\n", `map.yaml:73:13: column "author" is of type integer; a mention is looked for in text`},
		{"match", "match: [display_name]", "match: [name]", `map.yaml:74:13: table "users" has no column "name"`},
	}
	each(t, func(t *testing.T, w *world) {
		w.exec(school)
		for _, c := range cases {
			if _, err := w.try(edited(schoolMap, c.old, c.new)); err == nil {
				t.Errorf("%s: no error", c.name)
			} else if diff := cmp.Diff(c.want, err.Error()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.name, diff)
			}
		}
	})
}

// Where the database itself would delete or change rows of a table that the map does
// not deal with, the map is incomplete.
func TestCascade(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.exec(school)
		w.exec(`CREATE TABLE badges (id INTEGER PRIMARY KEY, owner INTEGER REFERENCES users (id) ON DELETE CASCADE, giver INTEGER REFERENCES users (id) ON DELETE SET NULL)`)
		_, err := w.try(schoolMap)
		want := `map.yaml:13:25: deleting rows of table "users" makes the database change table "badges" (column "giver", ON DELETE SET NULL): ` +
			`add a dataset on that column that deletes the rows or changes the column`
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), `(column "owner", ON DELETE CASCADE)`) {
			t.Errorf("error %v", err)
		}
		a := w.adapter(edited(schoolMap, "mentions:", `  - name: badges
    table: badges
    path: [{column: owner, to: person}]
    category: BADGES
    activity: teaching
    erase: {action: delete}
  - name: badges-given
    table: badges
    path: [{column: giver, to: person}]
    category: BADGES
    activity: teaching
    erase: {action: columns, columns: {giver: {do: "null"}}}
mentions:`))
		w.exec(`INSERT INTO badges VALUES (1, 1, 2), (2, 2, 1)`)
		r := request(t, a, "e1", ann)
		r.Datasets = r.Datasets[:len(r.Datasets)-2] // the badges are on hold
		if _, err := a.Erase(t.Context(), r); err == nil || !strings.Contains(err.Error(), `"user" cannot be erased while "badges-given" is kept`) {
			t.Errorf("erasing what drags a kept dataset along: %v", err)
		}
		got := mustErase(t, a, request(t, a, "e2", ann))
		if got["badges"] != "located 1 erased 1 anonymised 0 kept 0 unchanged 0" || got["badges-given"] != "located 1 erased 0 anonymised 1 kept 0 unchanged 0" {
			t.Errorf("counts %v", got)
		}
	})
}

// Children go before what they hang on, by path and by foreign key; cycles end.
func TestOrder(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		w.exec(school)
		w.exec(`CREATE TABLE a (id INTEGER PRIMARY KEY, userid INTEGER, b INTEGER);
CREATE TABLE b (id INTEGER PRIMARY KEY, userid INTEGER, a INTEGER REFERENCES a (id))`)
		if w.e == PostgreSQL {
			w.exec(`ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b (id) DEFERRABLE`)
		}
		more := ""
		for _, table := range []string{"a", "b"} {
			more += "  - {name: " + table + ", table: " + table + ", path: [{column: userid, to: person}], category: C, activity: a, erase: {action: delete}}\n"
		}
		a := w.adapter(edited(schoolMap, "mentions:", more+"mentions:"))
		at := map[string]int{}
		for i, d := range a.plan.order {
			at[d.def.Name] = i
		}
		if len(at) != len(a.plan.datasets) {
			t.Fatalf("%d of %d datasets have a place", len(at), len(a.plan.datasets))
		}
		if at["texts"] > at["submissions"] || at["user"] != len(at)-1 || at["grades-given"] > at["grades"] {
			t.Errorf("order %v", at)
		}
		if w.e == SQLite && at["b"] > at["a"] {
			t.Errorf("b refers to a and must go first: %v", at)
		}
	})
}

// Names with quotes, spaces, reserved words, other scripts and SQL in them work as
// names, on every statement that the adapter makes.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		person, child, grand := `select "x"; --`, `tabel 'æ' $1 ?`, `"`
		key, link, up, text := `group`, `user"id`, `DROP TABLE "`, `tekst\`+"`"
		w.exec(`CREATE TABLE ` + quote(person) + ` (` + quote(key) + ` INTEGER PRIMARY KEY, ` + quote(text) + ` TEXT)`)
		w.exec(`CREATE TABLE ` + quote(child) + ` (` + quote(key) + ` INTEGER PRIMARY KEY, ` + quote(link) + ` INTEGER, ` + quote(text) + ` TEXT)`)
		w.exec(`CREATE TABLE ` + quote(grand) + ` (` + quote(key) + ` INTEGER PRIMARY KEY, ` + quote(up) + ` INTEGER, ` + quote(text) + ` TEXT)`)
		for i := 1; i <= 2; i++ {
			w.exec(`INSERT INTO `+quote(person)+` VALUES ($1, $2)`, i, []string{"", "login-one", "login-two"}[i])
			w.exec(`INSERT INTO `+quote(child)+` VALUES ($1, $2, 'x')`, i, i)
			w.exec(`INSERT INTO `+quote(grand)+` VALUES ($1, $2, 'y')`, i, i)
		}
		q := func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
		a := w.adapter(`version: 1
system: hostile
person: {table: ` + q(person) + `, key: ` + q(key) + `, identifiers: [{type: UNILOGIN, column: ` + q(text) + `}]}
datasets:
  - {name: p, table: ` + q(person) + `, category: C, activity: a, erase: {action: delete}}
  - name: c
    table: ` + q(child) + `
    path: [{column: ` + q(link) + `, to: person}]
    category: C
    activity: a
    erase: {action: columns, columns: {` + q(text) + `: {do: replace, with: "'; DROP TABLE x; -- {key}"}, ` + q(link) + `: {do: "null"}}}
  - name: g
    table: ` + q(grand) + `
    path: [{column: ` + q(up) + `, to: {table: ` + q(child) + `, column: ` + q(key) + `}}, {column: ` + q(link) + `, to: person}]
    category: C
    activity: a
    erase: {action: delete}
`)
		one := subject("UNILOGIN", "login-one")
		got := mustErase(t, a, request(t, a, "e1", one))
		if diff := cmp.Diff(map[string]string{
			"p": "located 1 erased 1 anonymised 0 kept 0 unchanged 0", "c": "located 1 erased 0 anonymised 1 kept 0 unchanged 0",
			"g": "located 1 erased 1 anonymised 0 kept 0 unchanged 0"}, got); diff != "" {
			t.Errorf("counts (-want +got):\n%s", diff)
		}
		if n := w.number(`SELECT count(*) FROM ` + quote(child) + ` WHERE ` + quote(text) + ` IN ('x', '''; DROP TABLE x; -- 1')`); n != 2 {
			t.Errorf("%d of 2 child rows are as they should be", n)
		}
		if found := verify(t, a, "e1", one); !found.Clean() {
			t.Errorf("Verify finds %+v", found.Findings)
		}
		records := 0
		if _, err := a.Export(t.Context(), exportOf("login-two"), count(&records)); err != nil || records != 3 {
			t.Errorf("%d records, %v", records, err)
		}
	})
}
