package store_test

import (
	"context"
	"testing"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/libs/sqldb/enginetest"
	"github.com/privacyops/privacyops/services/erasure/internal/store"
)

// TestRowsOfOthersAreInvisible: with a controller set another one's rows are not there, and a transaction that forgets the
// controller sees nothing.
func TestRowsOfOthersAreInvisible(t *testing.T) {
	t.Parallel()
	db := enginetest.RowSecurity(t, store.Migrations())
	ctx := t.Context()
	north, south := sqldb.WithController(ctx, "north"), sqldb.WithController(ctx, "south")
	bury := func(ctx context.Context, controller string) error {
		return db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
			_, err := tx.Exec(ctx, `INSERT INTO tombstone (controller, subject_ref, erasure, erase_time) VALUES ($1, $2, $3, $4)`, controller, "sub_x", "e", 1)
			return err
		})
	}
	if err := bury(north, "north"); err != nil {
		t.Fatal(err)
	}
	if err := bury(north, "south"); err == nil {
		t.Error("a row of another controller was written")
	}
	if err := bury(ctx, "north"); err == nil {
		t.Error("a row was written without a controller")
	}
	for name, c := range map[string]struct {
		ctx  context.Context
		want int
	}{"its own": {north, 1}, "another": {south, 0}, "none": {ctx, 0}, "all": {sqldb.WithAllControllers(ctx), 1}, "a star as an id": {sqldb.WithController(ctx, "*"), 0}} {
		var n int
		err := db.Read(c.ctx, func(ctx context.Context, q sqldb.Querier) error {
			return q.QueryRow(ctx, `SELECT COUNT(*) FROM tombstone`).Scan(&n)
		})
		if err != nil || n != c.want {
			t.Errorf("%s: %d rows, %v; want %d", name, n, err, c.want)
		}
	}
}
