package enginetest

import (
	"context"
	"fmt"
	"io/fs"
	"net/url"
	"sync/atomic"
	"testing" //nolint:depguard // it serves the tests of every store

	"github.com/jackc/pgx/v5"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/libs/sqldb/pgtest"
)

// RowSecurity migrates a PostgreSQL database and checks that every table with a column controller has row-level security that
// binds its owner too. It returns the database opened as an application's role: one that owns nothing and is bound by policies.
func RowSecurity(t *testing.T, migrations fs.FS) *sqldb.DB {
	t.Helper()
	ctx := context.Background()
	address := pgtest.Database(t)
	Open(t, address, migrations)
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, `SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid WHERE a.attname = 'controller' AND c.relkind = 'r'`)
	if err != nil {
		t.Fatal(err)
	}
	tables := 0
	for rows.Next() {
		var table string
		var forced bool
		if err := rows.Scan(&table, &forced); err != nil {
			t.Fatal(err)
		}
		tables++
		if !forced {
			t.Errorf("table %s has controllers' rows and no forced row-level security", table)
		}
	}
	if err := rows.Err(); err != nil || tables == 0 {
		t.Fatalf("%d tables with a controller, %v", tables, err)
	}
	db, err := sqldb.Open(ctx, sqldb.Config{URL: Application(t, address)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

var roles atomic.Int64

// Application makes a role that may read and write what a PostgreSQL database of [pgtest.Database] has in it now, and owns
// nothing. It returns the database's URL for that role, which exists until the test ends.
func Application(t testing.TB, address string) string {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	role := fmt.Sprintf("app_%s_%d", u.Path[1:], roles.Add(1))
	quoted := pgx.Identifier{role}.Sanitize()
	for _, statement := range []string{
		"CREATE ROLE " + quoted + " LOGIN PASSWORD 'app' NOSUPERUSER NOBYPASSRLS",
		"GRANT USAGE ON SCHEMA public TO " + quoted,
		"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO " + quoted,
		"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO " + quoted,
	} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		admin, err := pgx.Connect(ctx, address)
		if err != nil {
			return // the database is gone, and with it what the role was for
		}
		defer admin.Close(ctx)
		_, _ = admin.Exec(ctx, "DROP OWNED BY "+quoted)
		_, _ = admin.Exec(ctx, "DROP ROLE "+quoted)
	})
	u.User = url.UserPassword(role, "app")
	return u.String()
}
