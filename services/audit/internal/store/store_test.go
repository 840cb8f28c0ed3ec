package store

import (
	"context"
	"io/fs"
	"os"
	"path"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/libs/sqldb/enginetest"
	"github.com/privacyops/privacyops/libs/sqldb/pgtest"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
	"github.com/privacyops/privacyops/services/audit/internal/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

func open(t *testing.T, engine sqldb.Engine) (*Store, *sqldb.DB) {
	t.Helper()
	db := enginetest.Open(t, enginetest.URL(t, engine), nil)
	s, err := Open(context.Background(), db)
	if err != nil {
		t.Fatal(err)
	}
	return s, db
}

func TestConformance(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		storetest.Run(t, func(t *testing.T) audit.Index {
			s, _ := open(t, engine)
			return s
		})
	})
}

// TestEntriesStay asks the database itself to change what was recorded, past every line of our own code.
func TestEntriesStay(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, entriesStay)
}

func entriesStay(t *testing.T, engine sqldb.Engine) {
	s, db := open(t, engine)
	ctx := context.Background()
	if _, err := storetest.Follow(ctx, s, storetest.Base, storetest.Decisions("school-a", 1, 2), storetest.Event("school-a", 2)); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		`UPDATE entry SET outcome = 'DENIED'`, `DELETE FROM entry`,
		`UPDATE entry_person SET position = 0`, `DELETE FROM entry_person`,
		`UPDATE entry_people SET received_at = 0`, `DELETE FROM entry_people`,
		`UPDATE entry_decisions SET position = 0`, `DELETE FROM entry_decisions`,
	} {
		err := db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
			_, err := tx.Exec(ctx, statement)
			return err
		})
		if err == nil {
			t.Errorf("%s was carried out", statement)
		}
	}
}

// schema is that of an older release, up to a migration.
func schema(t *testing.T, engine sqldb.Engine, last string) fs.FS {
	t.Helper()
	files, err := fs.Glob(Migrations(), string(engine)+"/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	out := fstest.MapFS{}
	for _, file := range files {
		content, err := fs.ReadFile(Migrations(), file)
		if err != nil {
			t.Fatal(err)
		}
		if number, _, _ := strings.Cut(path.Base(file), "_"); number <= last {
			out[file] = &fstest.MapFile{Data: content}
		}
	}
	return out
}

// TestPeopleByStretches brings a database up to date whose people were in one index. They are found in each stretch of the log, and what
// comes later too; the rows stay.
func TestPeopleByStretches(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		url, ctx := enginetest.URL(t, engine), context.Background()
		person := audit.KeyID{1, 2, 3}
		add := func(db *sqldb.DB, positions ...int64) {
			var entries []audit.Placed
			for _, position := range positions {
				e := audit.Entry{Event: storetest.Event("school-a", int(position)).Sealing([]audit.KeyID{person}, make([]byte, 40)), ReceivedTime: storetest.Base,
					ControllerSequence: uint64(position + 1)}
				entries = append(entries, audit.Placed{Entry: e, Leaf: []byte{1}, Digest: e.Digest(), Index: uint64(position)})
			}
			if err := db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error { return insert(ctx, tx, entries) }); err != nil {
				t.Fatal(err)
			}
		}
		add(enginetest.Open(t, url, schema(t, engine, "00007")), 0, 5, 131_071, 131_072)
		db := enginetest.Open(t, url, nil)
		if _, err := Open(ctx, db); err != nil {
			t.Fatal(err)
		}
		add(db, 131_073, 600_000)
		var got []int64
		err := db.Read(ctx, func(ctx context.Context, q sqldb.Querier) (err error) {
			got, err = positionsAbout(ctx, q, audit.Query{Controller: "school-a"}, []audit.KeyID{person}, 10)
			return err
		})
		if diff := cmp.Diff([]int64{600_000, 131_073, 131_072, 131_071, 5, 0}, got); err != nil || diff != "" {
			t.Errorf("entries about the person: %v (-want +got):\n%s", err, diff)
		}
		for _, statement := range []string{`DELETE FROM entry_person`, `UPDATE entry_person SET position = 5`} {
			err := db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
				_, err := tx.Exec(ctx, statement)
				return err
			})
			if err == nil {
				t.Errorf("%s was carried out", statement)
			}
		}
	})
}

// TestOlderEntriesWait brings a database up to date from before the log came first. What it had not brought into the log waits for
// it; all else comes from the log.
func TestOlderEntriesWait(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		url, ctx := enginetest.URL(t, engine), context.Background()
		before := schema(t, engine, "00002")
		older := enginetest.Open(t, url, before)
		var leaves [][]byte
		for n := 1; n <= 4; n++ {
			entry := audit.Entry{Event: storetest.Event("school-a", n), ReceivedTime: storetest.Base, ControllerSequence: uint64(n)}
			leaf, err := entry.Leaf()
			if err != nil {
				t.Fatal(err)
			}
			leaves = append(leaves, leaf)
			err = older.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
				_, err := tx.Exec(ctx, `INSERT INTO entry VALUES ($1, $2, $3, 'school-a', $4, $5, 'erasure', 'erasure.approve', 'MODIFY', 'p-4f1c', '', 'OK', '', $6, 0)`,
					10*n, string(entry.ID), []byte{1}, n, sqldb.Micros(entry.ReceivedTime), leaf)
				if err != nil {
					return err
				}
				if n <= 2 {
					_, err = tx.Exec(ctx, `INSERT INTO placement VALUES ($1, $2)`, n-1, 10*n)
					return err
				}
				_, err = tx.Exec(ctx, `INSERT INTO queue VALUES ($1)`, 10*n)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		s, err := Open(ctx, enginetest.Open(t, url, nil))
		if err != nil {
			t.Fatal(err)
		}
		waiting, err := s.Waiting(ctx)
		if diff := cmp.Diff(leaves[2:], waiting); err != nil || diff != "" {
			t.Errorf("what waits: %v (-want +got):\n%s", err, diff)
		}
		if heads, err := s.Heads(ctx); err != nil || heads.Next != 0 || len(heads.Sequences) != 0 {
			t.Errorf("the index is not at the log's beginning: %+v, %v", heads, err)
		}
	})
}

// TestSearchUsesIndexes asks SQLite how it would search: by time within the controller, or from the subject's own entries,
// and never through the whole table.
func TestSearchUsesIndexes(t *testing.T) {
	t.Parallel()
	_, db := open(t, sqldb.SQLite)
	query := audit.Query{Controller: "a", Start: storetest.Base, Limit: 10}
	for name, test := range map[string]struct {
		sql  func() (string, []any)
		want string
	}{
		"by time":   {func() (string, []any) { return searchSQL(query, 10) }, "INDEX entry_by_time"},
		"by person": {func() (string, []any) { return personSQL(query, []audit.KeyID{{}}, 10) }, "SEARCH p USING COVERING INDEX entry_person_by_person (<expr>=? AND person=?)"},
		"by marks":  {func() (string, []any) { return marksSQL(query) }, "SEARCH m USING INDEX entry_people_by_time"},
		"known":     {func() (string, []any) { return knownQueries[2], []any{"a", "b"} }, "SEARCH entry USING INDEX"},
	} {
		text, args := test.sql()
		var plan []string
		err := db.Read(context.Background(), func(ctx context.Context, q sqldb.Querier) (err error) {
			plan, err = collect(ctx, q, func(r sqldb.Rows) (detail string, err error) {
				var id, parent, unused int64
				err = r.Scan(&id, &parent, &unused, &detail)
				return detail, err
			}, "EXPLAIN QUERY PLAN "+text, args...)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		steps := strings.Join(plan, "\n")
		if !strings.Contains(steps, test.want) || strings.Contains(steps+"\n", "SCAN e\n") || strings.Contains(steps, "SCAN m") || strings.Contains(steps, "SCAN p") || strings.Contains(steps, "SEARCH s") {
			t.Errorf("%s: the plan is\n%s\nwant %q and no scan of all entries", name, steps, test.want)
		}
	}
}
