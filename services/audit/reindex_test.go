package audit_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/libs/sqldb/enginetest"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	domain "github.com/privacyops/privacyops/services/audit/internal/audit"
	"github.com/privacyops/privacyops/services/audit/internal/store"
)

// TestReindex starts a service on its log with an empty database: the index is what it was, row by row, and goes on where it was.
func TestReindex(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		dir := t.TempDir()
		again := report("school-a", "erasure")
		var before []domain.Row
		for start, database := range []string{enginetest.URL(t, engine), enginetest.URL(t, engine)} {
			ctx, stop := context.WithCancel(access.WithCaller(context.Background(), access.Caller{Service: "erasure"}))
			service, db, _, err := openServiceOn(ctx, dir, database, &bytes.Buffer{})
			if err != nil {
				t.Fatal(err)
			}
			rows := allRows(t, db)
			if start == 1 {
				if diff := cmp.Diff(before, rows); diff != "" || len(before) < 7*20 {
					t.Errorf("%d rows before; after the start with an empty database (-before +after):\n%s", len(before), diff)
				}
			}
			ended := make(chan error, 1)
			go func() { ended <- service.Run(ctx) }()
			var in ingest
			service.Register(&in)
			for range 20 {
				events := []*auditv1.ReportedEvent{again}
				for _, school := range []string{"school-a", "school-b", "", "school-a", "school-c", "school-a", "school-b"} {
					events = append(events, report(school, "erasure"))
				}
				if _, err := in.AppendAuditEvents(ctx, &auditv1.AppendAuditEventsRequest{Events: events}); err != nil {
					t.Fatal(err)
				}
				consent := access.WithCaller(ctx, access.Caller{Service: "consent"})
				if _, err := in.AppendAuditEvents(consent, &auditv1.AppendAuditEventsRequest{Events: []*auditv1.ReportedEvent{decisions("school-a", 40)}}); err != nil {
					t.Fatal(err)
				}
			}
			awaitIndex(t, dir, db)
			stop()
			if err := errors.Join(<-ended, service.Close()); err != nil {
				t.Fatal(err)
			}
			awaitIndex(t, dir, db)
			before = allRows(t, db)
			for id, times := range replay(t, dir, db) {
				if times > 1 {
					t.Errorf("event %s is in the log %d times", id, times)
				}
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// allRows reads all rows of the index.
func allRows(t *testing.T, db *sqldb.DB) []domain.Row {
	t.Helper()
	s, err := store.Open(context.Background(), db)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := s.Window(context.Background(), 0, 100_000)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}
