package audit_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace/noop"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
	"github.com/privacyops/privacyops/services/audit/internal/store" //nolint:depguard // the rules are tested on the store they ship with
)

// emptyDatabase is a database file with the schema and nothing in it; tests start from copies, as making one takes longer
// than most of them.
var emptyDatabase = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "audit")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "audit.db")
	db, err := sqldb.Open(context.Background(), sqldb.Config{URL: "sqlite:" + file})
	if err != nil {
		return nil, err
	}
	_, err = store.Open(context.Background(), db)
	if err := errors.Join(err, db.Close()); err != nil {
		return nil, err
	}
	return os.ReadFile(file)
})

// openStore opens the real store on a database of its own.
func openStore(t *testing.T) (audit.Index, *sqldb.DB) {
	t.Helper()
	content, err := emptyDatabase()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "audit.db")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := sqldb.Open(context.Background(), sqldb.Config{URL: "sqlite:" + file})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	s, err := store.Open(context.Background(), db)
	if err != nil {
		t.Fatal(err)
	}
	return s, db
}

// memoryLog is a log in memory: what is appended is integrated and published at once. Its faults are set by tests.
type memoryLog struct {
	mu     sync.Mutex
	leaves [][]byte
	// appends counts the batches.
	appends int
	// appendFault, if set, is asked before leaves are added and says how many of them are, and with which error.
	appendFault func(n int) (int, error)
	unpublished int
}

func (l *memoryLog) Append(_ context.Context, leaves [][]byte) ([]uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.appends++
	n, err := len(leaves), error(nil)
	if l.appendFault != nil {
		n, err = l.appendFault(n)
	}
	var indices []uint64
	for _, leaf := range leaves[:n] {
		indices = append(indices, uint64(len(l.leaves)))
		l.leaves = append(l.leaves, leaf)
	}
	return indices, err
}

func (l *memoryLog) Size(context.Context) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return uint64(len(l.leaves)), nil
}

func (l *memoryLog) Leaves(_ context.Context, from uint64, limit int) ([][]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if from >= uint64(len(l.leaves)) {
		return nil, nil
	}
	return l.leaves[from:min(uint64(len(l.leaves)), from+uint64(limit))], nil
}

// Head computes the root with golang.org/x/mod's code, so that the verifier is compared with a second opinion.
func (l *memoryLog) Head(context.Context) (audit.Head, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		var out []tlog.Hash
		for _, i := range indexes {
			out = append(out, stored[i])
		}
		return out, nil
	})
	size := len(l.leaves) - l.unpublished
	for i, leaf := range l.leaves[:size] {
		hashes, err := tlog.StoredHashes(int64(i), leaf, reader)
		if err != nil {
			return audit.Head{}, err
		}
		stored = append(stored, hashes...)
	}
	root, err := tlog.TreeHash(int64(size), reader)
	return audit.Head{Size: uint64(size), Root: root[:]}, err
}

func (l *memoryLog) Inclusion(ctx context.Context, index uint64) (audit.Inclusion, error) {
	head, err := l.Head(ctx)
	if err != nil {
		return audit.Inclusion{}, err
	}
	if index >= head.Size {
		return audit.Inclusion{}, audit.ErrNotFound
	}
	return audit.Inclusion{Index: index, TreeSize: head.Size}, nil
}

func (l *memoryLog) publish(unpublished int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unpublished = unpublished
}

// ids reads the ids of all events in the log.
func (l *memoryLog) ids(t require) []audit.EventID {
	t.Helper()
	var out []audit.EventID
	for _, raw := range l.leaves {
		entry, err := audit.ParseLeaf(raw)
		if err != nil {
			t.Fatalf("%v", err)
		}
		out = append(out, entry.ID)
	}
	return out
}

// fixedClock is a clock that stands still until it is set.
type fixedClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *fixedClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fixedClock) set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
}

// setFault sets appendFault while the log may be in use.
func (l *memoryLog) setFault(fault func(n int) (int, error)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.appendFault = fault
}

var noTracer = noop.NewTracerProvider().Tracer("test")
