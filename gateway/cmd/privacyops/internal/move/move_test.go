package move_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/privacyops/privacyops/gateway/cmd/privacyops/internal/move"
	"github.com/privacyops/privacyops/gateway/cmd/privacyops/internal/suite"
	"github.com/privacyops/privacyops/libs/jobs"
	"github.com/privacyops/privacyops/libs/sqldb"
)

func TestMove(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	before := i.files()
	r := i.moved()
	if diff := cmp.Diff(before, i.files()); diff != "" {
		t.Errorf("the files have changed:\n%s", diff)
	}
	rows := map[string]int64{}
	for _, table := range r.Tables {
		rows[table.Name] = table.TargetRows
	}
	want := map[string]int64{"zebra": 4, "beta": betas, "keyed": 3, "counted": 3, "river_job": 1, "river_queue": 0}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("the report counts (-want +got):\n%s", diff)
	}
	if n := i.count(`SELECT count(*) FROM beta WHERE (n = 7) = (sealed = '\x00ff0a' AND note IS NULL) AND octet_length(emptied) = 0`); n != betas {
		t.Errorf("the values of %d rows are as they were, want %d", n, betas)
	}
	if n := i.count(`SELECT count(*) FROM beta WHERE sealed IS NULL`); n != betas-2 {
		t.Errorf("%d rows have no value in sealed, want %d: an empty one is not none", n, betas-2)
	}
	if again := i.moved(); again.Before == nil {
		t.Errorf("a second move has not said that there is nothing to do: %+v", again)
	}
}

func TestNumbersGoOn(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	i.moved()
	i.sabotage(`INSERT INTO counted (note) VALUES ('next')`)
	if n := i.count(`SELECT id FROM counted WHERE note = 'next'`); n != 4 {
		t.Errorf("the next row has number %d, want 4", n)
	}
}

// TestJobsGoOn works the jobs that were moved: one that waited, and one whose worker had died.
func TestJobsGoOn(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	i.source(func(ctx context.Context, tx sqldb.Tx) error {
		if err := tx.Enqueue(ctx, sqldb.Job{Kind: "was.running", Args: map[string]any{"id": "2"}}); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE river_job SET state = 'running', attempt = 1, attempted_at = '2026-01-02 03:04:05.678',
			attempted_by = jsonb('["a","b"]'), errors = jsonb('[{"attempt":1,"error":"code UNAVAILABLE"}]') WHERE kind = 'was.running'`)
		return err
	})
	i.moved()
	if n := i.count(`SELECT count(*) FROM river_job WHERE kind = 'was.running' AND state = 'available' AND attempt = 1 AND attempted_by = '{a,b}'
		AND attempted_at = '2026-01-02 03:04:05.678Z' AND errors[1]->>'error' = 'code UNAVAILABLE'`); n != 1 {
		t.Error("the job that was running is not as it was")
	}
	db, worked := i.target(), make(chan jobs.Job, 8)
	take := func(_ context.Context, j jobs.Job) error { worked <- j; return nil }
	runner, err := jobs.NewRunner(db, jobs.Config{Handlers: map[string]jobs.Handler{"carry.on": take, "was.running": take}})
	must(t, err)
	// The key of an unfinished job keeps a second one away, on the new engine too.
	must(t, db.Write(t.Context(), func(ctx context.Context, tx sqldb.Tx) error {
		return tx.Enqueue(ctx, sqldb.Job{Kind: "carry.on", Args: map[string]any{"erasure": "another"}, UniqueKey: "1"})
	}))
	if n := i.count(`SELECT count(*) FROM river_job`); n != 2 {
		t.Errorf("there are %d jobs, want 2", n)
	}
	must(t, runner.Start(t.Context()))
	seen := map[string]map[string]any{}
	for range 2 {
		select {
		case j := <-worked:
			args := map[string]any{}
			must(t, json.Unmarshal(j.Args, &args))
			seen[j.Kind] = args
		case <-time.After(20 * time.Second):
			t.Fatalf("the jobs do not go on; seen: %v", seen)
		}
	}
	must(t, runner.Stop(t.Context()))
	want := map[string]map[string]any{"carry.on": {"erasure": "controllers/Z/erasures/1", "n": 1500.0}, "was.running": {"id": "2"}}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("the jobs were worked with (-want +got):\n%s", diff)
	}
}

// TestInterrupted cuts a move off after each batch, by the end of its context and by the end of its connections.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	cut := map[string]func(t *testing.T, i *installation, cancel func()){
		"context": func(_ *testing.T, _ *installation, cancel func()) { cancel() },
		"connections": func(t *testing.T, i *installation, _ func()) {
			t.Helper()
			conn, err := pgx.Connect(t.Context(), i.o.To)
			must(t, err)
			_, err = conn.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
			must(t, err)
			must(t, conn.Close(t.Context()))
		},
	}
	for name, cut := range cut {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := newInstallation(t)
			plain := i.o.Progress
			failed := 0
			for n := range 30 {
				ctx, cancel := context.WithCancel(t.Context())
				told := 0
				i.o.Progress = func(p move.Progress) {
					plain(p)
					if told++; told == n+1 {
						cut(t, i, cancel)
					}
				}
				r, err := move.Run(ctx, i.o)
				cancel()
				if err == nil {
					if !r.Verified || r.Before == nil && n > 6 && !r.Resumed {
						t.Errorf("after %d interruptions: %+v", failed, r)
					}
					break
				}
				failed++
			}
			i.o.Progress = plain
			i.moved()
			if failed < 5 {
				t.Errorf("only %d moves were interrupted", failed)
			}
			if n := i.count(`SELECT count(*) FROM beta`); n != betas {
				t.Errorf("there are %d rows, want %d", n, betas)
			}
		})
	}
}

// TestInterruptedMigration cuts a move off while the tables of the target are made, when one holds a row that a later migration takes
// away. It goes on; another installation's does not.
func TestInterruptedMigration(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	errCut := errors.New("cut off")
	i.o.Services = []move.Service{{Name: "alpha", Migrate: func(ctx context.Context, database string, _ func(string)) error {
		db, err := sqldb.Open(ctx, sqldb.Config{URL: database})
		must(t, err)
		must(t, db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
			for _, statement := range []string{`CREATE SCHEMA alpha`, `CREATE TABLE head (id BIGINT PRIMARY KEY)`, `INSERT INTO head (id) VALUES (1)`} {
				if _, err := tx.Exec(ctx, statement); err != nil {
					return err
				}
			}
			return nil
		}))
		return errors.Join(errCut, db.Close())
	}}}
	if _, err := move.Run(t.Context(), i.o); !errors.Is(err, errCut) {
		t.Fatalf("the move ends with %v", err)
	}
	i.o.Services = []move.Service{{Name: "alpha", Migrate: func(ctx context.Context, database string, tell func(string)) error {
		i.sabotage(`DROP TABLE head`)
		return migrate(ctx, database, tell)
	}}}
	i.key("log+2+b")
	if _, err := move.Run(t.Context(), i.o); err == nil || !strings.Contains(err.Error(), "another installation") {
		t.Errorf("another installation's move ends with %v", err)
	}
	i.key("log+1+a")
	report, err := move.Run(t.Context(), i.o)
	if err != nil {
		t.Fatal(err)
	}
	if !report.Verified || !report.Resumed {
		t.Errorf("the report says verified: %v, resumed: %v", report.Verified, report.Resumed)
	}
	if n := i.count(`SELECT count(*) FROM beta`); n != betas {
		t.Errorf("there are %d rows, want %d", n, betas)
	}
}

// TestSabotage changes what was copied before it is verified.
func TestSabotage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		statement string
		want      move.Table
	}{
		"changed":        {`UPDATE beta SET n = n + 1 WHERE n IN (5, 9)`, move.Table{Changed: 2}},
		"none for empty": {`UPDATE beta SET sealed = NULL WHERE n = 8`, move.Table{Changed: 1}},
		"missing":        {`DELETE FROM beta WHERE n = 5`, move.Table{Missing: 1}},
		"extra":          {`INSERT INTO beta (controller, id, n, emptied) VALUES ('Z', 'a', 1, '')`, move.Table{Extra: 1}},
		"renamed":        {`UPDATE beta SET id = 'zz' WHERE n = 5`, move.Table{Extra: 1, Missing: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := newInstallation(t)
			done := false
			i.o.Progress = func(p move.Progress) {
				if p.Step == move.Verify && !done {
					done = true // the first table that is verified is not beta
					i.sabotage(c.statement)
				}
			}
			r, err := move.Run(t.Context(), i.o)
			must(t, err)
			if r.Verified {
				t.Fatal("it is verified")
			}
			for _, table := range r.Tables {
				if table.Equal() == (table.Name == "beta") {
					t.Errorf("it finds the difference elsewhere: %+v", table)
				}
				if got := (move.Table{Missing: table.Missing, Extra: table.Extra, Changed: table.Changed}); table.Name == "beta" && got != c.want {
					t.Errorf("it finds %+v, want %+v", got, c.want)
				}
			}
			if mark := markOf(t, i); mark.State != suite.MoveBegun {
				t.Errorf("the data folder says %q", mark.State)
			}
		})
	}
}

func markOf(t *testing.T, i *installation) suite.Mark {
	t.Helper()
	f, err := suite.HoldFolder(i.o.DataDir)
	must(t, err)
	m, err := f.Mark()
	must(t, err)
	must(t, f.Release())
	return m
}

func TestSourceChangedSince(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	ctx, cancel := context.WithCancel(t.Context())
	i.o.Progress = func(p move.Progress) {
		if p.Step == move.Copy {
			cancel()
		}
	}
	if _, err := move.Run(ctx, i.o); !errors.Is(err, context.Canceled) {
		t.Fatalf("the move was not interrupted: %v", err)
	}
	i.source(func(ctx context.Context, tx sqldb.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE beta SET note = 'hemmelig' WHERE n = 5`)
		return err
	})
	i.refused("alpha.beta has changed in the data folder since the move began")
}

func TestForeignTarget(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	must(t, migrate(t.Context(), i.o.To+"&schema=alpha", nil))
	i.sabotage(`INSERT INTO zebra (controller, n) VALUES ('hemmelig', 1)`)
	i.refused("alpha.zebra of the target holds rows already")
	if n := i.count(`SELECT count(*) FROM pg_namespace WHERE nspname = 'privacyops_move'`); n != 0 {
		t.Error("a target that was refused has a journal")
	}
	if mark := markOf(t, i); mark.State != "" {
		t.Errorf("the data folder says %q", mark.State)
	}
}

func TestOtherInstallation(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	i.moved()
	other := newInstallation(t)
	other.key("log+2+b")
	other.o.To = i.o.To
	other.refused("the target holds another installation")
	i.o.To = newInstallation(t).o.To
	i.refused("was moved to PostgreSQL already")
}

// TestUnfit says what cannot be carried, before anything is copied, and tells no value.
func TestUnfit(t *testing.T) {
	t.Parallel()
	for statement, words := range map[string]string{
		`UPDATE beta SET note = 'hemmelig' || char(0) WHERE n = 5`:             "alpha.beta, column note: a text holds bytes",
		`UPDATE beta SET note = CAST(x'ff' || 'hemmelig' AS TEXT) WHERE n = 5`: "alpha.beta, column note: a text holds bytes that PostgreSQL does not take",
		`UPDATE beta SET n = 'hemmelig' WHERE n = 5`:                           "alpha.beta, column n: a value is of another type",
		`UPDATE beta SET sealed = 'hemmelig' WHERE n = 5`:                      "alpha.beta, column sealed: a value is of another type",
		`UPDATE river_job SET created_at = 'hemmelig'`:                         "alpha.river_job, column created_at: a time cannot be read",
		`UPDATE river_job SET args = 'hemmelig'`:                               "read alpha.db: SQLite error",
		`ALTER TABLE beta ADD COLUMN hemmeligt TEXT`:                           "alpha.beta has a column",
		`CREATE TABLE gamma (id TEXT PRIMARY KEY)`:                             "alpha has other tables in the data folder",
		`INSERT INTO goose_db_version (version_id, is_applied) VALUES (99, 1)`: "the schema of alpha is of version 99 in the data folder and 1",
		`DELETE FROM river_migration WHERE version = 7`:                        "start the installed version once with this program",
	} {
		t.Run(words, func(t *testing.T) {
			t.Parallel()
			i := newInstallation(t)
			i.source(func(ctx context.Context, tx sqldb.Tx) error {
				_, err := tx.Exec(ctx, statement)
				return err
			})
			r, err := move.Run(t.Context(), i.o)
			if err == nil || !strings.Contains(err.Error(), words) {
				t.Fatalf("%+v %v", r, err)
			}
			if strings.Contains(err.Error(), "hemmelig'") || strings.Contains(err.Error(), secret) {
				t.Errorf("the error tells a value: %v", err)
			}
			for _, p := range i.at {
				if p.Step != move.Survey {
					t.Errorf("something was copied before: %+v", p)
				}
			}
		})
	}
}

func TestFolderIsNeeded(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	f, err := suite.HoldFolder(i.o.DataDir)
	must(t, err)
	i.refused("another suite runs on the data folder")
	must(t, f.Release())
	i.o.DataDir += "-elsewhere"
	i.refused("there is no data folder")
}

// TestPasswordIsNotShown moves to places that do not answer or are none.
func TestPasswordIsNotShown(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	for _, to := range []string{"postgres://user:hemmelig@127.0.0.1:1/db", "postgres://user:hemmelig%@127.0.0.1/db", "mysql://user:hemmelig@127.0.0.1/db"} {
		i.o.To = to
		i.refused("")
	}
}

func TestMarkKeepsSuiteOff(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	to := i.o.To
	i.moved()
	must(t, migrate(t.Context(), to+"&schema=alpha", nil))
	_, err := suite.Start(t.Context(), suite.Options{DataDir: i.o.DataDir})
	if err == nil || !strings.Contains(err.Error(), "was moved to PostgreSQL") || !strings.Contains(err.Error(), "start it with --database") ||
		strings.Contains(err.Error(), "postgres@") {
		t.Errorf("the suite starts on the files: %v", err)
	}
	f, err := suite.HoldFolder(i.o.DataDir)
	must(t, err)
	must(t, f.SetMark(suite.Mark{State: suite.MoveBegun, To: "postgres://there/db", Time: time.Now()}))
	must(t, f.Release())
	_, err = suite.Start(t.Context(), suite.Options{DataDir: i.o.DataDir, Database: to})
	if err == nil || !strings.Contains(err.Error(), "is not finished; run privacyops move again") {
		t.Errorf("the suite starts on half a move: %v", err)
	}
}
