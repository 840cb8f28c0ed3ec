package logcheck

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// number is a figure that the environment can raise from a quick run's to the full one.
func number(variable string, quick int) int {
	if n, err := strconv.Atoi(os.Getenv(variable)); err == nil && n > 0 {
		return n
	}
	return quick
}

// seedOf is what the run's choices are made from: PRIVACYOPS_TEST_SEED, or the time.
func seedOf(tb testing.TB) uint64 {
	tb.Helper()
	return uint64(number("PRIVACYOPS_TEST_SEED", int(time.Now().UnixNano()&0xffffffff)))
}

// flip is one bit of one file.
type flip struct {
	name string
	bit  int
}

// flipped gives the log with that bit changed.
func (f files) flipped(dirs map[string][]fs.DirEntry, at flip) overlay {
	raw := bytes.Clone(f[at.name])
	raw[at.bit/8] ^= 1 << (at.bit % 8)
	return overlay{files: f, dirs: dirs, name: at.name, raw: raw}
}

// outcome counts what a run of flips came to.
type outcome struct{ runs, missed, misnamed atomic.Int64 }

// run verifies the log with each flip, on all processors, and reports what is not found, or not named rightly.
func (o *outcome) run(t *testing.T, f files, flips []flip, newLoader func(Source) *loader, options Options, quiet bool) {
	t.Helper()
	options.Workers = 1
	dirs := f.dirs()
	var next atomic.Int64
	var wait sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			for i := next.Add(1) - 1; int(i) < len(flips); i = next.Add(1) - 1 {
				at := flips[i]
				r, err := verify(context.Background(), newLoader(Folder(f.flipped(dirs, at))), options)
				o.runs.Add(1)
				switch {
				case err == nil && r.Sound():
					if o.missed.Add(1) <= 3 && !quiet {
						t.Errorf("not found: bit %d of %s", at.bit, at.name)
					}
				case err != nil || !f.named(r, at):
					if o.misnamed.Add(1) <= 3 && !quiet {
						t.Errorf("bit %d of %s is named so: %v (%v)", at.bit, at.name, r.Findings, err)
					}
				}
			}
		})
	}
	wait.Wait()
}

// named reports whether the first finding names the place of a flip: the very entry for a bundle or a tile of level 0, and the file.
func (f files) named(r Report, at flip) bool {
	first := r.Findings[0]
	if at.name == "checkpoint" {
		return first.File == "checkpoint" || first.Kind == Root
	}
	if first.File != at.name {
		return false
	}
	level, index, _ := strings.Cut(strings.TrimPrefix(at.name, "tile/"), "/")
	index, _, _ = strings.Cut(index, ".p/")
	n, err := strconv.Atoi(strings.NewReplacer("x", "", "/", "").Replace(index))
	if err != nil {
		return false
	}
	switch level {
	case "entries":
		return first.First == uint64(n*tileWidth+entryAt(f[at.name], at.bit/8))
	case "0":
		return first.First == uint64(n*tileWidth+at.bit/8/tlog.HashSize) && first.Last == first.First
	default: // every test log has fewer entries than a tile of level 2 covers
		return first.First == uint64((n*tileWidth+at.bit/8/tlog.HashSize)*tileWidth) && first.Last == first.First+tileWidth-1
	}
}

// entryAt is which entry of a bundle a byte belongs to.
func entryAt(raw []byte, offset int) int {
	n := 0
	for lengthOf(raw, n+1) <= offset {
		n++
	}
	return n
}

func plainLoader(cache *Cache) func(Source) *loader {
	return func(s Source) *loader { return &loader{source: s, cache: cache, compare: differences} }
}

// TestEachBit flips the bits of a 300-entry log's files, with what a living log has beside the full ones: one bit of every fourth byte, or all
// of them with PRIVACYOPS_TEST_FLIPS=all.
func TestEachBit(t *testing.T) {
	t.Parallel()
	k, leaves, seed := newKey(t, origin), leavesTo(300), seedOf(t)
	random := rand.New(rand.NewPCG(seed, 2))
	f := build(t, k, leaves)
	for name, raw := range build(t, k, leaves[:20]) {
		if name != "checkpoint" {
			f[name] = raw
		}
	}
	var flips []flip
	for _, name := range f.names() {
		for i := range f[name] {
			if os.Getenv("PRIVACYOPS_TEST_FLIPS") != "all" {
				if i%4 == int(seed%4) || len(f[name]) < 1000 {
					flips = append(flips, flip{name, 8*i + random.IntN(8)})
				}
				continue
			}
			for bit := range 8 {
				flips = append(flips, flip{name, 8*i + bit})
			}
		}
	}
	var o outcome
	began := time.Now()
	o.run(t, f, flips, plainLoader(NewCache(10)), Options{Key: k.verifier}, false)
	t.Logf("seed %d: %d flips in %d files in %s, %d not found, %d not named rightly", seed, o.runs.Load(), len(f), time.Since(began).Round(time.Millisecond), o.missed.Load(), o.misnamed.Load())

	// The same suite must notice a verifier that does not compare the entries with the tree.
	random.Shuffle(len(flips), func(i, j int) { flips[i], flips[j] = flips[j], flips[i] })
	var sabotaged outcome
	sabotaged.run(t, f, flips[:1000], func(s Source) *loader {
		return &loader{source: s, compare: func(_, _ []tlog.Hash) (int, int) { return -1, -1 }}
	}, Options{Key: k.verifier}, true)
	if sabotaged.missed.Load() == 0 {
		t.Error("a verifier that skips the leaf hashes passes the suite")
	}
	t.Logf("sabotage (leaf hashes skipped): %d of %d flips not found", sabotaged.missed.Load(), sabotaged.runs.Load())
}

// TestRandomFlips flips random bits of a 100,000-entry log: 80, or as many as PRIVACYOPS_TEST_FLIPS says (10,000 in full).
func TestRandomFlips(t *testing.T) {
	t.Parallel()
	k, seed := newKey(t, origin), seedOf(t)
	random := rand.New(rand.NewPCG(seed, 3))
	f := build(t, k, leavesTo(100_000))
	names, total := f.names(), 0
	for _, name := range names {
		total += len(f[name])
	}
	flips := make([]flip, number("PRIVACYOPS_TEST_FLIPS", 80))
	for i := range flips {
		at := random.IntN(total)
		for _, name := range names {
			if at < len(f[name]) {
				flips[i] = flip{name, 8*at + random.IntN(8)}
				break
			}
			at -= len(f[name])
		}
	}
	var o outcome
	began := time.Now()
	o.run(t, f, flips, plainLoader(NewCache(1000)), Options{Key: k.verifier}, false)
	t.Logf("seed %d: %d random flips in %s, %d not found, %d not named rightly", seed, o.runs.Load(), time.Since(began).Round(time.Millisecond), o.missed.Load(), o.misnamed.Load())
}

// TestStructure tampers with whole files and whole logs: each way on logs of random size, 10 or PRIVACYOPS_TEST_STRUCTURAL times.
func TestStructure(t *testing.T) {
	t.Parallel()
	seed := seedOf(t)
	random := rand.New(rand.NewPCG(seed, 4))
	k, thief := newKey(t, origin), newKey(t, origin)
	runs, missed := 0, 0
	for range number("PRIVACYOPS_TEST_STRUCTURAL", 10) {
		size := 600 + random.IntN(1500)
		leaves := leavesTo(size)
		f := build(t, k, leaves)
		earlier := 1 + random.IntN(size-1)
		was := build(t, k, leaves[:earlier])
		forked := leavesTo(size)
		forked[random.IntN(earlier)] = []byte(`{"schema":"privacyops.audit.entry.v1","controller":"a","controllerSequence":1,"receivedTime":"2026-03-02T08:00:00Z"}`)
		for _, tt := range structural(t, k, thief, f, was, forked, random) {
			r, err := Verify(context.Background(), Folder(tt.files), Options{Key: k.verifier, Known: tt.known})
			runs++
			if err != nil || r.Sound() || !tt.expect(r.Findings[0]) {
				missed++
				t.Errorf("size %d, known %d, %s: %v, %v", size, earlier, tt.name, r.Findings, err)
			}
		}
	}
	t.Logf("seed %d: %d structural changes, %d not found or not named rightly", seed, runs, missed)
}

type structuralCase struct {
	name   string
	files  files
	known  []byte
	expect func(Finding) bool
}

func structural(t *testing.T, k, thief logKey, f, was files, forked [][]byte, random *rand.Rand) []structuralCase {
	t.Helper()
	is := func(kinds ...Kind) func(Finding) bool {
		return func(got Finding) bool {
			for _, k := range kinds {
				if got.Kind == k {
					return true
				}
			}
			return false
		}
	}
	at := func(index uint64) func(Finding) bool { return func(got Finding) bool { return got.First == index } }
	var tiles []string
	for _, name := range f.names() {
		if name != "checkpoint" {
			tiles = append(tiles, name)
		}
	}
	lost := tiles[random.IntN(len(tiles))]
	cut := tiles[random.IntN(len(tiles))]
	fork := build(t, k, forked)
	stolen := build(t, thief, leavesOf(f))
	swappedTiles := f.with("tile/0/000", f["tile/0/001"]).with("tile/0/001", f["tile/0/000"])
	swappedBundles := f.with("tile/entries/000", f["tile/entries/001"]).with("tile/entries/001", f["tile/entries/000"])
	swappedBoth := swappedTiles.with("tile/entries/000", f["tile/entries/001"]).with("tile/entries/001", f["tile/entries/000"])
	mixed := fork.with("checkpoint", f["checkpoint"])
	return []structuralCase{
		{name: "tile deleted", files: f.with(lost, nil), expect: func(g Finding) bool { return g.File == lost }},
		{name: "tile truncated", files: f.with(cut, f[cut][:random.IntN(len(f[cut]))]), expect: func(g Finding) bool { return g.File == cut }},
		{name: "tile lengthened", files: f.with(cut, append(bytes.Clone(f[cut]), 0)), expect: func(g Finding) bool { return g.File == cut }},
		{name: "tiles swapped", files: swappedTiles, expect: at(0)},
		{name: "bundles swapped", files: swappedBundles, expect: at(0)},
		{name: "tiles and bundles swapped", files: swappedBoth, expect: at(0)},
		{name: "rolled back", files: was, known: f["checkpoint"], expect: is(Rollback)},
		{name: "rolled back to nothing", files: files{}, known: f["checkpoint"], expect: is(Checkpoint)},
		{name: "rolled back under the new checkpoint", files: was.with("checkpoint", f["checkpoint"]), expect: is(Tile, Entry)},
		{name: "forked and signed", files: fork, known: was["checkpoint"], expect: is(Fork)},
		{name: "rewritten under the old checkpoint", files: mixed, expect: is(Root)},
		{name: "another key", files: stolen, expect: is(Checkpoint)},
	}
}

// leavesOf reads the leaves back.
func leavesOf(f files) (leaves [][]byte) {
	for _, name := range f.names() {
		if !strings.HasPrefix(name, "tile/entries/") {
			continue
		}
		for raw := f[name]; len(raw) > 0; {
			leaf, rest, ok := split(raw)
			if !ok {
				panic(fmt.Sprint("the test's own log is malformed: ", name))
			}
			leaves, raw = append(leaves, leaf), rest
		}
	}
	return leaves
}
