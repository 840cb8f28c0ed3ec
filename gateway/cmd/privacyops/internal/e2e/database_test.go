package e2e

import (
	"database/sql"
	"net/url"
	"testing"

	_ "modernc.org/sqlite" // the platforms' databases are looked at directly

	"github.com/privacyops/privacyops/services/participant/sample"
)

// platform opens the sample platform's database to look at.
func (w *world) platform() *sql.DB { return lookAt(w.t, w.database) }

func lookAt(t *testing.T, path string) *sql.DB {
	t.Helper()
	query := url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(10000)"}}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}).String())
	must(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func fingerprint(t *testing.T, db *sql.DB) sample.Prints {
	t.Helper()
	p, err := sample.Fingerprint(t.Context(), db)
	must(t, err)
	return p
}

// eachRow calls f for every row that a query gives.
func eachRow(t *testing.T, db *sql.DB, f func(*sql.Rows) error, query string, args ...any) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query, args...)
	must(t, err)
	defer rows.Close()
	for rows.Next() {
		must(t, f(rows))
	}
	must(t, rows.Err())
}
