package audit_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
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

// victimVariable names, in the environment, the folder on which this test binary runs a service until it is killed.
const victimVariable = "PRIVACYOPS_AUDIT_VICTIM"

// ingest catches the ingest methods on their way to a server, to call them without one.
type ingest struct{ auditv1.AuditIngestServer }

func (i *ingest) RegisterService(d *grpc.ServiceDesc, impl any) {
	if d.ServiceName == auditv1.AuditIngest_ServiceDesc.ServiceName {
		i.AuditIngestServer = impl.(auditv1.AuditIngestServer)
	}
}

// runVictim reports events to a service on dir as fast as it can and writes the id of each accepted one to standard output.
func runVictim(dir string) {
	ctx := access.WithCaller(context.Background(), access.Caller{Service: "erasure"})
	service, _, _, err := openService(ctx, dir, &bytes.Buffer{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var in ingest
	service.Register(&in)
	go func() {
		if err := service.Run(ctx); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}()
	for {
		var events []*auditv1.ReportedEvent
		for range 5 {
			events = append(events, report("school-a", "erasure"))
		}
		if _, err := in.AppendAuditEvents(ctx, &auditv1.AppendAuditEventsRequest{Events: events}); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		for _, e := range events {
			fmt.Println(e.GetId())
		}
	}
}

// killVictim starts a victim, kills it some time after its first acknowledgement, and returns what it acknowledged.
func killVictim(t *testing.T, dir string, after time.Duration) []domain.EventID {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), victimVariable+"="+dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var acked []domain.EventID
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if len(acked) == 0 {
			time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		}
		acked = append(acked, domain.EventID(lines.Text()))
	}
	if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != -1 {
		t.Fatalf("the victim ended by itself: %v\n%s", err, stderr.String())
	}
	return acked[:len(acked)-len(acked)%5] // the last line may be cut
}

// TestKills kills a service again and again while it accepts and sequences (guarantees G1, G5): after the last restart every
// acknowledged event is in the log exactly once, and log and index agree row by row.
func TestKills(t *testing.T) {
	t.Parallel()
	seed, kills := uint64(time.Now().UnixNano()), 8
	if testing.Short() {
		kills = 3
	}
	random := rand.New(rand.NewPCG(seed, 0)) // moments to kill at
	dir := t.TempDir()
	acked := map[domain.EventID]bool{}
	for range kills {
		for _, id := range killVictim(t, dir, time.Duration(5+random.IntN(250))*time.Millisecond) {
			acked[id] = true
		}
	}
	service, db, _, err := openService(context.Background(), dir, &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- service.Run(ctx) }()
	awaitEmptyQueue(t, db)
	stop()
	if err := errors.Join(<-ended, service.Close()); err != nil {
		t.Fatal(err)
	}
	counts := replay(t, dir, db)
	lost, twice := 0, 0
	for id := range acked {
		if counts[id] == 0 {
			lost++
		}
	}
	for _, n := range counts {
		if n > 1 {
			twice++
		}
	}
	t.Logf("seed %d: %d kills, %d events acknowledged, %d in the log, %d lost, %d doubled", seed, kills, len(acked), len(counts), lost, twice)
	if lost > 0 || twice > 0 || len(acked) == 0 {
		t.Errorf("%d lost, %d doubled of %d", lost, twice, len(acked))
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
}

func awaitEmptyQueue(t *testing.T, db *sqldb.DB) {
	t.Helper()
	s, err := store.Open(context.Background(), db)
	if err != nil {
		t.Fatal(err)
	}
	for range 500 {
		if n, _, err := s.Backlog(context.Background()); err != nil {
			t.Fatal(err)
		} else if n == 0 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("the queue is not empty after ten seconds")
}

// replay opens the closed log beside its service, compares it with the index and counts the entries of each event.
func replay(t *testing.T, dir string, db *sqldb.DB) map[domain.EventID]int {
	t.Helper()
	ctx := context.Background()
	key, err := logs.ReadKey(filepath.Join(dir, "log.key"), origin)
	if err != nil {
		t.Fatal(err)
	}
	log, err := logs.Open(ctx, logs.Options{Dir: filepath.Join(dir, "log"), Key: key})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close(ctx) // nothing was added
	s, err := store.Open(ctx, db)
	if err != nil {
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
			awaitEmptyQueue(t, db)
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
