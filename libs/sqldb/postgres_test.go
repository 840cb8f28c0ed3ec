package sqldb_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/libs/sqldb/enginetest"
	"github.com/privacyops/privacyops/libs/sqldb/pgtest"
)

// with sets parameters of a database URL.
func with(t *testing.T, address string, params ...string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	for i := 0; i < len(params); i += 2 {
		query.Set(params[i], params[i+1])
	}
	u.RawQuery = query.Encode()
	return u.String()
}

func TestPostgresURLsThatAreRefused(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"postgres://freja:ge%heim@localhost/audit",
		"postgres://freja:geheim@localhost:notaport/audit",
		"postgres://freja:geheim@localhost/audit?sslmode=perhaps",
		"postgres://freja:geheim@localhost/audit?schema=Audit",
		"postgres://freja:geheim@localhost/audit?schema=",
		`postgres://freja:geheim@localhost/audit?schema=a"b`,
		"postgres://freja:geheim@localhost/audit?schema=a&search_path=a",
		"postgres://freja:geheim@localhost/audit?default_query_exec_mode=simple_protocol",
	} {
		_, err := sqldb.Open(t.Context(), sqldb.Config{URL: address})
		if err == nil || errors.Is(err, sqldb.ErrUnavailable) || strings.Contains(err.Error(), "heim") {
			t.Errorf("Open(%s) = %v, want a refusal without the password", address, err)
		}
	}
}

func TestServerOutOfReachIsUnavailable(t *testing.T) {
	t.Parallel()
	_, err := sqldb.Open(t.Context(), sqldb.Config{URL: "postgres://freja:geheim@127.0.0.1:1/audit"})
	if !errors.Is(err, sqldb.ErrUnavailable) || strings.Contains(err.Error(), "geheim") {
		t.Errorf("Open = %v, want ErrUnavailable", err)
	}
}

func TestSchemasSideBySide(t *testing.T) {
	t.Parallel()
	database := pgtest.Database(t)
	for _, schema := range []string{"consent", "export", ""} {
		address := database
		if schema != "" {
			address = with(t, database, "schema", schema)
		}
		db := openAt(t, address, people)
		if err := exec(t, db, insertPerson, 1, "a@example.dk"); err != nil {
			t.Error(err)
		}
		if err := enqueue(t, db, t.Context(), sqldb.Job{Kind: "greet"}); err != nil {
			t.Error(err)
		}
		if rows, jobs := count(t, db, countPeople), count(t, db, countJobs); rows != 1 || jobs != 1 {
			t.Errorf("schema %q has %d rows and %d jobs, want its own", schema, rows, jobs)
		}
		unlock, err := db.Lock(t.Context(), "jobs")
		if err != nil {
			t.Fatalf("the lock of schema %q: %v", schema, err)
		}
		t.Cleanup(func() { _ = unlock() })
	}
}

func TestDeadlockIsRunAgain(t *testing.T) {
	t.Parallel()
	// With the default patience, which is longer than PostgreSQL's deadlock_timeout.
	db := enginetest.Open(t, enginetest.URL(t, sqldb.Postgres), people)
	for id := range 2 {
		if err := exec(t, db, insertPerson, id, fmt.Sprintf("%d@example.dk", id)); err != nil {
			t.Fatal(err)
		}
	}
	var runs, hooks atomic.Int64
	var together, wg sync.WaitGroup
	together.Add(2)
	for i := range 2 {
		wg.Go(func() {
			first := true
			err := db.Write(t.Context(), func(ctx context.Context, tx sqldb.Tx) error {
				runs.Add(1)
				tx.AfterCommit(func() { hooks.Add(1) })
				for step := range 2 {
					if _, err := tx.Exec(ctx, `UPDATE person SET age = age + 1 WHERE id = $1`, (i+step)%2); err != nil {
						return fmt.Errorf("count up: %w", err)
					}
					if first { // each holds the row that the other wants next
						first = false
						together.Done()
						together.Wait()
					}
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if ages := count(t, db, `SELECT sum(age) FROM person`); runs.Load() < 3 || hooks.Load() != 2 || ages != 4 {
		t.Errorf("%d runs, %d hooks, ages %d; want 3 or more runs, 2 hooks, 4", runs.Load(), hooks.Load(), ages)
	}
}

func TestConflictsAreGivenUpInTheEnd(t *testing.T) {
	t.Parallel()
	db := open(t, sqldb.Postgres)
	runs := 0
	err := db.Write(t.Context(), func(ctx context.Context, tx sqldb.Tx) error {
		runs++
		tx.AfterCommit(func() { t.Error("a hook ran without a commit") })
		_, err := tx.Exec(ctx, `DO 'BEGIN RAISE EXCEPTION ''freja.holm'' USING ERRCODE = ''40001''; END'`)
		return err
	})
	if !errors.Is(err, sqldb.ErrUnavailable) || runs != 4 || strings.Contains(err.Error(), secret) {
		t.Errorf("after %d runs: %v; want ErrUnavailable after 4", runs, err)
	}
}

func TestPostgresErrorsHoldNoValues(t *testing.T) {
	t.Parallel()
	db := open(t, sqldb.Postgres)
	for query, want := range map[string]string{
		`SELECT CAST($1 AS BIGINT)`:                               "22P02 (invalid_text_representation)",
		`SELECT current_setting($1)`:                              "42704",
		`INSERT INTO person (id, email, team) VALUES (1, $1, $1)`: "23503 (foreign_key_violation), table person, constraint person_team_fkey",
	} {
		err := db.Write(t.Context(), func(ctx context.Context, tx sqldb.Tx) error {
			var text string
			return tx.QueryRow(ctx, query, secret).Scan(&text)
		})
		if err == nil || strings.Contains(err.Error(), secret) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s and no value", query, err, want)
		}
	}
}

// TestOneStatementAtATime: the simple protocol would take several, and a transaction one
// result at a time.
func TestOneStatementAtATime(t *testing.T) {
	t.Parallel()
	db := open(t, sqldb.Postgres)
	if err := exec(t, db, `DELETE FROM person; DELETE FROM team`); err == nil {
		t.Error("two statements in one were accepted")
	}
	err := db.Read(t.Context(), func(ctx context.Context, q sqldb.Querier) error {
		rows, err := q.Query(ctx, `SELECT 1 UNION SELECT 2`)
		if err != nil {
			return err
		}
		if _, err := q.Exec(ctx, `SELECT 1`); err == nil || !strings.Contains(err.Error(), "still open") {
			t.Errorf("a statement beside an open result: %v", err)
		}
		return rows.Close()
	})
	if err != nil {
		t.Error(err)
	}
}

func TestSwallowedErrorStillRollsBack(t *testing.T) {
	t.Parallel()
	db := open(t, sqldb.Postgres)
	err := db.Write(t.Context(), func(ctx context.Context, tx sqldb.Tx) error {
		if _, err := tx.Exec(ctx, insertPerson, 1, "a@example.dk"); err != nil {
			return err
		}
		_, _ = tx.Exec(ctx, insertPerson, 1, "b@example.dk")
		return nil
	})
	if err == nil || count(t, db, countPeople) != 0 {
		t.Errorf("Write = %v and %d rows, want an error and none", err, count(t, db, countPeople))
	}
}

func TestBrokenConnectionIsUnavailable(t *testing.T) {
	t.Parallel()
	db := open(t, sqldb.Postgres)
	err := db.Write(t.Context(), func(ctx context.Context, tx sqldb.Tx) error {
		_, err := tx.Exec(ctx, `SELECT pg_terminate_backend(pg_backend_pid())`)
		return err
	})
	if !errors.Is(err, sqldb.ErrUnavailable) {
		t.Errorf("Write = %v, want ErrUnavailable", err)
	}
	if err := exec(t, db, insertPerson, 1, "a@example.dk"); err != nil {
		t.Errorf("the next Write: %v", err)
	}
}

func TestLockedRowIsUnavailableInTime(t *testing.T) {
	t.Parallel()
	address := enginetest.URL(t, sqldb.Postgres)
	one := openAt(t, address, people)
	two, err := sqldb.Open(t.Context(), sqldb.Config{URL: address, BusyTimeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer two.Close()
	err = one.Write(t.Context(), func(ctx context.Context, tx sqldb.Tx) error {
		if _, err := tx.Exec(ctx, insertPerson, 1, "a@example.dk"); err != nil {
			return err
		}
		if err := exec(t, two, insertPerson, 1, "a@example.dk"); !errors.Is(err, sqldb.ErrUnavailable) {
			t.Errorf("Write behind a lock = %v, want ErrUnavailable", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestControllersSeeTheirOwnRows(t *testing.T) {
	t.Parallel()
	address := with(t, pgtest.Database(t), "schema", "privacyops")
	owner := openAt(t, address, nil)
	for _, statement := range []string{
		`CREATE TABLE hold (controller TEXT NOT NULL, id BIGINT NOT NULL)`,
		`INSERT INTO hold VALUES ('north', 1), ('north', 2), ('south', 3), ('*', 4), ('', 5)`,
		`ALTER TABLE hold ENABLE ROW LEVEL SECURITY`,
		`CREATE POLICY controller ON hold USING (current_setting('privacyops.controller', true) IN (controller, '*') AND controller <> '')`,
		`GRANT USAGE ON SCHEMA privacyops TO pg_monitor`, // a role that is there and has no rights here
		`GRANT SELECT, INSERT ON hold TO pg_monitor`,
	} {
		if err := exec(t, owner, statement); err != nil {
			t.Fatal(err)
		}
	}
	db, err := sqldb.Open(t.Context(), sqldb.Config{URL: with(t, address, "role", "pg_monitor")})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ctx := t.Context()
	got := map[string]int64{}
	for name, ctx := range map[string]context.Context{
		"nobody": ctx, "north": sqldb.WithController(ctx, "north"), "south": sqldb.WithController(ctx, "south"),
		"star": sqldb.WithController(ctx, "*"), "all": sqldb.WithAllControllers(ctx),
		"inner wins": sqldb.WithController(sqldb.WithAllControllers(ctx), "south"),
	} {
		var n int64
		err := db.Read(ctx, func(ctx context.Context, q sqldb.Querier) error {
			return q.QueryRow(ctx, `SELECT count(*) FROM hold`).Scan(&n)
		})
		if err != nil {
			t.Fatal(err)
		}
		got[name] = n
	}
	want := map[string]int64{"nobody": 0, "north": 2, "south": 1, "star": 0, "all": 4, "inner wins": 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("rows that are seen (-want +got):\n%s", diff)
	}
	err = db.Write(sqldb.WithController(ctx, "north"), func(ctx context.Context, tx sqldb.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO hold VALUES ('south', 6)`)
		return err
	})
	if err == nil {
		t.Error("a row of another controller was taken")
	}
}

func TestSnapshotIsForOneController(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		db := open(t, engine)
		north := sqldb.WithController(t.Context(), "north")
		err := db.Read(north, func(ctx context.Context, _ sqldb.Querier) error {
			nop := func(context.Context, sqldb.Querier) error { return nil }
			if err := db.Read(sqldb.WithController(ctx, "south"), nop); !errors.Is(err, sqldb.ErrNested) {
				t.Errorf("Read for another controller = %v, want ErrNested", err)
			}
			return db.Read(ctx, nop)
		})
		if err != nil {
			t.Error(err)
		}
	})
}
