package audit

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/libs/sqldb/enginetest"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
)

// TestNote: what an operator does while the service is stopped waits in its outbox; where there is no installation none is made.
func TestNote(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	absent := filepath.Join(t.TempDir(), "audit.db")
	if err := Note(ctx, "sqlite:"+absent, "maintenance.move"); err == nil {
		t.Error("an installation that is not there was noted in")
	}
	url := enginetest.URL(t, sqldb.SQLite)
	db := enginetest.Open(t, url, nil)
	if err := Note(ctx, url, "maintenance.move"); err != nil {
		t.Fatal(err)
	}
	var text string
	err := db.Read(ctx, func(ctx context.Context, q sqldb.Querier) error {
		return q.QueryRow(ctx, `SELECT event FROM audit_outbox`).Scan(&text)
	})
	if err != nil {
		t.Fatal(err)
	}
	e, err := outbox.Decode(text)
	if err != nil || e.GetAction() != "maintenance.move" || e.GetService() != "audit" || e.GetOutcome() != auditv1.AuditEvent_OK {
		t.Errorf("noted: %v, %v", e, err)
	}
}
