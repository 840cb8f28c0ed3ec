package sqldb

import (
	"context"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// A query that is asked again and again is kept prepared, also by the writer while it is busy, and stays right when the schema
// changes under it. The number of those that are kept is bounded.
func TestQueriesAreKeptPrepared(t *testing.T) {
	t.Parallel()
	db, err := Open(t.Context(), Config{URL: "sqlite:" + filepath.Join(t.TempDir(), "s.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	write := func(fn func(ctx context.Context, tx Tx) error) {
		t.Helper()
		if err := db.Write(t.Context(), fn); err != nil {
			t.Fatal(err)
		}
	}
	exec := func(query string, args ...any) {
		t.Helper()
		write(func(ctx context.Context, tx Tx) error {
			_, err := tx.Exec(ctx, query, args...)
			return err
		})
	}
	exec(`CREATE TABLE person (id BIGINT NOT NULL PRIMARY KEY)`)
	b := db.backend.(*sqliteBackend) //nolint:forcetypeassert // opened with sqlite:
	prepared := func(s *statements, query string) bool {
		s.mu.RLock()
		defer s.mu.RUnlock()
		return s.known[query] != nil && s.known[query].prepared != nil
	}
	const insert, count = `INSERT INTO person (id) VALUES ($1)`, `SELECT COUNT(*) FROM person`
	var n, want int
	for deadline := time.Now().Add(10 * time.Second); ; want++ {
		exec(insert, want)
		if err := db.Read(t.Context(), func(ctx context.Context, q Querier) error { return q.QueryRow(ctx, count).Scan(&n) }); err != nil || n != want+1 {
			t.Fatalf("%d rows, %v, want %d", n, err, want+1)
		}
		if prepared(b.written, insert) && prepared(b.read, count) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("nothing was prepared")
		}
	}
	exec(`ALTER TABLE person ADD COLUMN born BIGINT NOT NULL DEFAULT 7`)
	write(func(ctx context.Context, tx Tx) error {
		_, err := tx.Exec(ctx, insert, 1_000_000)
		return err
	})
	const all = `SELECT * FROM person WHERE id = $1`
	for range 50 {
		var id, born int
		if err := db.Read(t.Context(), func(ctx context.Context, q Querier) error {
			return q.QueryRow(ctx, all, 1_000_000).Scan(&id, &born)
		}); err != nil || born != 7 {
			t.Fatalf("born %d, %v", born, err)
		}
	}
	for i := range 2 * maxStatements {
		exec(`UPDATE person SET born = $1 WHERE id < 0 OR born = `+strconv.Itoa(i), 7)
	}
	if kept := len(b.written.known); kept > maxStatements {
		t.Errorf("%d queries are known, want at most %d", kept, maxStatements)
	}
}

// Parameters lose their names only where their order says the same, and what only looks like one is left alone.
func TestUnnamed(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]string{
		`INSERT INTO t (a, b) VALUES ($1, $2), ($3, $4)`: `INSERT INTO t (a, b) VALUES (?, ?), (?, ?)`,
		`SELECT a FROM t`: `SELECT a FROM t`,
		`SELECT a FROM t WHERE b = '$1' AND c = $1 AND "d$2" = $2`:   `SELECT a FROM t WHERE b = '$1' AND c = ? AND "d$2" = ?`,
		`SELECT a FROM t WHERE b = 'it''s $1' AND c = $1`:            `SELECT a FROM t WHERE b = 'it''s $1' AND c = ?`,
		`SELECT a FROM t WHERE b = $2 AND c = $1`:                    `SELECT a FROM t WHERE b = $2 AND c = $1`,
		`SELECT a FROM t WHERE b = $1 OR c = $1 OR d = $2`:           `SELECT a FROM t WHERE b = $1 OR c = $1 OR d = $2`,
		`SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11 FROM t`: `SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM t`,
	} {
		if got := unnamed(query); got != want {
			t.Errorf("%s\nbecomes %s\nwant    %s", query, got, want)
		}
	}
}
