package evidencecheck

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"strconv"
	"testing"
	"time"

	"github.com/privacyops/privacyops/services/audit/internal/dossier"
	"github.com/privacyops/privacyops/services/audit/internal/entryline"
	"github.com/privacyops/privacyops/services/audit/internal/evidence"
)

// TestConstantMemory: making and verifying a package takes as much memory at 30,000 events as at 10,000. In full it is as much at 300,000, and
// the packages stay in a folder:
//
//	PRIVACYOPS_TEST_EVIDENCE=/tmp go test -timeout 20m -run ConstantMemory -v ./services/audit/evidencecheck
func TestConstantMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("a year of 30,000 events takes some seconds; it is left out with -short")
	}
	sizes := []int{1_000, 10_000, 30_000}
	if os.Getenv("PRIVACYOPS_TEST_EVIDENCE") != "" {
		sizes = append(sizes, 100_000, 300_000)
	}
	measured := map[int]peaks{}
	for _, events := range sizes {
		measured[events] = measure(t, events)
	}
	small := measured[10_000]
	for _, events := range sizes[2:] {
		large := measured[events]
		for _, c := range []struct {
			what         string
			small, large uint64
		}{{"making", small.made, large.made}, {"verifying", small.verified, large.verified}} {
			if c.large > c.small+c.small/5 {
				t.Errorf("%s a package of %d events takes %d KiB, one of 10,000 takes %d KiB", c.what, events, c.large>>10, c.small>>10)
			}
		}
	}
}

// peaks are the most bytes of the heap that were in use at one time.
type peaks struct{ made, verified uint64 }

// gauge takes the heap in use now and then, called by the very goroutine that does the work: nothing is allocated while the collector
// marks, so what it finds is what is needed and not what happens to be garbage.
type gauge struct {
	before, highest uint64
	calls, every    int
}

func newGauge(every int) *gauge {
	runtime.GC() // what a sync.Pool holds lives on for one round
	return &gauge{before: live(), every: every}
}

func (g *gauge) tick() {
	if g.calls++; g.calls%g.every == 0 {
		now := live()
		g.highest = max(g.highest, now-min(now, g.before))
	}
}

// live is what of the heap is in use, without what is garbage already.
func live() uint64 {
	runtime.GC()
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// gaugedEntries and gaugedFile look at the heap on the way.
type gaugedEntries struct {
	*world
	gauge *gauge
}

func (g gaugedEntries) Following(ctx context.Context, c evidence.ControllerID, after evidence.Cursor, limit int) ([]evidence.Entry, error) {
	g.gauge.tick()
	return g.world.Following(ctx, c, after, limit)
}

type gaugedFile struct {
	io.ReaderAt
	gauge *gauge
}

func (g gaugedFile) ReadAt(p []byte, at int64) (int, error) {
	g.gauge.tick()
	return g.ReaderAt.ReadAt(p, at)
}

// measure makes and verifies a package and gives the largest heap of both, beyond what the log's own hashes take. With
// PRIVACYOPS_TEST_EVIDENCE, a folder, the package is left there.
func measure(t *testing.T, events int) peaks {
	t.Helper()
	w := newWorld(t, events+2)
	w.unsealed = true
	dir := t.TempDir()
	if keep := os.Getenv("PRIVACYOPS_TEST_EVIDENCE"); keep != "" {
		dir = keep
	}
	file, err := os.Create(filepath.Join(dir, "evidence-"+strconv.Itoa(events)+".zip"))
	must(t, err)
	defer file.Close()
	making := newGauge(max(2*events/64/40, 1)) // each entry is read twice, 64 at a time: some forty looks
	began := time.Now()
	s := w.sources()
	s.Entries = gaugedEntries{w, making}
	must(t, s.Gather(t.Context(), w.request(), file, begin.AddDate(1, 0, 1), func(int64) error { return nil }))
	made := time.Since(began)
	info, err := file.Stat()
	must(t, err)
	verifying := newGauge(max((events+int(info.Size()/4096))/60, 1))
	began = time.Now()
	report, err := verify(gaugedFile{file, verifying}, info.Size(), Trust{LogKeys: []string{w.key}}, func(leaf, key []byte) (dossier.Entry, error) {
		verifying.tick()
		return entryline.Read(leaf, key)
	})
	must(t, err)
	if report.Events != int64(events) {
		t.Errorf("%d events, not %d", report.Events, events)
	}
	t.Logf("%d events: %d KiB, made in %v with %d KiB of heap, verified in %v with %d KiB", events, info.Size()>>10, made.Round(time.Millisecond),
		making.highest>>10, time.Since(began).Round(time.Millisecond), verifying.highest>>10)
	runtime.KeepAlive(w) // its hashes are in what was there before
	if making.highest == 0 || verifying.highest == 0 {
		t.Error("the heap was not looked at")
	}
	return peaks{making.highest, verifying.highest}
}
