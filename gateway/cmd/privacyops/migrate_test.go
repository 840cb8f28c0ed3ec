package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/libs/sqldb/enginetest"
	"github.com/privacyops/privacyops/libs/sqldb/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// TestMigrate: every service's database gets its tables, those that all services have too, and may be brought up to date again.
func TestMigrate(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		c := migrateCommand{ConsentDatabase: enginetest.URL(t, engine), ExportDatabase: enginetest.URL(t, engine),
			ErasureDatabase: enginetest.URL(t, engine), AuditDatabase: enginetest.URL(t, engine)}
		for range 2 {
			if err := c.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for url, tables := range map[string]string{
			c.ConsentDatabase: "controller audit_outbox idempotent_reply river_job",
			c.ExportDatabase:  "audit_outbox idempotent_reply river_job",
			c.ErasureDatabase: "audit_outbox idempotent_reply river_job",
			c.AuditDatabase:   "entry audit_outbox",
		} {
			db, err := sqldb.Open(t.Context(), sqldb.Config{URL: url})
			if err != nil {
				t.Fatal(err)
			}
			for _, table := range strings.Fields(tables) {
				err := db.Read(sqldb.WithAllControllers(t.Context()), func(ctx context.Context, q sqldb.Querier) error {
					var n int64
					return q.QueryRow(ctx, "SELECT count(*) FROM "+table).Scan(&n)
				})
				if err != nil {
					t.Errorf("table %s: %v", table, err)
				}
			}
			db.Close()
		}
	})
}

// TestMigrateGoesOn: one database that cannot be reached does not keep the others old; none at all is a mistake.
func TestMigrateGoesOn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	c := migrateCommand{ConsentDatabase: "sqlite:" + filepath.Join(dir, "nowhere", "consent.db"), ExportDatabase: "sqlite:" + filepath.Join(dir, "export.db")}
	if err := c.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "consent") || strings.Contains(err.Error(), "export") {
		t.Errorf("got %v, want consent's trouble alone", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "export.db")); err != nil {
		t.Error(err)
	}
	if err := (&migrateCommand{}).Run(t.Context()); err == nil {
		t.Error("nothing was named, and nobody said so")
	}
}
