package export

import (
	"context"
	"errors"
	"fmt"

	"github.com/privacyops/privacyops/libs/idempotency"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/export/internal/store"
)

// Migrate brings the service's database up to date and tells of every change. It runs as the role that owns the service's
// schema; the service itself, which does the same when it starts, then needs no right to change it.
func Migrate(ctx context.Context, database string, tell func(change string)) error {
	db, err := sqldb.Open(ctx, sqldb.Config{URL: database, Changed: tell})
	if err != nil {
		return fmt.Errorf("export: open the database: %w", err)
	}
	return errors.Join(migrate(ctx, db), db.Close())
}

// migrate makes and changes every table that the service has.
func migrate(ctx context.Context, db *sqldb.DB) error {
	if err := db.Migrate(ctx, store.Migrations()); err != nil {
		return fmt.Errorf("export: migrate: %w", err)
	}
	if err := outbox.Migrate(ctx, db); err != nil {
		return err
	}
	return idempotency.Migrate(ctx, db)
}
