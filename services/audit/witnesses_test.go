package audit_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/privacyops/privacyops/libs/keyring"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	"github.com/privacyops/privacyops/services/audit"
	"github.com/privacyops/privacyops/services/audit/logcheck"
	"github.com/privacyops/privacyops/services/audit/witness"
)

// witnessed gives the configuration of a service whose log one witness cosigns, with the witness behind a switch: 0 is its own answer,
// -1 nobody there, any other a status.
func witnessed(t *testing.T) (change func(*audit.Config), policy []byte, answer *atomic.Int64) {
	t.Helper()
	dir := t.TempDir()
	key, err := witness.OpenKey(rand.Reader, filepath.Join(dir, "witness.key"), "witness.test")
	if err != nil {
		t.Fatal(err)
	}
	secret, public, err := note.GenerateKey(rand.Reader, origin)
	if err != nil {
		t.Fatal(err)
	}
	logKey := filepath.Join(dir, "log.key")
	if err := keyring.WriteSecret(logKey, secret); err != nil {
		t.Fatal(err)
	}
	w, err := witness.Open(witness.Config{Dir: dir, Key: key, Logs: []string{public}, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	answer = &atomic.Int64{}
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		switch status := answer.Load(); status {
		case 0:
			w.ServeHTTP(rw, r)
		case -1:
			panic(http.ErrAbortHandler)
		default:
			rw.WriteHeader(int(status))
		}
	}))
	t.Cleanup(func() { srv.Close(); w.Close() })
	policy = fmt.Appendf(nil, "witness w %s %s\nquorum w\n", key.Public, srv.URL)
	file := filepath.Join(dir, "policy")
	if err := os.WriteFile(file, policy, 0o600); err != nil {
		t.Fatal(err)
	}
	return func(c *audit.Config) { c.WitnessPolicy, c.KeyFile = file, logKey }, policy, answer
}

// publication asks until the one event of a controller has come so far.
func publication(t *testing.T, s *suite, controller string, want auditv1.AuditEvent_Publication) {
	t.Helper()
	log, dpo := auditv1.NewAuditLogClient(s.as(t, "gateway")), s.token(t, "ane", "dpo", controller)
	var got auditv1.AuditEvent_Publication
	for range 200 {
		resp, err := log.SearchAuditEvents(dpo, &auditv1.SearchAuditEventsRequest{Parent: "controllers/" + controller, Filter: `service = "erasure"`})
		if err != nil {
			t.Fatal(err)
		}
		if len(resp.GetEvents()) == 1 {
			if got = resp.GetEvents()[0].GetPublication(); got == want {
				return
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("the event of %s is %s, and not %s within ten seconds", controller, got, want)
}

func appendOne(t *testing.T, s *suite, controller string) {
	t.Helper()
	if _, err := auditv1.NewAuditIngestClient(s.as(t, "erasure")).AppendAuditEvents(context.Background(),
		&auditv1.AppendAuditEventsRequest{Events: []*auditv1.ReportedEvent{report(controller, "erasure")}}); err != nil {
		t.Fatal(err)
	}
}

// TestWitnessed: an event counts as witnessed once a cosigned checkpoint covers it; without the witness it is published and provable; a
// witness that refuses is an event itself.
func TestWitnessed(t *testing.T) {
	t.Parallel()
	change, policy, answer := witnessed(t)
	s := newSuite(t, change)
	appendOne(t, s, "school-a")
	publication(t, s, "school-a", auditv1.AuditEvent_WITNESSED)

	answer.Store(-1)
	appendOne(t, s, "school-b")
	publication(t, s, "school-b", auditv1.AuditEvent_PUBLISHED)

	answer.Store(http.StatusUnprocessableEntity)
	inLog(t, s, `"action":"audit.witness"`, `"outcome":"FAILED"`, `"reason":"LOG_FORKED"`)

	answer.Store(0)
	publication(t, s, "school-b", auditv1.AuditEvent_WITNESSED)

	// What is served carries the cosignature.
	enough, err := logcheck.ParsePolicy(policy)
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		body, err := auditv1.NewAuditLogClient(s.as(t, "gateway")).GetCheckpoint(context.Background(), &auditv1.GetCheckpointRequest{})
		if err != nil {
			t.Fatal(err)
		}
		if enough.Satisfied(body.GetData()) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Error("no checkpoint that is served carries the cosignature")
}

// inLog waits for an entry with all the texts: an event that concerns no controller is in nobody's search.
func inLog(t *testing.T, s *suite, texts ...string) {
	t.Helper()
	for range 200 {
		files, err := filepath.Glob(filepath.Join(s.dir, "log", "tile", "entries", "*", "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			raw, _ := os.ReadFile(file) // it may have been tidied away
			for _, leaf := range bytes.Split(raw, []byte(`{"action"`)) {
				leaf, found := append([]byte(`{"action"`), leaf...), 0
				for _, text := range texts {
					if bytes.Contains(leaf, []byte(text)) {
						found++
					}
				}
				if found == len(texts) {
					return
				}
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("no entry with %q within ten seconds", texts)
}

// TestWitnessPolicyRefusals: a policy that cannot be had keeps the service from starting, and does not leave it without witnesses.
func TestWitnessPolicyRefusals(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{"missing": "", "nobody": "quorum none\n"} {
		file := filepath.Join(t.TempDir(), "policy")
		if text != "" {
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s, _, _, err := openService(context.Background(), t.TempDir(), &bytes.Buffer{}, func(c *audit.Config) { c.WitnessPolicy = file })
		if err == nil {
			s.Close()
			t.Errorf("%s: the service starts", name)
		}
	}
}
