package logcheck

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/mod/sumdb/tlog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func check(t *testing.T, f files, o Options) Report {
	t.Helper()
	r, err := Verify(context.Background(), Folder(f), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func mustBeSound(t *testing.T, what string, r Report) {
	t.Helper()
	if !r.Sound() {
		t.Errorf("%s: %v", what, r.Findings)
	}
}

// TestCleanLogs expects no alarm from sound logs: of all sizes about the borders of tiles, and of random ones.
func TestCleanLogs(t *testing.T) {
	t.Parallel()
	logs, alarms, seed := number("PRIVACYOPS_TEST_CLEAN_LOGS", 40), 0, seedOf(t)
	random := rand.New(rand.NewPCG(seed, 1))
	k := newKey(t, origin)
	sizes := []int{0, 1, 2, 3, 255, 256, 257, 511, 512, 513, 65535, 65536, 65537}
	for len(sizes) < logs {
		sizes = append(sizes, random.IntN(2000))
	}
	leaves := leavesTo(65537)
	for _, size := range sizes {
		f := build(t, k, leaves[:size])
		earlier := 0
		if size > 0 {
			earlier = random.IntN(size + 1)
		}
		known := build(t, k, leaves[:earlier])["checkpoint"]
		for _, workers := range []int{1, 3} {
			r := check(t, f, Options{Key: k.verifier, Known: known, Workers: workers})
			if !r.Sound() || r.Size != uint64(size) || r.KnownSize != uint64(earlier) || r.Controllers != min(size, 3) {
				alarms++
				t.Errorf("size %d, known %d: %+v", size, earlier, r)
			}
		}
	}
	t.Logf("seed %d: %d clean logs, %d alarms", seed, len(sizes), alarms)
}

// TestLeftoversAreNoAlarm: partial files beside full ones, and files beyond the checkpoint, are what a living log has.
func TestLeftoversAreNoAlarm(t *testing.T) {
	t.Parallel()
	k, leaves := newKey(t, origin), leavesTo(700)
	f := build(t, k, leaves[:600])
	for _, size := range []int{3, 200, 300, 590, 610, 700} {
		for name, raw := range build(t, k, leaves[:size]) {
			if _, there := f[name]; !there {
				f[name] = raw
			}
		}
	}
	mustBeSound(t, "leftovers", check(t, f, Options{Key: k.verifier}))
	grown := build(t, k, leavesTo(1024)) // full files have replaced the partial ones of the checkpoint
	grown["checkpoint"], grown["tile/1/000.p/2"] = f["checkpoint"], f["tile/1/000.p/2"]
	mustBeSound(t, "grown", check(t, grown, Options{Key: k.verifier}))
}

func TestDoor(t *testing.T) {
	t.Parallel()
	k, other := newKey(t, origin), newKey(t, origin)
	f := build(t, k, leavesTo(70000))
	asked, busy := 0, true
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, ok := strings.CutPrefix(r.URL.Path, "/v1/audit/")
		if asked++; asked == 2 && busy {
			busy = false
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if raw := f[name]; ok && raw != nil && !strings.Contains(name, "entries") {
			w.Write(raw)
			return
		}
		http.NotFound(w, r)
	}))
	defer srv.Close()
	client := srv.Client()
	defer client.CloseIdleConnections()
	d, err := Door(srv.URL, client)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Verify(context.Background(), d, Options{Key: k.verifier, Workers: 1})
	if err != nil || !r.Sound() || r.Size != 70000 || r.Entries {
		t.Fatalf("%+v, %v", r, err)
	}
	r, err = Verify(context.Background(), d, Options{Key: other.verifier, Workers: 1})
	if err != nil || r.Sound() || r.Findings[0].Kind != Checkpoint {
		t.Errorf("another key: %+v, %v", r, err)
	}
	spoilt := append([]byte(nil), f["tile/0/100"]...)
	spoilt[5*32] ^= 1
	f["tile/0/100"] = spoilt
	r, err = Verify(context.Background(), d, Options{Key: k.verifier, Workers: 1})
	if err != nil || r.Sound() || r.Findings[0].File != "tile/0/100" || r.Findings[0].First != 25600 || r.Findings[0].Last != 25855 {
		t.Errorf("a spoilt tile: %+v, %v", r, err)
	}
}

func TestNoLog(t *testing.T) {
	t.Parallel()
	k := newKey(t, origin)
	if _, err := Verify(context.Background(), Folder(files{}), Options{Key: k.verifier}); !errors.Is(err, ErrNoLog) {
		t.Errorf("an empty folder: %v", err)
	}
	known := build(t, k, leavesTo(5))["checkpoint"]
	r := check(t, files{}, Options{Key: k.verifier, Known: known})
	if r.Sound() || r.Findings[0].Kind != Checkpoint {
		t.Errorf("a log that is gone: %+v", r)
	}
	other := newKey(t, origin)
	if _, err := Verify(context.Background(), Folder(build(t, k, leavesTo(5))), Options{Key: k.verifier, Known: build(t, other, leavesTo(5))["checkpoint"]}); !errors.Is(err, ErrKnown) {
		t.Errorf("another log's checkpoint: %v", err)
	}
	for _, address := range []string{"", "ftp://a/b", "http://", "/tmp"} {
		if _, err := Door(address, nil); err == nil {
			t.Errorf("%q is no address", address)
		}
	}
}

// TestLeavesAndNumbers: entries whose hashes are right and that are yet not as they must be. Each log is honestly signed.
func TestLeavesAndNumbers(t *testing.T) {
	t.Parallel()
	k := newKey(t, origin)
	for name, tt := range map[string]struct {
		spoil func(leaves [][]byte) [][]byte
		kind  Kind
		first uint64
	}{
		"no JSON":      {func(l [][]byte) [][]byte { l[300] = []byte("leaf"); return l }, Leaf, 300},
		"another form": {func(l [][]byte) [][]byte { l[7] = []byte(`{"schema":"x"}`); return l }, Leaf, 7},
		"no time": {func(l [][]byte) [][]byte {
			l[7] = []byte(`{"schema":"privacyops.audit.entry.v1","controllerSequence":3}`)
			return l
		}, Leaf, 7},
		"one left out":  {func(l [][]byte) [][]byte { return append(l[:270:270], l[271:]...) }, Sequence, 272},
		"one twice":     {func(l [][]byte) [][]byte { l[9] = l[6]; return l }, Sequence, 9},
		"first missing": {func(l [][]byte) [][]byte { return l[3:] }, Sequence, 0},
	} {
		f := build(t, k, tt.spoil(leavesTo(400)))
		r := check(t, f, Options{Key: k.verifier})
		if r.Sound() || r.Findings[0].Kind != tt.kind || r.Findings[0].First != tt.first {
			t.Errorf("%s: %v", name, r.Findings)
		}
	}
	mustBeSound(t, "a log that goes on from another", check(t, build(t, k, leavesTo(400)[3:]), Options{Key: k.verifier, Continued: true}))
	tomb := append(leavesTo(10), []byte(`{"schema":"privacyops.audit.tombstone.v1","receivedTime":"2026-03-02T08:00:00.000000Z"}`))
	mustBeSound(t, "a leaf of another kind", check(t, build(t, k, tomb), Options{Key: k.verifier}))
}

// TestAgainstAnotherImplementation compares roots with those of golang.org/x/mod.
func TestAgainstAnotherImplementation(t *testing.T) {
	t.Parallel()
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) (out []tlog.Hash, err error) {
		for _, i := range indexes {
			out = append(out, stored[i])
		}
		return out, nil
	})
	var tree frontier
	var edge []tlog.Hash
	for i := range 3000 {
		hashes, err := tlog.StoredHashesForRecordHash(int64(i), tlog.RecordHash(leafOf(i)), reader)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, hashes...)
		if edge = append(edge, tlog.RecordHash(leafOf(i))); len(edge) == tileWidth {
			tree.push(1, perfectRoot(edge))
			edge = nil
		}
		want, err := tlog.TreeHash(int64(i+1), reader)
		if err != nil || tree.root(edge) != want {
			t.Fatalf("size %d: another root (%v)", i+1, err)
		}
	}
}

func TestTilePath(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]string{
		"tile/0/000": tilePath(0, 0, 256), "tile/5/x001/x234/067": tilePath(5, 1234067, 256),
		"tile/entries/x001/000.p/7": tilePath(entryLevel, 1000, 7), "tile/1/999.p/255": tilePath(1, 999, 255),
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// write puts a log on a disk.
func write(tb testing.TB, dir string, f files) {
	tb.Helper()
	for name, raw := range f {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(file, raw, 0o600); err != nil {
			tb.Fatal(err)
		}
	}
}

// BenchmarkVerify verifies a log on a disk; set PRIVACYOPS_TEST_ENTRIES for its size.
func BenchmarkVerify(b *testing.B) {
	size := number("PRIVACYOPS_TEST_ENTRIES", 100_000)
	k, dir := newKey(b, origin), b.TempDir()
	leaves := make([][]byte, size)
	for i := range leaves {
		leaf := leafOf(i)
		leaves[i] = fmt.Appendf(nil, `{"action":"consent.record","detail":{"padding":"%0300d"},%s`, i, leaf[1:])
	}
	write(b, dir, build(b, k, leaves))
	b.ResetTimer()
	for range b.N {
		r, err := Verify(context.Background(), Folder(os.DirFS(dir)), Options{Key: k.verifier})
		if err != nil || !r.Sound() {
			b.Fatal(err, r.Findings)
		}
	}
	b.ReportMetric(float64(size)*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
}
