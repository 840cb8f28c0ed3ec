package store_test

import (
	"testing"

	"github.com/privacyops/privacyops/libs/sqldb/enginetest"
	"github.com/privacyops/privacyops/services/export/internal/store"
)

// TestEveryTableIsFenced: each table with controllers' rows has row-level security that binds its owner too.
func TestEveryTableIsFenced(t *testing.T) {
	t.Parallel()
	enginetest.RowSecurity(t, store.Migrations())
}
