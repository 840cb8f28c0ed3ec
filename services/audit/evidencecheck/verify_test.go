package evidencecheck

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"slices"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
)

func TestPackageVerifies(t *testing.T) {
	t.Parallel()
	for name, unsealed := range map[string]bool{"with keys": true, "keys destroyed": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 40)
			w.unsealed = unsealed
			report, err := check(w.file(), Trust{LogKeys: []string{w.key}})
			if err != nil {
				t.Fatal(err)
			}
			unreadable := int64(4)
			if unsealed {
				unreadable = 0
			}
			if !report.Pinned || report.Entries != 38 || report.Events != 38 || report.FirstNumber != 2 || report.LastNumber != 39 ||
				report.Unreadable != unreadable || report.Certificates != 1 || len(report.Passed) != 12 {
				t.Errorf("%+v", report)
			}
		})
	}
}

// TestSameContentGivesTheSameBytes: a package is made anew byte for byte.
func TestSameContentGivesTheSameBytes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 20)
	if !bytes.Equal(w.file(), w.file()) {
		t.Error("two packages of the same evidence differ")
	}
}

// TestEveryAlteredByteIsFound alters each byte of a small package, and cuts it off at each, once.
func TestEveryAlteredByteIsFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 8)
	w.unsealed = true
	file := w.file()
	for i := range file {
		file[i] ^= 1 << (i % 8)
		if _, err := check(file, Trust{}); err == nil {
			t.Fatalf("byte %d of %d may be altered", i, len(file))
		}
		file[i] ^= 1 << (i % 8)
	}
	for i := 0; i < len(file); i += 97 {
		if _, err := check(file[:i], Trust{}); err == nil {
			t.Fatalf("a package of %d bytes may be cut off at %d", len(file), i)
		}
	}
	if _, err := check(file, Trust{}); err != nil {
		t.Fatal("the test itself altered the package:", err)
	}
}

func TestTrust(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 8)
	file := w.file()
	_, other, err := note.GenerateKey(&reader{77}, "log.example/audit")
	must(t, err)
	var failed *VerifyError
	if _, err := check(file, Trust{LogKeys: []string{other}}); !errors.As(err, &failed) || failed.Check != CheckSignature {
		t.Errorf("another log's key: %v", err)
	}
	if _, err := check(file, Trust{CertificateKeys: []string{other}}); !errors.As(err, &failed) || failed.Check != CheckCertificates {
		t.Errorf("another certificate key: %v", err)
	}
	if _, err := check(file, Trust{LogKeys: []string{"no key"}}); !errors.Is(err, ErrTrust) {
		t.Errorf("no key: %v", err)
	}
	if report, err := check(file, Trust{}); err != nil || report.Pinned {
		t.Errorf("without a key: %v, pinned %v", err, report.Pinned)
	}
	for name, junk := range map[string][]byte{"empty": nil, "text": []byte("no package at all, but some text that is long enough"), "zeros": make([]byte, 5000)} {
		if _, err := check(junk, Trust{}); !errors.Is(err, ErrUnusable) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestConstantMemory: making and verifying a package of 100,000 events needs no more memory than one of 1,000, but for a bounded part.
func TestConstantMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("a year of 100,000 events takes half a minute; it is left out with -short")
	}
	small, large := peak(t, 1_000), peak(t, 100_000)
	t.Logf("peak heap beyond the log's own hashes: %d KiB at 1,000 events, %d KiB at 100,000", small>>10, large>>10)
	// What is allocated while the collector marks counts as live; 160 bytes an event are let pass for that.
	if more := uint64(16 << 20); large > small+more {
		t.Errorf("100,000 events take %d KiB, 1,000 take %d KiB", large>>10, small>>10)
	}
}

// live is what of the heap is in use, without what is garbage already.
func live() uint64 {
	runtime.GC()
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// peak measures the largest heap while a package is made and verified.
func peak(t *testing.T, events int) uint64 {
	t.Helper()
	w := newWorld(t, events+2)
	w.unsealed = true
	path := filepath.Join(t.TempDir(), "evidence.zip")
	file, err := os.Create(path)
	must(t, err)
	defer file.Close()
	before := live()
	stop, done := make(chan struct{}), make(chan uint64)
	go func() {
		var highest uint64
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			highest = max(highest, live())
			select {
			case <-stop:
				done <- highest
				return
			case <-tick.C:
			}
		}
	}()
	began := time.Now()
	must(t, w.gather(file))
	made := time.Since(began)
	info, err := file.Stat()
	must(t, err)
	began = time.Now()
	report, err := Verify(file, info.Size(), Trust{LogKeys: []string{w.key}})
	must(t, err)
	close(stop)
	highest := <-done
	if report.Events != int64(events) {
		t.Errorf("%d events, not %d", report.Events, events)
	}
	t.Logf("%d events: %d KiB, made in %v, verified in %v", events, info.Size()>>10, made, time.Since(began))
	return highest - min(before, highest)
}

func TestPassedIsInOrder(t *testing.T) {
	t.Parallel()
	report, err := check(newWorld(t, 4).file(), Trust{})
	must(t, err)
	want := []Check{CheckContainer, CheckManifest, CheckSignature, CheckFiles, CheckCheckpoint, CheckProof, CheckEvents, CheckCompleteness,
		CheckCertificates, CheckFigures, CheckRegister, CheckReport}
	if !slices.Equal(report.Passed, want) {
		t.Errorf("%v", report.Passed)
	}
}
