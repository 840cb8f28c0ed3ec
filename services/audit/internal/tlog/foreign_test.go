package tlog

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/tessera/api"
	"github.com/transparency-dev/tessera/client"
	"github.com/transparency-dev/tessera/fsck"

	"github.com/privacyops/privacyops/services/audit/logcheck"
)

// numberedLeaves are leaves as the check of a whole log wants them.
func numberedLeaves(first, n int) [][]byte {
	out := make([][]byte, n)
	for i := range out {
		out[i] = fmt.Appendf(nil, `{"controller":"skole-1","controllerSequence":%d,"receivedTime":"2026-03-02T08:00:00.000000Z","schema":"privacyops.audit.entry.v1"}`, first+i+1)
	}
	return out
}

func appendNumbered(t *testing.T, l *Log, first, n int) {
	t.Helper()
	if _, err := l.Append(context.Background(), numberedLeaves(first, n)); err != nil {
		t.Fatal(err)
	}
}

// fsckOf runs Tessera's own check over a log that is served as files.
func fsckOf(t *testing.T, p *place, key Key) error {
	t.Helper()
	srv := httptest.NewServer(http.FileServerFS(p.fsys))
	defer srv.Close()
	defer srv.Client().CloseIdleConnections()
	root, err := url.Parse(srv.URL + "/")
	if err != nil {
		t.Fatal(err)
	}
	fetcher, err := client.NewHTTPFetcher(root, srv.Client())
	if err != nil {
		t.Fatal(err)
	}
	hasher := func(raw []byte) (hashes [][]byte, err error) {
		var b api.EntryBundle
		if err := b.UnmarshalText(raw); err != nil {
			return nil, err
		}
		for _, e := range b.Entries {
			hashes = append(hashes, rfc6962.DefaultHasher.HashLeaf(e))
		}
		return hashes, nil
	}
	return fsck.New(origin, key.Verifier, fetcher, hasher, fsck.Opts{N: 2}).Check(context.Background())
}

// TestForeignCheckers: Tessera's fsck and our own check of a whole log, which shares no code with this package, both accept the log,
// cosigned or not, and both find the same fault.
func TestForeignCheckers(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, storage func(*testing.T) *place) {
		key, dir := testKey(t), storage(t)
		l := open(t, dir, key)
		for first := 0; first < 3000; first += 250 {
			appendNumbered(t, l, first, 250)
			time.Sleep(20 * time.Millisecond) // leaves partial tiles of several widths behind
		}
		awaitHead(t, l, 3000)
		closeLog(t, l)

		if err := fsckOf(t, dir, key); err != nil {
			t.Errorf("Tessera's fsck does not accept the log: %v", err)
		}
		r, err := logcheck.Verify(context.Background(), logcheck.Folder(dir.fsys), logcheck.Options{Key: key.Verifier})
		if err != nil || !r.Sound() || r.Size != 3000 {
			t.Errorf("our check does not accept the log: %+v, %v", r, err)
		}

		raw := bytes.Clone(dir.read("tile/entries/003"))
		raw[len(raw)-10] ^= 1 // in entry 1023
		dir.write("tile/entries/003", raw)
		if err := fsckOf(t, dir, key); err == nil {
			t.Error("Tessera's fsck accepts an altered entry")
		}
		r, err = logcheck.Verify(context.Background(), logcheck.Folder(dir.fsys), logcheck.Options{Key: key.Verifier})
		if err != nil || r.Sound() || r.Findings[0].First != 1023 || r.Findings[0].File != "tile/entries/003" {
			t.Errorf("our check of an altered entry: %v, %v", r.Findings, err)
		}
	})
}

// TestLivingLog: the check of a whole log raises no alarm while the log grows, publishes and tidies under it.
func TestLivingLog(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, storage func(*testing.T) *place) {
		key, dir, step := testKey(t), storage(t), 40
		if dir.shared != nil {
			step = 200 // each addition waits for the integration on its way
		}
		l := open(t, dir, key)
		appendNumbered(t, l, 0, 10)
		known := awaitHead(t, l, 10).Checkpoint
		done := make(chan struct{})
		go func() {
			defer close(done)
			for first := 10; first < 4010; first += step {
				if _, err := l.Append(context.Background(), numberedLeaves(first, step)); err != nil {
					t.Error(err)
				}
				time.Sleep(10 * time.Millisecond)
			}
		}()
		checks := 0
		for growing := true; growing; checks++ {
			select {
			case <-done:
				growing = false
			default:
			}
			r, err := logcheck.Verify(context.Background(), logcheck.Folder(dir.fsys), logcheck.Options{Key: key.Verifier, Known: known})
			if err != nil || !r.Sound() {
				t.Errorf("check %d: %v, %v", checks, r.Findings, err)
			}
			known = r.Note
		}
		t.Logf("%d checks of a growing log", checks)
	})
}
