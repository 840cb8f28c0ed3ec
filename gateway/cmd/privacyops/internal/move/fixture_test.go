package move_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"go.uber.org/goleak"

	"github.com/privacyops/privacyops/gateway/cmd/privacyops/internal/move"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/libs/sqldb/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(pgtest.Around(m)) }

// secret is a value that must not show anywhere.
const secret = "kirs1234@elev.example"

// migrations are a service with what tables can have: references (in an order that is not the alphabet's), rows that are never
// changed, a second fence, numbers that the schema gives, and a row that a migration writes.
var migrations = fstest.MapFS{
	"sqlite/00001_alpha.sql": {Data: []byte(`-- +goose Up
CREATE TABLE zebra (controller TEXT PRIMARY KEY, n BIGINT);
CREATE TABLE beta (
  controller TEXT NOT NULL REFERENCES zebra (controller), id TEXT NOT NULL, n BIGINT NOT NULL, sealed BLOB, emptied BLOB NOT NULL, note TEXT,
  PRIMARY KEY (controller, id));
CREATE TABLE keyed (id BLOB PRIMARY KEY, note TEXT NOT NULL);
CREATE TABLE counted (id INTEGER PRIMARY KEY AUTOINCREMENT, note TEXT NOT NULL);
`)},
	"postgres/00001_alpha.sql": {Data: []byte(`-- +goose Up
CREATE TABLE zebra (controller TEXT PRIMARY KEY, n BIGINT);
CREATE TABLE beta (
  controller TEXT NOT NULL REFERENCES zebra (controller), id TEXT NOT NULL, n BIGINT NOT NULL, sealed BYTEA, emptied BYTEA NOT NULL, note TEXT,
  PRIMARY KEY (controller, id));
ALTER TABLE beta ENABLE ROW LEVEL SECURITY;
ALTER TABLE beta FORCE ROW LEVEL SECURITY;
CREATE POLICY of_controller ON beta USING (current_setting('privacyops.controller', true) IN (controller, '*')) WITH CHECK (current_setting('privacyops.controller', true) IN (controller, '*'));
CREATE TABLE keyed (id BYTEA PRIMARY KEY, note TEXT NOT NULL);
CREATE TABLE counted (id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY, note TEXT NOT NULL);
-- +goose StatementBegin
CREATE FUNCTION stays() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'never changed'; END $$;
-- +goose StatementEnd
CREATE TRIGGER zebra_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON zebra FOR EACH STATEMENT EXECUTE FUNCTION stays();
`)},
}

func migrate(ctx context.Context, database string, _ func(string)) error {
	db, err := sqldb.Open(ctx, sqldb.Config{URL: database})
	if err != nil {
		return err
	}
	if err := db.Migrate(ctx, migrations); err != nil {
		return err
	}
	return db.Close()
}

// betas are more rows than two batches hold.
const betas = 2345

// installation is a data folder with one service, and an empty database.
type installation struct {
	t  *testing.T
	o  move.Options
	at []move.Progress
}

func newInstallation(t *testing.T) *installation {
	t.Helper()
	i := &installation{t: t}
	i.o = move.Options{DataDir: filepath.Join(t.TempDir(), "data"), To: pgtest.Database(t), Now: time.Now,
		Services: []move.Service{{Name: "alpha", Migrate: migrate}}, Progress: func(p move.Progress) { i.at = append(i.at, p) }}
	must(t, os.MkdirAll(filepath.Join(i.o.DataDir, "keys"), 0o700))
	i.key("log+1+a")
	i.source(func(ctx context.Context, tx sqldb.Tx) error {
		exec := func(query string, args ...any) {
			_, err := tx.Exec(ctx, query, args...)
			must(t, err)
		}
		for _, c := range []string{"østerskolen", "Vesterskolen", "a-skolen", "Z"} {
			exec(`INSERT INTO zebra (controller, n) VALUES ($1, NULL)`, c)
		}
		for n := range int64(betas) {
			exec(`INSERT INTO beta (controller, id, n, sealed, emptied, note) VALUES ($1, $2, $3, NULL, $4, $5)`, []string{"østerskolen", "Z"}[n%2],
				fmt.Sprintf("%d-Æ", n), n-1000, []byte{}, secret)
		}
		exec(`UPDATE beta SET sealed = $1, note = NULL WHERE n = 7`, []byte{0, 255, 10})
		exec(`UPDATE beta SET sealed = $1 WHERE n = 8`, []byte{})
		for n := range 3 {
			exec(`INSERT INTO keyed (id, note) VALUES ($1, 'x')`, []byte{byte(200 - 100*n), 0})
			exec(`INSERT INTO counted (note) VALUES ('x')`)
		}
		return tx.Enqueue(ctx, sqldb.Job{Kind: "carry.on", Args: map[string]any{"erasure": "controllers/Z/erasures/1", "n": 1.5e3}, UniqueKey: "1"})
	})
	return i
}

// key gives the installation its identity.
func (i *installation) key(key string) {
	i.t.Helper()
	must(i.t, os.WriteFile(filepath.Join(i.o.DataDir, "keys", "log.key.pub"), []byte(key), 0o600))
}

// source changes the service's SQLite file.
func (i *installation) source(f func(ctx context.Context, tx sqldb.Tx) error) {
	i.t.Helper()
	db, err := sqldb.Open(i.t.Context(), sqldb.Config{URL: "sqlite:" + filepath.Join(i.o.DataDir, "alpha.db")})
	must(i.t, err)
	must(i.t, db.Migrate(i.t.Context(), migrations))
	must(i.t, db.Write(i.t.Context(), f))
	must(i.t, db.Close())
}

// target opens the service's schema.
func (i *installation) target() *sqldb.DB {
	i.t.Helper()
	db, err := sqldb.Open(i.t.Context(), sqldb.Config{URL: i.o.To + "&schema=alpha"})
	must(i.t, err)
	i.t.Cleanup(func() { _ = db.Close() })
	return db
}

// sabotage changes the service's schema.
func (i *installation) sabotage(statements ...string) {
	i.t.Helper()
	db := i.target()
	must(i.t, db.Write(sqldb.WithAllControllers(i.t.Context()), func(ctx context.Context, tx sqldb.Tx) error {
		for _, statement := range statements {
			if _, err := tx.Exec(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	}))
	must(i.t, db.Close())
}

// count asks the service's schema for a number.
func (i *installation) count(query string) (n int64) {
	i.t.Helper()
	must(i.t, i.target().Read(sqldb.WithAllControllers(i.t.Context()), func(ctx context.Context, q sqldb.Querier) error {
		return q.QueryRow(ctx, query).Scan(&n)
	}))
	return n
}

// moved moves, which must succeed.
func (i *installation) moved() *move.Report {
	i.t.Helper()
	r, err := move.Run(i.t.Context(), i.o)
	must(i.t, err)
	if !r.Verified {
		i.t.Fatalf("the move is not verified: %+v", r)
	}
	return r
}

// refused moves, which must fail with these words and without any value.
func (i *installation) refused(words string) {
	i.t.Helper()
	r, err := move.Run(i.t.Context(), i.o)
	if err == nil || !strings.Contains(err.Error(), words) {
		i.t.Fatalf("the move was not refused with %q: %+v %v", words, r, err)
	}
	if strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "hemmelig") {
		i.t.Errorf("the error tells a value: %v", err)
	}
}

// files are the hashes of the SQLite files.
func (i *installation) files() map[string]string {
	i.t.Helper()
	out := map[string]string{}
	names, err := filepath.Glob(filepath.Join(i.o.DataDir, "*.db*"))
	must(i.t, err)
	for _, name := range names {
		content, err := os.ReadFile(name)
		must(i.t, err)
		if strings.HasSuffix(name, "-shm") || len(content) == 0 { // what readers keep too: the index of the log, an empty log
			continue
		}
		out[filepath.Base(name)] = fmt.Sprintf("%x", sha256.Sum256(content))
	}
	return out
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
