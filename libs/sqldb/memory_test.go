package sqldb_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/privacyops/privacyops/libs/sqldb"
)

// TestScrubMemory: a database works on after it; while a transaction is open, whose connection may remember, it says so. That nothing is left
// in memory the audit service's tests find out, in a process of its own.
func TestScrubMemory(t *testing.T) {
	t.Parallel()
	for _, engine := range []sqldb.Engine{sqldb.SQLite, sqldb.Postgres} {
		t.Run(string(engine), func(t *testing.T) {
			t.Parallel()
			db := open(t, engine)
			for n := range 3 { // statements are prepared after a while
				if err := exec(t, db, insertPerson, n, fmt.Sprintf("%d@example.dk", n)); err != nil {
					t.Fatal(err)
				}
				if err := db.ScrubMemory(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			err := db.Read(t.Context(), func(ctx context.Context, q sqldb.Querier) error {
				var n int
				if err := q.QueryRow(ctx, countPeople).Scan(&n); err != nil || n != 3 {
					t.Errorf("%d people (%v)", n, err)
				}
				if err := db.ScrubMemory(t.Context()); !errors.Is(err, sqldb.ErrUnavailable) {
					t.Errorf("under an open transaction: %v", err)
				}
				return q.QueryRow(ctx, countPeople).Scan(&n)
			})
			if err != nil {
				t.Error(err)
			}
			if err := db.ScrubMemory(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}
