package store_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
	"github.com/privacyops/privacyops/services/audit/internal/store"
	"github.com/privacyops/privacyops/services/audit/internal/store/storetest"
)

// BenchmarkIndex adds sealed entries to an index in steps as the follower does, after looking them up as the recorder does; the
// figures are processor time for each entry.
func BenchmarkIndex(b *testing.B) {
	const step = 8192
	db, err := sqldb.Open(b.Context(), sqldb.Config{URL: "sqlite:" + filepath.Join(b.TempDir(), "audit.db")})
	if err != nil {
		b.Fatal(err)
	}
	s, err := store.Open(b.Context(), db)
	if err != nil {
		b.Fatal(err)
	}
	var looking, adding time.Duration
	next := 0
	for b.Loop() {
		entries, ids := make([]audit.Placed, step), make([]audit.EventID, step)
		for i := range entries {
			entries[i], ids[i] = sealedEntry(b, next), storetest.Event("school-a", next).ID
			next++
		}
		looking += busy(func() { _, err = s.Known(context.Background(), ids) })
		if err == nil {
			adding += busy(func() { err = s.Add(context.Background(), entries) })
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(looking.Nanoseconds())/float64(next), "ns/lookup")
	b.ReportMetric(float64(adding.Nanoseconds())/float64(next), "ns/add")
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
}

func sealedEntry(b *testing.B, n int) audit.Placed {
	b.Helper()
	var person audit.KeyID
	h := sha256.Sum256([]byte{byte(n * 7919 % 5000), byte(n * 7919 % 5000 >> 8)})
	copy(person[:], h[:])
	e := storetest.Event("school-a", n)
	e.ID = audit.EventID(fmt.Sprintf("019f0000-%04x-7000-8000-%012x", n>>16, n))
	entry := audit.Entry{Event: e.Sealing([]audit.KeyID{person}, make([]byte, 200)), ReceivedTime: storetest.Base, ControllerSequence: uint64(n + 1)}
	leaf, err := entry.Leaf()
	if err != nil {
		b.Fatal(err)
	}
	return audit.Placed{Entry: entry, Leaf: leaf, Digest: entry.Digest(), Index: uint64(n)}
}

// busy returns for how long fn kept processors busy, with what else the process did.
func busy(fn func()) time.Duration {
	used := func() time.Duration {
		var u syscall.Rusage
		_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // it never fails for SELF
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	before := used()
	fn()
	return used() - before
}
