package store

import (
	"context"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"

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
		storetest.Run(t, func(t *testing.T) audit.Store {
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
	event := storetest.Decisions("school-a", 1, 2)
	if _, err := s.Accept(ctx, storetest.Base, []audit.Event{event}); err != nil {
		t.Fatal(err)
	}
	if err := s.Place(ctx, []audit.Placement{{ID: event.ID, Index: 0}}); err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		`UPDATE entry SET outcome = 'DENIED'`, `DELETE FROM entry`,
		`UPDATE entry_subject SET subject_ref = 'x'`, `DELETE FROM entry_subject`,
		`UPDATE entry_decisions SET position = 0`, `DELETE FROM entry_decisions`,
		`UPDATE placement SET log_index = 7`, `DELETE FROM placement`,
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

// TestOlderEntriesAreKept brings a database up to date that has entries from before there were decisions.
func TestOlderEntriesAreKept(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		url, ctx := enginetest.URL(t, engine), context.Background()
		first := fstest.MapFS{}
		file := string(engine) + "/00001_audit.sql"
		content, err := fs.ReadFile(Migrations(), file)
		if err != nil {
			t.Fatal(err)
		}
		first[file] = &fstest.MapFile{Data: content}
		older := enginetest.Open(t, url, first)
		entry := audit.Entry{Event: storetest.Event("school-a", 1), ReceivedTime: storetest.Base, ControllerSequence: 1}
		leaf, err := entry.Leaf()
		if err != nil {
			t.Fatal(err)
		}
		err = older.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO entry VALUES (1, $1, $2, 'school-a', 1, $3, 'erasure', 'erasure.approve', 'MODIFY', 'p-4f1c', $4, 'OK', $5, $6)`,
				string(entry.ID), []byte{1}, sqldb.Micros(entry.ReceivedTime), entry.Resource, entry.TraceID(), leaf)
			if err != nil {
				return err
			}
			_, err = tx.Exec(ctx, `INSERT INTO placement VALUES (0, 1)`)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		s, err := Open(ctx, enginetest.Open(t, url, nil))
		if err != nil {
			t.Fatal(err)
		}
		found, err := s.Search(ctx, audit.Query{Controller: "school-a", Filter: audit.Filter{ActorRef: "p-4f1c"}, Limit: 10})
		if err != nil || len(found) != 1 || found[0].ID != entry.ID {
			t.Errorf("the older entry: %+v, %v", found, err)
		}
		if rows, err := s.Window(ctx, 0, 10); err != nil || len(rows) != 1 || rows[0].Keys.Decisions != 0 {
			t.Errorf("its row: %+v, %v", rows, err)
		}
	})
}

// TestSearchUsesIndexes asks SQLite how it would search: by time within the controller, or from the subject's own entries,
// and never through the whole table.
func TestSearchUsesIndexes(t *testing.T) {
	t.Parallel()
	_, db := open(t, sqldb.SQLite)
	for name, test := range map[string]struct {
		query audit.Query
		want  string
	}{
		"by time": {audit.Query{Controller: "a", Start: storetest.Base, Limit: 10}, "INDEX entry_by_time"},
		"subject": {audit.Query{Controller: "a", SubjectRefs: []audit.SubjectRef{"s"}, Limit: 10}, "entry_subject USING COVERING INDEX"},
	} {
		text, args := searchSQL(test.query, 10)
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
		if !strings.Contains(steps, test.want) || strings.Contains(steps, "SCAN e\n") {
			t.Errorf("%s: the plan is\n%s\nwant %q and no scan of all entries", name, steps, test.want)
		}
	}
}
