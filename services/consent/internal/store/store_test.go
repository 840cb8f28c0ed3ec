package store_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
	"github.com/privacyops/privacyops/services/consent/internal/store"
	"github.com/privacyops/privacyops/services/consent/internal/store/storetest"
)

func TestSQLite(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) (*sqldb.DB, consent.Store) {
		t.Helper()
		db, err := sqldb.Open(context.Background(), sqldb.Config{URL: "sqlite:" + filepath.Join(t.TempDir(), "consent.db")})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		if err := db.Migrate(context.Background(), store.Migrations()); err != nil {
			t.Fatal(err)
		}
		return db, store.Store{}
	})
}
