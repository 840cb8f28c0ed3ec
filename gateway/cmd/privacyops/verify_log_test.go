package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// smallLog writes a log of fewer than 256 entries into a new folder, and returns it with its key.
func smallLog(t *testing.T, signer note.Signer, entries ...string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	var bundle, tile bytes.Buffer
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) (out []tlog.Hash, err error) {
		for _, i := range indexes {
			out = append(out, stored[i])
		}
		return out, nil
	})
	for i, entry := range entries {
		hashes, err := tlog.StoredHashes(int64(i), []byte(entry), reader)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, hashes...)
		bundle.Write([]byte{byte(len(entry) >> 8), byte(len(entry))})
		bundle.WriteString(entry)
		tile.Write(hashes[0][:])
	}
	root, err := tlog.TreeHash(int64(len(entries)), reader)
	if err != nil {
		t.Fatal(err)
	}
	checkpoint, err := note.Sign(&note.Note{Text: fmt.Sprintf("%s\n%d\n%s\n", signer.Name(), len(entries), base64.StdEncoding.EncodeToString(root[:]))}, signer)
	if err != nil {
		t.Fatal(err)
	}
	for name, raw := range map[string][]byte{"checkpoint": checkpoint, fmt.Sprintf("tile/0/000.p/%d", len(entries)): tile.Bytes(),
		fmt.Sprintf("tile/entries/000.p/%d", len(entries)): bundle.Bytes()} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func smallEntries(n int, school string) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf(`{"controller":%q,"controllerSequence":%d,"receivedTime":"2026-03-02T08:00:00.000000Z","schema":"privacyops.audit.entry.v1"}`, school, i+1))
	}
	return out
}

// TestVerifyLog: the exit codes, what is said, and what is remembered.
func TestVerifyLog(t *testing.T) {
	t.Parallel()
	secret, public, err := note.GenerateKey(rand.Reader, "audit.test/log")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	ten, twenty := smallLog(t, signer, smallEntries(10, "a")...), smallLog(t, signer, smallEntries(20, "a")...)
	fork := smallLog(t, signer, smallEntries(20, "b")...)
	spoilt := smallLog(t, signer, smallEntries(20, "a")...)
	file := filepath.Join(spoilt, "tile/entries/000.p/20")
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	length := len(raw) / 20 // the first nine entries are a byte shorter
	raw[12*length+20] ^= 4
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	door := httptest.NewServer(http.StripPrefix("/v1/audit", http.FileServer(http.Dir(twenty))))
	t.Cleanup(door.Close)
	keyFile := filepath.Join(t.TempDir(), "log.key.pub")
	if err := os.WriteFile(keyFile, []byte(public+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(t.TempDir(), "seen")
	for _, tc := range []struct {
		name    string
		command verifyLogCommand
		code    int
		says    string
	}{
		{"folder", verifyLogCommand{Log: ten, LogKey: public, State: state}, 0, "10 entries"},
		{"grown", verifyLogCommand{Log: twenty, LogKey: keyFile, State: state}, 0, "begins with the 10 entries"},
		{"rolled back", verifyLogCommand{Log: ten, LogKey: public, State: state}, exitNotVerified, "index 10 to 19"},
		{"forked", verifyLogCommand{Log: fork, LogKey: public, State: state}, exitNotVerified, "(fork)"},
		{"still remembered", verifyLogCommand{Log: door.URL, LogKey: public, State: state}, 0, "begins with the 20 entries"},
		{"the fork by itself", verifyLogCommand{Log: fork, LogKey: public}, 0, "20 entries"},
		{"spoilt", verifyLogCommand{Log: spoilt, LogKey: public}, exitNotVerified, "index 12, tile/entries/000.p/20"},
		{"no folder", verifyLogCommand{Log: filepath.Join(ten, "nowhere"), LogKey: public}, exitUnusable, "neither"},
		{"no log", verifyLogCommand{Log: t.TempDir(), LogKey: public}, exitUnusable, "no checkpoint"},
		{"no key", verifyLogCommand{Log: ten, LogKey: "nothing"}, exitUnusable, "verifier key"},
		{"no such door", verifyLogCommand{Log: "gopher://h/", LogKey: public}, exitUnusable, "no http"},
		{"no policy", verifyLogCommand{Log: ten, LogKey: public, WitnessPolicy: keyFile}, exitUnusable, "policy"},
	} {
		var out, words bytes.Buffer
		code := tc.command.verify(t.Context(), &out, &words)
		if code != tc.code || !strings.Contains(out.String()+words.String(), tc.says) {
			t.Errorf("%s: exit code %d, %s%s; want %d, %q", tc.name, code, out.String(), words.String(), tc.code, tc.says)
		}
	}
	var out bytes.Buffer
	if code := (&verifyLogCommand{Log: spoilt, LogKey: public, JSON: true}).verify(t.Context(), &out, &bytes.Buffer{}); code != exitNotVerified {
		t.Errorf("as JSON: exit code %d", code)
	}
	var report struct {
		Verified bool
		Findings []struct{ First uint64 }
	}
	if err := json.Unmarshal(out.Bytes(), &report); err != nil || report.Verified || len(report.Findings) == 0 || report.Findings[0].First != 12 {
		t.Errorf("as JSON: %s, %v", out.String(), err)
	}
}

// TestWitnessCommand serves, cosigns, and ends with its context; then a log that was rolled back is refused by a new process.
func TestWitnessCommand(t *testing.T) {
	t.Parallel()
	secret, public, err := note.GenerateKey(rand.Reader, "audit.test/log")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, step := range []struct{ entries, status int }{{20, http.StatusOK}, {10, http.StatusConflict}} {
		checkpoint, err := os.ReadFile(filepath.Join(smallLog(t, signer, smallEntries(step.entries, "a")...), "checkpoint"))
		if err != nil {
			t.Fatal(err)
		}
		lis, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		c := witnessCommand{Dir: filepath.Join(dir, "seen"), Name: "witness.test", KeyFile: filepath.Join(dir, "key"), LogKey: []string{public}}
		go func() { ended <- c.serve(ctx, lis, slog.New(slog.DiscardHandler)) }()
		client := &http.Client{Timeout: 10 * time.Second}
		resp, err := client.Post("http://"+lis.Addr().String()+"/add-checkpoint", "text/plain", strings.NewReader("old 0\n\n"+string(checkpoint)))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != step.status {
			t.Errorf("%d entries: %d, want %d", step.entries, resp.StatusCode, step.status)
		}
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the end: %v", err)
		}
	}
}
