package audit

import (
	"context"
	"errors"
	"fmt"

	"github.com/privacyops/privacyops/libs/idempotency"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/audit/internal/keystore"
	"github.com/privacyops/privacyops/services/audit/internal/store"
)

// Migrate brings the service's database up to date and tells of every change. It runs as the role that owns the service's
// schema; the service itself, which does the same when it starts, then needs no right to change it.
func Migrate(ctx context.Context, database string, tell func(change string)) error {
	db, err := sqldb.Open(ctx, sqldb.Config{URL: database, Changed: tell})
	if err != nil {
		return fmt.Errorf("audit: open the database: %w", err)
	}
	_, err = store.Open(ctx, db)
	if err == nil {
		err = outbox.Migrate(ctx, db)
	}
	if err == nil {
		err = idempotency.Migrate(ctx, db)
	}
	return errors.Join(err, db.Close())
}

// MigrateKeys brings the database of the keys of people up to date and tells of every change, as Migrate does with the other one.
func MigrateKeys(ctx context.Context, database string, tell func(change string)) error {
	db, err := sqldb.Open(ctx, sqldb.Config{URL: database, Changed: tell})
	if err != nil {
		return fmt.Errorf("audit: open the database of keys: %w", err)
	}
	_, err = keystore.Open(ctx, db)
	return errors.Join(err, db.Close())
}
