package shards_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
	"github.com/privacyops/privacyops/services/audit/internal/storagetest"
	"github.com/privacyops/privacyops/services/audit/internal/tlog"
	"github.com/privacyops/privacyops/services/audit/logcheck"
)

// fourYears makes a log of 2026 to 2030 of which the first two years are dropped, and returns its folder and its shards.
func fourYears(t *testing.T) (dir string, key tlog.Key, parts []audit.Shard) {
	t.Helper()
	dir, clock := storagetest.Folder(t), &wallClock{}
	d, err := openDesk(dir, clock, nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	for n := range 20 {
		clock.set(time.Date(2026+n/4, 6, 1, 0, 0, n, 0, time.UTC))
		if _, err := d.recorder.Accept(ctx, []audit.Event{event(n, controllers[n%4], clock.Now())}); err != nil {
			t.Fatal(err)
		}
	}
	d.retention.Years = 2
	if n, err := d.retention.Run(ctx); n != 2 || err != nil {
		t.Fatalf("dropped %d, %v", n, err)
	}
	if err := d.close(); err != nil {
		t.Fatal(err)
	}
	if d, err = openDesk(dir, clock, nil); err != nil {
		t.Fatal(err)
	}
	if parts, err = d.log.Shards(ctx); err != nil {
		t.Fatal(err)
	}
	if err := d.close(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "log"), d.key, parts
}

func check(t *testing.T, dir string, key tlog.Key, known []byte) logcheck.Report {
	t.Helper()
	verifier, err := logcheck.Key(key.Public)
	if err != nil {
		t.Fatal(err)
	}
	r, err := logcheck.Verify(context.Background(), logcheck.Folder(os.DirFS(dir)), logcheck.Options{Key: verifier, Known: known})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func copyOf(t *testing.T, dir string) string {
	t.Helper()
	to := storagetest.Folder(t)
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

// edit changes a file.
func edit(t *testing.T, file string, change func([]byte) []byte) {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, change(raw), 0o600); err != nil {
		t.Fatal(err)
	}
}

// resign signs another tombstone with the log's own key.
func resign(t *testing.T, key tlog.Key, year int, change func(*audit.Tombstone)) func([]byte) []byte {
	return func(raw []byte) []byte {
		shard, err := key.Shard(year)
		if err != nil {
			t.Fatal(err)
		}
		n, err := note.Open(raw, note.VerifierList(shard.Verifier))
		if err != nil {
			t.Fatal(err)
		}
		stone, err := audit.ParseTombstone(n.Text)
		if err != nil {
			t.Fatal(err)
		}
		change(&stone)
		signed, err := tlog.SignText(shard, stone.Text())
		if err != nil {
			t.Fatal(err)
		}
		return signed
	}
}

// extend adds an entry to a sealed shard, as whoever has the key could.
func extend(t *testing.T, dir string, key tlog.Key, year int) {
	t.Helper()
	shard, err := key.Shard(year)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	l, err := tlog.Open(ctx, tlog.Options{Dir: dir, Key: shard, BatchAge: time.Millisecond, CheckpointInterval: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := audit.Entry{Event: event(99, "school-z", time.Date(year, 7, 1, 0, 0, 0, 0, time.UTC)), ReceivedTime: time.Date(year, 7, 1, 0, 0, 0, 0, time.UTC), ControllerSequence: 1}.Leaf()
	if err == nil {
		_, err = l.Append(ctx, [][]byte{leaf})
	}
	if err := errors.Join(err, l.Close(ctx)); err != nil {
		t.Fatal(err)
	}
}

// TestTampering alters a log of several years, and each time says where it shows; the service refuses it too. With all bits of a tombstone:
//
//	PRIVACYOPS_TEST_FLIPS=all go test -run Tampering ./services/audit/internal/shards
func TestTampering(t *testing.T) {
	t.Parallel()
	original, key, parts := fourYears(t)
	clean := check(t, original, key, nil)
	if !clean.Sound() || len(clean.Shards) != 5 || !clean.Shards[1].Dropped || clean.Shards[2].Dropped || clean.Size != parts[4].End() {
		t.Fatalf("the log as it is: %+v", clean)
	}
	if again := check(t, original, key, clean.Note); !again.Sound() || again.KnownSize == 0 {
		t.Fatalf("with what was seen before: %+v", again)
	}
	shard := func(dir string, path ...string) string {
		return filepath.Join(append([]string{dir, "shards"}, path...)...)
	}
	for name, test := range map[string]struct {
		alter   func(t *testing.T, dir string)
		kind    logcheck.Kind
		index   uint64
		says    string
		unknown bool // to a service that looks at the ends of each shard, and not at each entry
	}{
		"a shard without a tombstone is missing": {func(t *testing.T, dir string) { must(t, os.RemoveAll(shard(dir, "2028"))) }, logcheck.Chain, parts[2].First, "audit.test/log/2028, which is missing", false},
		"a tombstone is missing":                 {func(t *testing.T, dir string) { must(t, os.RemoveAll(shard(dir, "2027"))) }, logcheck.Chain, parts[1].First, "audit.test/log/2027, which is missing", false},
		"the first tombstone is missing":         {func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, "tombstone"))) }, logcheck.Chain, 0, "audit.test/log is missing", false},
		"a tombstone with another size": {func(t *testing.T, dir string) {
			edit(t, shard(dir, "2027", "tombstone"), resign(t, key, 2027, func(s *audit.Tombstone) { s.Size++ }))
		}, logcheck.Chain, parts[1].First, "not the one that was sealed", false},
		"a tombstone with another root": {func(t *testing.T, dir string) {
			edit(t, shard(dir, "2027", "tombstone"), resign(t, key, 2027, func(s *audit.Tombstone) { s.Root[0] ^= 1 }))
		}, logcheck.Chain, parts[1].First, "not the one that was sealed", false},
		"a tombstone with other numbers": {func(t *testing.T, dir string) {
			edit(t, shard(dir, "2027", "tombstone"), resign(t, key, 2027, func(s *audit.Tombstone) { s.Numbers["school-x"] = 4 }))
		}, logcheck.Tombstone, parts[1].First, "does not record", true},
		"a tombstone for a shard whose drop nobody recorded": {func(t *testing.T, dir string) {
			fresh := parts[2]
			must(t, os.RemoveAll(shard(dir, "2028")))
			must(t, os.Mkdir(shard(dir, "2028"), 0o700))
			must(t, os.WriteFile(shard(dir, "2028", "tombstone"), nil, 0o600))
			k, err := key.Shard(2028)
			must(t, err)
			signed, err := tlog.SignText(k, audit.Tombstone{Origin: fresh.Origin, Size: fresh.Head.Size, Root: fresh.Head.Root, First: fresh.First,
				Start: time.Now(), End: time.Now(), Dropped: time.Now(), Position: parts[4].First, Numbers: parts[1].Tombstone.Numbers}.Text())
			must(t, err)
			edit(t, shard(dir, "2028", "tombstone"), func([]byte) []byte { return signed })
		}, logcheck.Tombstone, parts[2].First, "does not record", true},
		"a shard went on after it was sealed": {func(t *testing.T, dir string) { extend(t, shard(dir, "2028"), key, 2028) }, logcheck.Chain, parts[2].First, "not the one that was sealed", false},
		"an entry of a sealed shard": {func(t *testing.T, dir string) {
			files, err := filepath.Glob(shard(dir, "2029", "tile", "entries", "000.p", "*"))
			if err != nil || len(files) == 0 {
				t.Fatal("no entries", err)
			}
			edit(t, files[len(files)-1], func(raw []byte) []byte { raw[len(raw)-5] ^= 1; return raw })
		}, logcheck.Entry, parts[4].First - 1, "", true},
		"two shards are exchanged": {func(t *testing.T, dir string) {
			must(t, os.Rename(shard(dir, "2028"), shard(dir, "x")))
			must(t, os.Rename(shard(dir, "2029"), shard(dir, "2028")))
			must(t, os.Rename(shard(dir, "x"), shard(dir, "2029")))
		}, logcheck.Checkpoint, parts[2].First, "not signed", false},
		"the last shard is gone": {func(t *testing.T, dir string) { must(t, os.RemoveAll(shard(dir, "2030"))) }, logcheck.Rollback, parts[4].First, "log/2030 was seen earlier", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := copyOf(t, original)
			test.alter(t, dir)
			found := check(t, dir, key, clean.Note).Findings
			for _, f := range found {
				if f.Kind == test.kind && f.First <= test.index && test.index <= f.Last && strings.Contains(f.Problem, test.says) {
					return
				}
			}
			t.Errorf("found %v; want %s at %d: %s", found, test.kind, test.index, test.says)
		})
		if test.unknown {
			continue
		}
		t.Run("service: "+name, func(t *testing.T) {
			t.Parallel()
			dir := storagetest.Folder(t)
			must(t, os.CopyFS(dir, os.DirFS(filepath.Dir(original))))
			must(t, os.Chmod(filepath.Join(dir, "log.key"), 0o600))
			test.alter(t, filepath.Join(dir, "log"))
			if d, err := openDesk(dir, &wallClock{now: time.Date(2030, 7, 1, 0, 0, 0, 0, time.UTC)}, nil); !errors.Is(err, tlog.ErrTampered) {
				t.Errorf("the service opens it: %v", err)
				if err == nil {
					_ = d.close()
				}
			}
		})
	}
	t.Run("each byte of a tombstone", func(t *testing.T) {
		t.Parallel()
		dir := copyOf(t, original)
		file := shard(dir, "2027", "tombstone")
		raw, err := os.ReadFile(file)
		must(t, err)
		first, bits := rand.IntN(8), 1 // one bit of a byte, by its place, or with PRIVACYOPS_TEST_FLIPS=all each one
		if os.Getenv("PRIVACYOPS_TEST_FLIPS") == "all" {
			bits = 8
		}
		for at := range raw {
			for n := range bits {
				bit := (first + at + n) % 8
				altered := append([]byte(nil), raw...)
				altered[at] ^= 1 << bit
				must(t, os.WriteFile(file, altered, 0o600))
				if check(t, dir, key, nil).Sound() {
					t.Fatalf("bit %d of byte %d is not noticed", bit, at)
				}
			}
		}
		t.Logf("%d bits, of the first byte from %d on", bits*len(raw), first)
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestDoor walks the shards from what is public: no entries, but the list of shards with their first ones.
func TestDoor(t *testing.T) {
	t.Parallel()
	dir, key, parts := fourYears(t)
	type shard struct {
		Year      int    `json:"year"`
		Opening   []byte `json:"opening,omitempty"`
		Tombstone string `json:"tombstone,omitempty"`
	}
	walk := func(change func([]shard) []shard) logcheck.Report {
		var list struct {
			Shards []shard `json:"shards"`
		}
		for _, p := range parts {
			list.Shards = append(list.Shards, shard{p.Year, p.Opening, string(p.Note)})
		}
		if change != nil {
			list.Shards = change(list.Shards)
		}
		mux := http.NewServeMux()
		mux.HandleFunc("/log/shards", func(w http.ResponseWriter, _ *http.Request) { _ = json.NewEncoder(w).Encode(list) })
		mux.Handle("/log/", http.StripPrefix("/log", http.FileServer(http.Dir(dir))))
		server := httptest.NewServer(mux)
		defer server.Close()
		source, err := logcheck.Door(server.URL+"/log", server.Client())
		must(t, err)
		verifier, err := logcheck.Key(key.Public)
		must(t, err)
		r, err := logcheck.Verify(context.Background(), source, logcheck.Options{Key: verifier})
		must(t, err)
		return r
	}
	if r := walk(nil); !r.Sound() || len(r.Shards) != 5 || r.Size != parts[4].End() || r.Entries {
		t.Errorf("as it is: %+v", r)
	}
	for name, change := range map[string]func([]shard) []shard{
		"a shard is left out":     func(s []shard) []shard { return append(s[:2:2], s[3:]...) },
		"a tombstone is left out": func(s []shard) []shard { return append(s[:1:1], s[2:]...) },
		"another opening":         func(s []shard) []shard { s[3].Opening = s[2].Opening; return s },
		"a shard is left out, and what follows is forged": func(s []shard) []shard {
			gone := parts[2].Head.Size
			for i, before := range map[int]audit.Shard{3: parts[1], 4: parts[3]} {
				before.First -= map[int]uint64{3: 0, 4: gone}[i]
				e, err := audit.ParseLeaf(s[i].Opening)
				must(t, err)
				e.Detail = map[string]string{"previousOrigin": before.Origin, "previousSize": strconv.FormatUint(before.Head.Size, 10),
					"previousRoot": hex.EncodeToString(before.Head.Root), "position": strconv.FormatUint(before.End(), 10)}
				s[i].Opening, err = e.Leaf()
				must(t, err)
			}
			return append(s[:2:2], s[3:]...)
		},
		"no opening":        func(s []shard) []shard { s[4].Opening = nil; return s },
		"another tombstone": func(s []shard) []shard { s[1].Tombstone = s[0].Tombstone; return s },
	} {
		if r := walk(change); r.Sound() {
			t.Errorf("%s: it is not noticed", name)
		} else {
			t.Log(name, r.Findings[0])
		}
	}
}
