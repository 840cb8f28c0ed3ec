package sqlmap

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/privacyops/privacyops/libs/sqldb/pgtest"
	"github.com/privacyops/privacyops/services/participant/internal/datamap"
	"github.com/privacyops/privacyops/services/participant/internal/participant"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// world is an empty database of one engine, and what opens adapters on it.
type world struct {
	testing.TB
	e      Engine
	dsn    string
	ledger string
	db     *sql.DB
}

// each runs a test on both engines.
func each(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	for _, e := range []Engine{SQLite, PostgreSQL} {
		t.Run(string(e), func(t *testing.T) {
			t.Parallel()
			f(t, newWorld(t, e))
		})
	}
}

func newWorld(t testing.TB, e Engine) *world {
	t.Helper()
	w := &world{TB: t, e: e, ledger: filepath.Join(t.TempDir(), "ledger.db")}
	if e == PostgreSQL {
		w.dsn = pgtest.Database(t)
	} else {
		w.dsn = filepath.Join(t.TempDir(), "system's data?.db")
		if err := os.WriteFile(w.dsn, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.open()
	if e == SQLite {
		w.db.SetMaxOpenConns(1)
		w.exec("PRAGMA synchronous = OFF")
	}
	return w
}

func (w *world) open() {
	w.Helper()
	db, err := openTarget(w.e, w.dsn)
	if err != nil {
		w.Fatal(err)
	}
	w.db = db
	w.Cleanup(func() { _ = db.Close() })
}

// exec runs statements, separated by semicolons at line ends.
func (w *world) exec(statements string, args ...any) {
	w.Helper()
	for _, s := range strings.Split(statements, ";\n") {
		if s = strings.TrimSpace(s); s == "" {
			continue
		}
		if _, err := w.db.Exec(s, args...); err != nil {
			w.Fatalf("%s: %v", s, err)
		}
	}
}

// number runs a query for one number.
func (w *world) number(query string, args ...any) int64 {
	w.Helper()
	var n int64
	if err := w.db.QueryRow(query, args...).Scan(&n); err != nil {
		w.Fatalf("%s: %v", query, err)
	}
	return n
}

// adapter opens an adapter with a data map.
func (w *world) adapter(yaml string) *Adapter {
	w.Helper()
	a, err := w.try(yaml)
	if err != nil {
		w.Fatal(err)
	}
	return a
}

func (w *world) try(yaml string) (*Adapter, error) {
	m, err := datamap.Parse("map.yaml", []byte(yaml))
	if err != nil {
		return nil, err
	}
	a, err := Open(context.Background(), Config{Engine: w.e, DSN: w.dsn, Map: m, Ledger: w.ledger})
	if err == nil {
		w.Cleanup(func() { _ = a.Close() })
	}
	return a, err
}

// tables are all base tables.
func (w *world) tables() []string {
	w.Helper()
	cat, _, err := readCatalogue(context.Background(), w.e, w.db, "")
	if err != nil {
		w.Fatal(err)
	}
	return cat.names()
}

// rows hashes every row of every table: table and row hash, with multiplicity.
func (w *world) rows() map[string]int {
	w.Helper()
	out := map[string]int{}
	for _, t := range w.tables() {
		for _, r := range w.dump(t) {
			out[fmt.Sprintf("%s %x", t, sha256.Sum256([]byte(r)))]++
		}
	}
	return out
}

// dump writes every row of a table as text.
func (w *world) dump(table string) []string {
	w.Helper()
	rows, err := w.db.Query("SELECT * FROM " + quote(table))
	if err != nil {
		w.Fatal(err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		w.Fatal(err)
	}
	var out []string
	for rows.Next() {
		cells, dest := make([]any, len(names)), make([]any, len(names))
		for i := range cells {
			dest[i] = &cells[i]
		}
		if err := rows.Scan(dest...); err != nil {
			w.Fatal(err)
		}
		var b strings.Builder
		for i, c := range cells {
			if x, ok := c.([]byte); ok {
				c = string(x)
			}
			fmt.Fprintf(&b, "%s=%T:%v\x1f", names[i], c, c)
		}
		out = append(out, b.String())
	}
	if err := rows.Err(); err != nil {
		w.Fatal(err)
	}
	return out
}

// subject names a person of controller c1.
func subject(ids ...string) participant.Subject {
	s := participant.Subject{Controller: "c1"}
	for i := 0; i+1 < len(ids); i += 2 {
		s.Identifiers = append(s.Identifiers, participant.Identifier{Type: participant.IdentifierType(ids[i]), Value: ids[i+1]})
	}
	return s
}

// request asks to erase everything the map lets go.
func request(t testing.TB, a *Adapter, id string, s participant.Subject) participant.EraseRequest {
	t.Helper()
	d, err := a.Describe(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	r := participant.EraseRequest{Request: id, FencingToken: 1, Subject: s, DataMapDigest: d.DataMapDigest}
	for _, x := range d.Datasets {
		if x.Erasure != participant.Keep {
			r.Datasets = append(r.Datasets, x.Name)
		}
	}
	return r
}

// counts shows an erasure result as one line per dataset that was touched.
func counts(r participant.EraseResult) map[string]string {
	out := map[string]string{}
	for _, d := range r.Datasets {
		if d.Located > 0 {
			out[d.Dataset] = fmt.Sprintf("located %d erased %d anonymised %d kept %d unchanged %d", d.Located, d.Erased, d.Anonymised, d.Kept, d.Unchanged)
		}
	}
	return out
}
