package e2e

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/privacyops/privacyops/services/audit/witness"
)

// witnesses are three of whom two are enough, and one is away.
type witnesses struct{ keys []string }

// start starts them, and makes an installation ask them. They are given the log's key when the first checkpoint comes: before, there is none.
func (w *witnesses) start(t *testing.T) func(*setting) {
	t.Helper()
	return func(s *setting) {
		var policy bytes.Buffer
		for i, name := range []string{"school", "council", "away"} {
			dir := t.TempDir()
			key, err := witness.OpenKey(rand.Reader, filepath.Join(dir, "key"), name+".example")
			must(t, err)
			w.keys = append(w.keys, key.Public)
			open := sync.OnceValues(func() (*witness.Witness, error) {
				log, err := os.ReadFile(filepath.Join(s.suite.DataDir, "keys", "log.key.pub"))
				if err != nil {
					return nil, err
				}
				return witness.Open(witness.Config{Dir: dir, Key: key, Logs: []string{strings.TrimSpace(string(log))}, Log: slog.New(slog.DiscardHandler)})
			})
			served := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if watching, err := open(); err == nil && i < 2 {
					watching.ServeHTTP(rw, r)
					return
				}
				rw.WriteHeader(http.StatusServiceUnavailable)
			}))
			t.Cleanup(served.Close)
			fmt.Fprintf(&policy, "witness %s %s %s\n", name, key.Public, served.URL)
		}
		policy.WriteString("group two 2 school council away\nquorum two\n")
		s.suite.WitnessPolicy = filepath.Join(t.TempDir(), "policy")
		must(t, os.WriteFile(s.suite.WitnessPolicy, policy.Bytes(), 0o600))
	}
}

// areInThePackage: the package verifies by the keys that the witnesses gave, names all three, and does not verify for who asks for the
// one that was away.
func (w *witnesses) areInThePackage(t *testing.T, content []byte) {
	t.Helper()
	code, out := alone(t, content, "--witness-key", w.keys[0], "--witness-key", w.keys[1])
	if code != 0 || !strings.Contains(out, "2 of 3 witnesses signed the log's checkpoint, 2 are required: that is enough") || strings.Count(out, "you trust this key") != 2 {
		t.Errorf("code %d: %s", code, out)
	}
	if code, out := alone(t, content); code != 0 || strings.Count(out, "its key is from the package") != 2 {
		t.Errorf("without keys: code %d: %s", code, out)
	}
	if code, out := alone(t, content, "--witness-key", w.keys[2]); code != 1 || !strings.Contains(out, "NOT VERIFIED: WITNESSES") {
		t.Errorf("the one that was away: code %d: %s", code, out)
	}
	report := string(unzipped(t, content)["report.en.html"])
	if !strings.Contains(report, "2 of 3 witnesses outside the log have signed") {
		t.Error("the report does not name the witnesses")
	}
}
