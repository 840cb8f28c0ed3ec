package sqldb_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"testing/fstest"
	"time"

	"github.com/privacyops/privacyops/libs/sqldb"
)

// A store is written once against Tx and Querier, with portable SQL.
func ExampleDB_Write() {
	migrations := fstest.MapFS{"sqlite/00001_hold.sql": {Data: []byte(
		"-- +goose Up\nCREATE TABLE hold (id TEXT PRIMARY KEY, until_us BIGINT NOT NULL);\n")}}
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "sqldb")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	db, err := sqldb.Open(ctx, sqldb.Config{URL: "sqlite:" + filepath.Join(dir, "erasure.db")})
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()
	if err := db.Migrate(ctx, migrations); err != nil {
		log.Fatal(err)
	}

	place := func(id string, until time.Time) error {
		return db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
			tx.AfterCommit(func() { fmt.Println("placed", id) })
			_, err := tx.Exec(ctx, `INSERT INTO hold (id, until_us) VALUES ($1, $2)`, id, sqldb.Micros(until))
			return err
		})
	}
	until := time.Date(2027, 7, 1, 0, 0, 0, 0, time.UTC)
	fmt.Println(place("h-1", until))
	fmt.Println(sqldb.IsUniqueViolation(place("h-1", until)))

	err = db.Read(ctx, func(ctx context.Context, q sqldb.Querier) error {
		var us int64
		if err := q.QueryRow(ctx, `SELECT until_us FROM hold WHERE id = $1`, "h-1").Scan(&us); err != nil {
			return err
		}
		fmt.Println(sqldb.Time(us))
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output:
	// placed h-1
	// <nil>
	// true
	// 2027-07-01 00:00:00 +0000 UTC
}
