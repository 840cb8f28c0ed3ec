package store_test

import (
	"context"
	"testing"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/libs/sqldb/enginetest"
	"github.com/privacyops/privacyops/services/consent/internal/store"
)

// TestRowsOfOthersAreInvisible: a transaction reads and writes the rows of the controller it is for, and none without one.
func TestRowsOfOthersAreInvisible(t *testing.T) {
	t.Parallel()
	db := enginetest.RowSecurity(t, store.Migrations())
	add := func(ctx context.Context) error {
		return db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO controller (controller, version, body, create_time, update_time) VALUES ('north', 1, '{}', 1, 1)`)
			return err
		})
	}
	if add(t.Context()) == nil || add(sqldb.WithController(t.Context(), "south")) == nil {
		t.Error("a row was written without its controller")
	}
	if err := add(sqldb.WithController(t.Context(), "north")); err != nil {
		t.Fatal(err)
	}
	for controller, want := range map[string]int{"north": 1, "south": 0, "": 0} {
		var n int
		err := db.Read(sqldb.WithController(t.Context(), controller), func(ctx context.Context, q sqldb.Querier) error {
			return q.QueryRow(ctx, `SELECT COUNT(*) FROM controller`).Scan(&n)
		})
		if err != nil || n != want {
			t.Errorf("for %q: %d rows, %v; want %d", controller, n, err, want)
		}
	}
}
