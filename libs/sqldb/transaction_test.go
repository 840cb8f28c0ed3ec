package sqldb_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/libs/sqldb/enginetest"
)

func TestRollbackLeavesNothing(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		refused := errors.New("refused")
		work := func(ctx context.Context, t *testing.T, tx sqldb.Tx, hooks *int) {
			if _, err := tx.Exec(ctx, insertPerson, 1, "a@example.dk"); err != nil {
				t.Error(err)
			}
			if err := tx.Enqueue(ctx, sqldb.Job{Kind: "greet", Args: map[string]string{"id": "1"}}); err != nil {
				t.Error(err)
			}
			tx.AfterCommit(func() { *hooks++ })
		}
		ends := map[string]struct {
			end    func(cancel context.CancelFunc) error
			kept   int64
			panics bool
		}{
			"success": {end: func(context.CancelFunc) error { return nil }, kept: 1},
			"error":   {end: func(context.CancelFunc) error { return refused }},
			"panic":   {end: func(context.CancelFunc) error { panic("boom") }, panics: true},
			"cancelled before commit": {end: func(cancel context.CancelFunc) error {
				cancel()
				return nil
			}},
		}
		for name, tt := range ends {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				db := open(t, engine)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				hooks := 0
				err, panicked := write(ctx, db, func(ctx context.Context, tx sqldb.Tx) error {
					work(ctx, t, tx, &hooks)
					if hooks != 0 {
						t.Error("an AfterCommit hook ran before the commit")
					}
					return tt.end(cancel)
				})
				if (err == nil && !panicked) != (tt.kept == 1) || panicked != tt.panics {
					t.Errorf("Write = %v (panicked: %t)", err, panicked)
				}
				if name == "error" && err != refused { //nolint:errorlint // it must be the very error
					t.Errorf("Write = %v, want the function's own error", err)
				}
				if rows, jobs := count(t, db, countPeople), count(t, db, countJobs); rows != tt.kept || jobs != tt.kept || int64(hooks) != tt.kept {
					t.Errorf("%d rows, %d jobs, %d hooks; want %d of each", rows, jobs, hooks, tt.kept)
				}
				// The one writing connection must be free again.
				if err := exec(t, db, insertPerson, 2, "b@example.dk"); err != nil {
					t.Errorf("the next transaction: %v", err)
				}
			})
		}
	})
}

// write is DB.Write that reports a panic instead of passing it on.
func write(ctx context.Context, db *sqldb.DB, fn func(context.Context, sqldb.Tx) error) (err error, panicked bool) { //nolint:revive // the error is not the point
	defer func() { panicked = recover() != nil }()
	return db.Write(ctx, fn), false
}

func TestAfterCommitRunsInOrderOnTheCommittedState(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		db := open(t, engine)
		var order []string
		err := db.Write(t.Context(), func(ctx context.Context, tx sqldb.Tx) error {
			if _, err := tx.Exec(ctx, insertPerson, 1, "a@example.dk"); err != nil {
				return err
			}
			tx.AfterCommit(func() {
				order = append(order, fmt.Sprintf("sees %d", count(t, db, countPeople)))
			})
			tx.AfterCommit(func() {
				// A hook may open transactions, even with the ctx of the one that ended.
				err := db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
					_, err := tx.Exec(ctx, insertPerson, 2, "b@example.dk")
					return err
				})
				order = append(order, fmt.Sprintf("writes: %v", err))
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"sees 1", "writes: <nil>"}, order); diff != "" {
			t.Error(diff)
		}
	})
}

func TestNestedTransactions(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		db, other := open(t, engine), open(t, engine)
		nop := func(context.Context, sqldb.Tx) error { return nil }
		nopRead := func(context.Context, sqldb.Querier) error { return nil }
		err := db.Write(t.Context(), func(ctx context.Context, _ sqldb.Tx) error {
			if err := db.Write(ctx, nop); !errors.Is(err, sqldb.ErrNested) {
				t.Errorf("Write in Write = %v, want ErrNested", err)
			}
			if err := db.Read(ctx, nopRead); !errors.Is(err, sqldb.ErrNested) {
				t.Errorf("Read in Write = %v, want ErrNested", err)
			}
			if err := other.Write(ctx, nop); err != nil {
				t.Errorf("Write of another database in Write = %v", err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		err = db.Read(t.Context(), func(ctx context.Context, outer sqldb.Querier) error {
			var before, inner int64
			if err := outer.QueryRow(ctx, countPeople).Scan(&before); err != nil {
				return err
			}
			if err := exec(t, db, insertPerson, 1, "a@example.dk"); err != nil {
				return err
			}
			err := db.Read(ctx, func(ctx context.Context, q sqldb.Querier) error {
				return q.QueryRow(ctx, countPeople).Scan(&inner)
			})
			if inner != before {
				t.Errorf("the inner Read sees %d rows, the outer %d", inner, before)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestConcurrentWritersAllSucceed(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		url := enginetest.URL(t, engine)
		// Two handles, as two processes would have.
		handles := []*sqldb.DB{openAt(t, url, people), openAt(t, url, people)}
		const writers = 50
		var wg sync.WaitGroup
		for i := range writers {
			wg.Go(func() {
				db := handles[i%len(handles)]
				err := db.Write(t.Context(), func(ctx context.Context, tx sqldb.Tx) error {
					if tx.Engine() == sqldb.Postgres { // SQLite's writers are alone in any case
						if _, err := tx.Exec(ctx, `LOCK TABLE person IN EXCLUSIVE MODE`); err != nil {
							return err
						}
					}
					var n int64
					if err := tx.QueryRow(ctx, `SELECT count(*) FROM person`).Scan(&n); err != nil {
						return err
					}
					// Reads and then writes what it read: wrong if two overlap.
					_, err := tx.Exec(ctx, insertPerson, n+1, fmt.Sprintf("%d@example.dk", n+1))
					return err
				})
				if err != nil {
					t.Errorf("writer %d: %v", i, err)
				}
			})
		}
		wg.Wait()
		if n := count(t, handles[0], `SELECT max(id) FROM person`); n != writers {
			t.Errorf("highest id %d, want %d", n, writers)
		}
	})
}

func TestWritersOfOneProcessQueue(t *testing.T) {
	t.Parallel()
	db, err := sqldb.Open(t.Context(), sqldb.Config{
		URL:         "sqlite:" + filepath.Join(t.TempDir(), "test.db"),
		BusyTimeout: time.Millisecond, // is for other processes
	})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	started := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		err := db.Write(t.Context(), func(context.Context, sqldb.Tx) error {
			close(started)
			time.Sleep(100 * time.Millisecond)
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	<-started
	if err := db.Write(t.Context(), func(context.Context, sqldb.Tx) error { return nil }); err != nil {
		t.Errorf("Write behind a long one: %v", err)
	}
	wg.Wait()
}

func TestReadSeesOneState(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		db := open(t, engine)
		err := db.Read(t.Context(), func(ctx context.Context, q sqldb.Querier) error {
			var before, after int64
			if err := q.QueryRow(ctx, countPeople).Scan(&before); err != nil {
				return err
			}
			if err := exec(t, db, insertPerson, 1, "a@example.dk"); err != nil {
				return err
			}
			if err := q.QueryRow(ctx, countPeople).Scan(&after); err != nil {
				return err
			}
			if before != after {
				t.Errorf("a snapshot changed from %d to %d rows", before, after)
			}
			if _, err := q.Exec(ctx, insertPerson, 2, "b@example.dk"); err == nil {
				t.Error("a snapshot accepted a write")
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if n := count(t, db, countPeople); n != 1 {
			t.Errorf("%d rows after the snapshot, want 1", n)
		}
	})
}

func TestWriteWaitsNoLongerThanItsContext(t *testing.T) {
	t.Parallel()
	db := open(t, sqldb.SQLite)
	err := db.Write(t.Context(), func(context.Context, sqldb.Tx) error {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		err := db.Write(ctx, func(context.Context, sqldb.Tx) error { return nil })
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Write behind another = %v, want the deadline's error", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestRowsAndParameters(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		db := open(t, engine)
		type person struct {
			id    int64
			email string
		}
		var got []person
		err := db.Write(t.Context(), func(ctx context.Context, tx sqldb.Tx) error {
			// The order of appearance differs from the order of the numbers, one is used twice.
			n, err := tx.Exec(ctx, `INSERT INTO person (email, id, age) VALUES ($2, $1, $1), ('costs $5 -- "', 8, $1)`, 7, "a@example.dk")
			if err != nil || n != 2 {
				return fmt.Errorf("%d rows, %w", n, err)
			}
			rows, err := tx.Query(ctx, `SELECT id, email FROM person /* all $9 */ ORDER BY id`)
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				var p person
				if err := rows.Scan(&p.id, &p.email); err != nil {
					return err
				}
				got = append(got, p)
			}
			return rows.Err()
		})
		if err != nil {
			t.Fatal(err)
		}
		want := []person{{7, "a@example.dk"}, {8, `costs $5 -- "`}}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(person{})); diff != "" {
			t.Error(diff)
		}
	})
}

func TestArgumentsThatEnginesStoreDifferentlyAreRefused(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		db := open(t, engine)
		now, yes := time.Now(), true
		for name, args := range map[string][]any{
			"time":         {1, now},
			"time pointer": {1, &now},
			"bool":         {1, yes},
			"bool pointer": {1, &yes},
			"too few":      {1},
			"too many":     {1, "a@example.dk", "b@example.dk"},
		} {
			if err := exec(t, db, insertPerson, args...); err == nil {
				t.Errorf("%s: accepted", name)
			}
		}
		if err := exec(t, db, `INSERT INTO person (id, email) VALUES ($a, 'x')`); err == nil {
			t.Error("a named parameter was accepted")
		}
		if err := exec(t, db, `INSERT INTO person (id, email) VALUES (?, ?)`, 1, "a@example.dk"); err == nil {
			t.Error("parameters that PostgreSQL lacks were accepted")
		}
	})
}
