package audit_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/sqldb"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	domain "github.com/privacyops/privacyops/services/audit/internal/audit"
	"github.com/privacyops/privacyops/services/audit/internal/store"
	logs "github.com/privacyops/privacyops/services/audit/internal/tlog"
)

// ingest catches the ingest methods and those of reading on their way to a server, to call them without one.
type ingest struct {
	auditv1.AuditIngestServer
	log auditv1.AuditLogServer
}

func (i *ingest) RegisterService(d *grpc.ServiceDesc, impl any) {
	switch d.ServiceName {
	case auditv1.AuditIngest_ServiceDesc.ServiceName:
		i.AuditIngestServer = impl.(auditv1.AuditIngestServer)
	case auditv1.AuditLog_ServiceDesc.ServiceName:
		i.log = impl.(auditv1.AuditLogServer)
	}
}

// awaitIndex waits until the index has what the log has.
func awaitIndex(t *testing.T, dir string, db *sqldb.DB) {
	t.Helper()
	s, err := store.Open(context.Background(), db)
	if err != nil {
		t.Fatal(err)
	}
	for range 500 {
		size, err := integratedSize(filepath.Join(dir, "log"))
		if err != nil {
			t.Fatal(err)
		}
		if heads, err := s.Heads(context.Background()); err != nil {
			t.Fatal(err)
		} else if heads.Next == size {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("the index is behind the log after ten seconds")
}

// replay opens the closed log beside its service, compares it with the index and counts the entries of each event.
func replay(t *testing.T, dir string, db *sqldb.DB) map[domain.EventID]int {
	t.Helper()
	key, err := logs.ReadKey(filepath.Join(dir, "log.key"), origin)
	if err != nil {
		t.Fatal(err)
	}
	return replayOf(t, logs.Options{Dir: filepath.Join(dir, "log"), Key: key}, db)
}

// replayOf is replay of a log that is kept anywhere.
func replayOf(t *testing.T, o logs.Options, db *sqldb.DB) map[domain.EventID]int {
	t.Helper()
	ctx := context.Background()
	log, err := logs.Open(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close(ctx) // nothing was added
	s, err := store.Open(ctx, db)
	if err != nil {
		t.Fatal(err)
	}
	// What was recorded while the service ended comes into the index at the next start.
	if _, err := domain.NewFollower(s, log, domain.FollowerOptions{}).CatchUp(ctx); err != nil {
		t.Fatal(err)
	}
	report, err := domain.NewVerifier(s, log, log).Verify(ctx)
	if err != nil || report.Finding != nil {
		t.Fatalf("Verify: %+v, %v", report.Finding, err)
	}
	counts := map[domain.EventID]int{}
	for next := uint64(0); next < report.Checked; {
		leaves, err := log.Leaves(ctx, next, 256)
		if err != nil {
			t.Fatal(err)
		}
		for _, raw := range leaves {
			entry, err := domain.ParseLeaf(raw)
			if err != nil {
				t.Fatal(err)
			}
			counts[entry.ID]++
		}
		next += uint64(len(leaves))
	}
	return counts
}

// TestOpeningRefusals: a service does not start beside another, without its key, or on a log that is not its index's.
func TestOpeningRefusals(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		spoil func(dir string) error
		want  error
	}{
		"key lost":   {func(dir string) error { return os.Remove(filepath.Join(dir, "log.key")) }, os.ErrNotExist},
		"log lost":   {func(dir string) error { return os.RemoveAll(filepath.Join(dir, "log")) }, domain.ErrDiverged},
		"state lost": {func(dir string) error { return os.RemoveAll(filepath.Join(dir, "log", ".state")) }, logs.ErrTampered},
		"log and key": {func(dir string) error {
			return errors.Join(os.Remove(filepath.Join(dir, "log.key")), os.RemoveAll(filepath.Join(dir, "log")))
		}, domain.ErrDiverged},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			service, db, _, err := openService(context.Background(), dir, &bytes.Buffer{})
			if err != nil {
				t.Fatal(err)
			}
			if _, _, _, err := openService(context.Background(), dir, &bytes.Buffer{}); !errors.Is(err, sqldb.ErrLocked) {
				t.Errorf("a second service: %v, want %v", err, sqldb.ErrLocked)
			}
			var in ingest
			service.Register(&in)
			caller := access.WithCaller(context.Background(), access.Caller{Service: "erasure"})
			if _, err := in.AppendAuditEvents(caller, &auditv1.AppendAuditEventsRequest{Events: []*auditv1.ReportedEvent{report("school-a", "erasure")}}); err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(context.Background())
			ended := make(chan error, 1)
			go func() { ended <- service.Run(ctx) }()
			awaitIndex(t, dir, db)
			stop()
			if err := errors.Join(<-ended, service.Close(), db.Close(), test.spoil(dir)); err != nil {
				t.Fatal(err)
			}
			again, db, _, err := openService(context.Background(), dir, &bytes.Buffer{})
			if err == nil {
				_ = errors.Join(again.Close(), db.Close())
			}
			if !errors.Is(err, test.want) {
				t.Errorf("opening it: %v, want %v", err, test.want)
			}
		})
	}
}
