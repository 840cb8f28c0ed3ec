package audit_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/libs/server"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/libs/sqldb/pgtest"
	"github.com/privacyops/privacyops/libs/telemetry"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	domain "github.com/privacyops/privacyops/services/audit/internal/audit"
	"github.com/privacyops/privacyops/services/audit/internal/storagetest"
	logs "github.com/privacyops/privacyops/services/audit/internal/tlog"
)

// replicaLease is how long the replicas of a test are missed before they are replaced.
const replicaLease = 1500 * time.Millisecond

// fleet is two audit services, as they are installed, that take turns with one log on servers, and one who reports to them.
type fleet struct {
	*suite
	settings map[string]string
	log      logs.Options
	database string
	replicas [2]*replica
	reporter reporting
}

type replica struct {
	address, admin string
	conn           *grpc.ClientConn
	cmd            *exec.Cmd
	said           bytes.Buffer
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	dir, at := t.TempDir(), storagetest.New(t)
	f := &fleet{suite: &suite{dir: dir}, database: pgtest.Schema(t)}
	key, err := logs.CreateKey(rand.Reader, filepath.Join(dir, "log.key"), origin)
	if err != nil {
		t.Fatal(err)
	}
	f.log = logs.Options{Key: key, Shared: &logs.Shared{Database: at.Database, PasswordFile: at.PasswordFile, Bucket: at.Bucket, KeyFile: at.KeyFile}}
	if f.ca, err = server.NewAuthority(filepath.Join(dir, "certs"), time.Now()); err != nil {
		t.Fatal(err)
	}
	for _, service := range []string{"audit", "erasure"} {
		if _, err := f.ca.Issue(service); err != nil {
			t.Fatal(err)
		}
	}
	if f.issuer, err = access.OpenIssuer(dir); err != nil {
		t.Fatal(err)
	}
	if f.t, err = telemetry.New(context.Background(), telemetry.Config{Service: "erasure", Log: io.Discard}); err != nil {
		t.Fatal(err)
	}
	if err := keyring.WriteSecret(filepath.Join(dir, "master.key"), base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, keyring.KeySize))); err != nil {
		t.Fatal(err)
	}
	f.settings = map[string]string{
		victimVariable: "serve", "PRIVACYOPS_TLS_DIR": filepath.Join(dir, "certs"), "PRIVACYOPS_MASTER_KEY_FILE": filepath.Join(dir, "master.key"),
		"PRIVACYOPS_ISSUER": access.DevelopmentIssuer, "PRIVACYOPS_AUDIENCE": access.DevelopmentAudience, "PRIVACYOPS_JWKS": access.JWKSPath(dir),
		"PRIVACYOPS_AUDIT_DATABASE": f.database, "PRIVACYOPS_AUDIT_KEYS_DATABASE": pgtest.Schema(t),
		"PRIVACYOPS_AUDIT_LOG_KEY_FILE": filepath.Join(dir, "log.key"), "PRIVACYOPS_AUDIT_ORIGIN": origin,
		"PRIVACYOPS_AUDIT_LOG_DATABASE": at.Database, "PRIVACYOPS_AUDIT_LOG_DATABASE_PASSWORD_FILE": at.PasswordFile,
		"PRIVACYOPS_AUDIT_LOG_BUCKET": at.Bucket, "PRIVACYOPS_AUDIT_LOG_BUCKET_KEY_FILE": at.KeyFile, "PRIVACYOPS_AUDIT_LOG_LEASE": replicaLease.String(),
	}
	for i := range f.replicas {
		r := &replica{address: freeAddress(t), admin: freeAddress(t)}
		if r.conn, err = server.Dial(server.Peer{Service: "audit", Address: r.address}, server.In(filepath.Join(dir, "certs"), "erasure"), f.t); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.conn.Close() })
		f.replicas[i] = r
		f.start(t, r)
	}
	return f
}

func (f *fleet) start(t *testing.T, r *replica) {
	t.Helper()
	r.cmd = exec.Command(os.Args[0], "-test.run=^$")
	r.cmd.Env = append(os.Environ(), "PRIVACYOPS_LISTEN="+r.address, "PRIVACYOPS_ADMIN="+r.admin)
	for name, value := range f.settings {
		r.cmd.Env = append(r.cmd.Env, name+"="+value)
	}
	r.said.Reset()
	r.cmd.Stderr = &r.said
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.end() })
}

// end ends a replica without a warning.
func (r *replica) end() {
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Wait()
}

// answer is the status of a page of the admin address; 0: none.
func (r *replica) answer(page string) int {
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + r.admin + page)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// turns waits until one of the two replicas has the log and the other one lives and stands by.
func (f *fleet) turns(t *testing.T) (has, waits *replica) {
	t.Helper()
	for range 600 {
		for i, r := range f.replicas {
			if other := f.replicas[1-i]; r.answer("/readyz") == http.StatusOK && other.answer("/healthz") == http.StatusOK {
				if other.answer("/readyz") == http.StatusOK {
					t.Fatal("both replicas are ready")
				}
				return r, other
			}
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Fatalf("not one replica has the log and the other one stands by:\n%s\n%s", f.replicas[0].said.String(), f.replicas[1].said.String())
	return nil, nil
}

// reporting reports events one after the other, each one until somebody has taken it, and remembers what was.
type reporting struct {
	mu           sync.Mutex
	taken, tries int
	all          []string
	longest      time.Duration
}

func (f *fleet) report(ctx context.Context, controller string) {
	at := 0
	for ctx.Err() == nil {
		event := report(controller, "erasure")
		f.reporter.mu.Lock()
		f.reporter.all = append(f.reporter.all, event.GetId())
		f.reporter.mu.Unlock()
		for began, taken := time.Now(), false; !taken && ctx.Err() == nil; {
			asking, cancel := context.WithTimeout(ctx, time.Second)
			_, err := auditv1.NewAuditIngestClient(f.replicas[at].conn).AppendAuditEvents(asking, &auditv1.AppendAuditEventsRequest{Events: []*auditv1.ReportedEvent{event}})
			cancel()
			taken = err == nil
			f.reporter.mu.Lock()
			f.reporter.tries++
			if taken {
				f.reporter.taken++
				f.reporter.longest = max(f.reporter.longest, time.Since(began))
			}
			f.reporter.mu.Unlock()
			if !taken {
				at = 1 - at
				time.Sleep(50 * time.Millisecond)
			}
		}
	}
}

func (f *fleet) soFar() int {
	f.reporter.mu.Lock()
	defer f.reporter.mu.Unlock()
	return f.reporter.taken
}

// more waits until another n events were taken.
func (f *fleet) more(t *testing.T, n int) {
	t.Helper()
	goal := f.soFar() + n
	for range 1500 {
		if f.soFar() >= goal {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("no %d events were taken in thirty seconds:\n%s\n%s", n, f.replicas[0].said.String(), f.replicas[1].said.String())
}

// TestReplicas: two replicas share a log in MariaDB and a bucket. One has it; killed, or halted until the other one has taken over, it
// costs a pause and nothing else: each event that was taken is in the log once, without a gap, and log and index agree row by row. The
// halted one, which believes that the log is its own when it goes on, adds nothing and ends. PRIVACYOPS_TEST_TAKEOVERS says how often one
// is killed.
func TestReplicas(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	ctx, stop := context.WithCancel(context.Background())
	var reporters sync.WaitGroup
	for n := range 4 {
		reporters.Go(func() { f.report(ctx, fmt.Sprint("school-", n)) })
	}
	t.Cleanup(func() { stop(); reporters.Wait() })

	kills, err := strconv.Atoi(os.Getenv("PRIVACYOPS_TEST_TAKEOVERS"))
	if err != nil {
		kills = 1
	}
	for range kills {
		has, waits := f.turns(t)
		f.more(t, 20)
		has.end()
		f.more(t, 20)
		f.start(t, has)
		if next, _ := f.turns(t); next != waits {
			t.Fatal("the replica that was killed has the log again, and the other one stands by")
		}
	}
	halted, _ := f.turns(t)
	if err := halted.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	f.more(t, 20)
	if err := halted.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if err := halted.cmd.Wait(); err == nil || !strings.Contains(halted.said.String(), logs.ErrLost.Error()) {
		t.Errorf("the replica that was halted ends with %v:\n%s", err, halted.said.String())
	}
	f.more(t, 20)
	stop()
	reporters.Wait()
	for _, r := range f.replicas {
		r.end()
	}
	f.count(t)
}

// count compares what was taken with the log, and the log with the index.
func (f *fleet) count(t *testing.T) {
	t.Helper()
	f.log.Shared.Lease = replicaLease
	for range 100 {
		if logs.Free(context.Background(), f.log) == nil {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	db, err := sqldb.Open(context.Background(), sqldb.Config{URL: f.database})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() // it was read only
	counts := replayOf(t, f.log, db)
	missing := len(f.reporter.all)
	for _, id := range f.reporter.all {
		switch counts[domain.EventID(id)] {
		case 0:
		case 1:
			missing--
		default:
			t.Errorf("event %s is in the log %d times", id, counts[domain.EventID(id)])
		}
	}
	// Each reporter was interrupted in its last event, which may be in the log or not.
	if missing > len(f.reporter.all)-f.reporter.taken {
		t.Errorf("%d events were taken, and of %d reported ones %d are missing", f.reporter.taken, len(f.reporter.all), missing)
	}
	t.Logf("%d events taken in %d tries, the longest wait was %v", f.reporter.taken, f.reporter.tries, f.reporter.longest.Round(time.Millisecond))
}
