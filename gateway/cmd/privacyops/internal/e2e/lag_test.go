package e2e

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/privacyops/privacyops/libs/telemetry"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
)

// TestPublicationLag provokes the twelfth alert: nothing that happens is public any more, and within a minute of it the alert is
// raised and delivered, in the list and in the metric. Once the log goes on, what has waited is in it, the lag is over, and no second
// alert comes. It is done in one of three ways, whichever, or in each one:
//
//	PRIVACYOPS_TEST_LAG=all go test -run PublicationLag ./gateway/cmd/privacyops/internal/e2e
func TestPublicationLag(t *testing.T) {
	t.Parallel()
	if onStack {
		t.Skip("the log is the same folder on the stack, and one replica at a time writes it")
	}
	ways := map[string]func(t *testing.T, log string) (begin, end func()){
		// The storage waits for its own lock, in another process's hands: as on a disk that hangs.
		"checkpoints are not written": func(t *testing.T, log string) (begin, end func()) { return held(t, log, "publish.lock") },
		"the log's disk hangs":        func(t *testing.T, log string) (begin, end func()) { return held(t, log, "treeState.lock") },
		"the log's disk is full":      fullDisk,
	}
	if os.Getenv("PRIVACYOPS_TEST_LAG") != "all" {
		one := slices.Sorted(maps.Keys(ways))[rand.IntN(len(ways))]
		maps.DeleteFunc(ways, func(name string, _ func(*testing.T, string) (func(), func())) bool { return name != one })
	}
	for name, disturb := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lagIsToldOf(t, disturb)
		})
	}
}

func lagIsToldOf(t *testing.T, disturb func(t *testing.T, log string) (begin, end func())) {
	h := newHook(t)
	var begin, end func()
	var metrics atomic.Value
	w := alerting(t, h, func(s *setting) {
		begin, end = disturb(t, filepath.Join(s.suite.DataDir, "audit", "log"))
		s.suite.Observe = func(service string, tel *telemetry.Telemetry) {
			if service == "audit" {
				metrics.Store(tel.Metrics)
			}
		}
	})
	figure := func(name string) float64 { return scraped(t, metrics.Load().(http.Handler), name) }
	const counted, waiting = `audit_alerts_total{.*rule="publication-lag".*}`, `audit_publication_lag_seconds{.*}`
	if n := figure(counted); n != 0 {
		t.Fatalf("%v alerts before anything happens", n)
	}

	begin()
	began := time.Now()
	w.as("dpo").get(school+"/activities/photo-sharing", &consentv1.Activity{}) // an event
	for !h.has("publication-lag") {
		if time.Since(began) > within {
			t.Fatalf("the alert was not delivered within %v; %v s wait", within, figure(waiting))
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Logf("delivered after %v", time.Since(began).Round(time.Millisecond))
	if alerts := w.alerts(); len(alerts) != 1 || alerts[0].GetRule() != "publication-lag" || alerts[0].GetState() != auditv1.Alert_OPEN {
		t.Errorf("the list says %v", alerts)
	}
	if n, lag := figure(counted), figure(waiting); n != 1 || lag <= 30 {
		t.Errorf("the metrics say %v alerts and %v s", n, lag)
	}

	end()
	if got := w.events(`action = "activity.get"`, 1); len(got) != 1 || got[0].GetIndex() < 0 {
		t.Errorf("what has waited is %v", got)
	}
	for over := time.Now(); figure(waiting) > 5; time.Sleep(100 * time.Millisecond) {
		if time.Since(over) > patience {
			t.Fatalf("%v after the end %v s still wait", patience, figure(waiting))
		}
	}
	alert := &auditv1.Alert{}
	w.operations().post("/v1/"+w.alerts()[0].GetName()+":acknowledge", &auditv1.AcknowledgeAlertRequest{Note: "the disk is back"}, alert)
	if alert.GetState() != auditv1.Alert_ACKNOWLEDGED {
		t.Errorf("acknowledged: %v", alert)
	}
	time.Sleep(8 * time.Second) // the monitor asks every five
	if n := figure(counted); n != 1 || len(w.alerts()) != 1 {
		t.Errorf("once it was over there were %v alerts", n)
	}
}

// scraped is the figure of a metric, labels and all; -1 where it is not given.
func scraped(t *testing.T, metrics http.Handler, name string) float64 {
	t.Helper()
	rec := httptest.NewRecorder()
	metrics.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	m := regexp.MustCompile(`(?m)^` + name + ` (.*)$`).FindStringSubmatch(rec.Body.String())
	if m == nil {
		return -1
	}
	n, err := strconv.ParseFloat(m[1], 64)
	must(t, err)
	return n
}

// holdVariable names a file that a process of this test binary is to hold the lock of, until its standard input ends.
const holdVariable = "PRIVACYOPS_E2E_HOLD"

// holdLock is that process. The storage's locks are of the kind that goes with a process, so it takes another one to hold them.
func holdLock() (asked bool) {
	path := os.Getenv(holdVariable)
	if path == "" {
		return false
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil {
		err = syscall.FcntlFlock(f.Fd(), syscall.F_SETLKW, &syscall.Flock_t{Type: syscall.F_WRLCK, Whence: io.SeekStart})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println("held")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return true
}

// held holds one of the locks of the log's storage.
func held(t *testing.T, log, lock string) (begin, end func()) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), holdVariable+"="+filepath.Join(log, ".state", lock))
	stdin, err := cmd.StdinPipe()
	must(t, err)
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	return func() {
			must(t, cmd.Start())
			t.Cleanup(func() { _ = cmd.Process.Kill() }) // before the suite ends, which waits for the log
			if _, err := io.ReadFull(stdout, make([]byte, len("held\n"))); err != nil {
				t.Fatalf("the lock was not held: %v", err)
			}
		}, func() {
			must(t, stdin.Close())
			must(t, cmd.Wait())
		}
}

// fullDisk puts the log on a small disk of its own, and fills it.
func fullDisk(t *testing.T, log string) (begin, end func()) {
	t.Helper()
	must(t, os.MkdirAll(log, 0o700))
	if err := syscall.Mount("none", log, "tmpfs", 0, "size=4m,mode=0700"); err != nil {
		t.Skipf("this machine lets nobody mount a small disk: %v", err)
	}
	t.Cleanup(func() { must(t, syscall.Unmount(log, 0)) })
	filler := filepath.Join(log, "filler")
	return func() {
			f, err := os.Create(filler)
			must(t, err)
			for block := make([]byte, 1024); err == nil; {
				_, err = f.Write(block)
			}
			if !errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("the disk does not fill: %v", err)
			}
			must(t, f.Close())
		}, func() {
			must(t, os.Remove(filler))
		}
}
