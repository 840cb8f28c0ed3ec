package tlog

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/storage/posix"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

// Errors of a log.
var (
	// ErrInUse reports that another process, or another Log of this one, has the folder open.
	ErrInUse = errors.New("tlog: the log's folder is in use")
	// ErrTampered reports that the folder's content contradicts itself or the key. The log is not opened.
	ErrTampered = errors.New("tlog: the log does not agree with its checkpoint or key")
	// ErrClosed reports a use after Close.
	ErrClosed = errors.New("tlog: the log is closed")
)

// Options of a log. The zero value of a duration or number means its default.
type Options struct {
	// Dir is the folder of the log; it is made when absent.
	Dir string
	// Key signs the checkpoints.
	Key Key
	// BatchSize and BatchAge bound how many leaves are written together and how long the first of them waits; 2,048 and 5 ms
	// by default. The recorder adds as many at once, and no more before they are written: so they are written all or none.
	BatchSize uint
	BatchAge  time.Duration
	// CheckpointInterval is the least time between two checkpoints, 500 ms by default and 100 ms at least. An entry is
	// covered by a checkpoint within twice this time.
	CheckpointInterval time.Duration
	// RepublishInterval is how often a log that does not grow signs its checkpoint anew, which shows that it is alive; ten
	// minutes by default.
	RepublishInterval time.Duration
}

// collectInterval is how often the storage removes the partial bundles and tiles that full ones have replaced. With leaves of many
// decisions they are large, and a minute's worth would be gigabytes.
const collectInterval = 2 * time.Second

func (o Options) withDefaults() Options {
	if o.BatchSize == 0 {
		o.BatchSize = 2048
	}
	if o.BatchAge <= 0 {
		o.BatchAge = 5 * time.Millisecond
	}
	if o.CheckpointInterval <= 0 {
		o.CheckpointInterval = 500 * time.Millisecond
	}
	if o.RepublishInterval <= 0 {
		o.RepublishInterval = 10 * time.Minute
	}
	return o
}

// Log is an open log. Its methods may be called concurrently.
type Log struct {
	key      Key
	lock     *os.File
	appender *tessera.Appender
	reader   tessera.LogReader
	shutdown func(context.Context) error
	stop     context.CancelFunc

	mu       sync.RWMutex // held for reading while leaves are added
	closed   bool
	closeErr error
}

var (
	_ audit.Log       = (*Log)(nil)
	_ audit.Published = (*Log)(nil)
)

// Open opens the log in a folder, or begins one there, and checks what it finds. The caller closes it.
func Open(ctx context.Context, o Options) (*Log, error) {
	o = o.withDefaults()
	if err := os.MkdirAll(o.Dir, 0o750); err != nil {
		return nil, fmt.Errorf("tlog: making the folder: %w", err)
	}
	lock, err := lockFolder(o.Dir)
	if err != nil {
		return nil, err
	}
	l := &Log{key: o.Key, lock: lock}
	if err := l.start(ctx, o); err != nil {
		return nil, errors.Join(err, l.Close(ctx))
	}
	return l, nil
}

func (l *Log) start(ctx context.Context, o Options) error {
	if err := precheck(o.Dir, o.Key); err != nil {
		return err
	}
	driver, err := posix.New(ctx, posix.Config{Path: o.Dir})
	if err != nil {
		return fmt.Errorf("tlog: opening the storage: %w", err)
	}
	options := tessera.NewAppendOptions().
		WithCheckpointSigner(o.Key.Signer).
		WithBatching(o.BatchSize, o.BatchAge).
		WithCheckpointInterval(o.CheckpointInterval).
		WithCheckpointRepublishInterval(o.RepublishInterval).
		WithGarbageCollectionInterval(collectInterval)
	// The storage's work lasts from here to Close, not as long as the call that opens it.
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	appender, shutdown, reader, err := tessera.NewAppender(life, driver, options)
	if err != nil {
		stop()
		return fmt.Errorf("tlog: opening the log: %w", err)
	}
	l.appender, l.shutdown, l.reader, l.stop = appender, shutdown, reader, stop
	return l.check(ctx)
}

// Append implements audit.Log. The leaves are handed to the storage in order and all at once; then each one's future is
// awaited. Only a broken disk keeps that from ending, and no deadline ends it sooner: a caller that went away while leaves
// are on their way could not tell which of them will be in the log.
func (l *Log) Append(ctx context.Context, leaves [][]byte) ([]uint64, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		return nil, ErrClosed
	}
	if l.appender == nil {
		return nil, ErrSealed
	}
	ctx = context.WithoutCancel(ctx)
	entries := make([]*tessera.Entry, len(leaves))
	for i, leaf := range leaves {
		entries[i] = tessera.NewEntry(leaf)
	}
	futures := make([]tessera.IndexFuture, len(leaves))
	for i, entry := range entries {
		futures[i] = l.appender.Add(ctx, entry)
	}
	indices := make([]uint64, len(leaves))
	var failed error
	for i, future := range futures {
		index, err := future()
		if err != nil {
			failed = errors.Join(failed, err)
			continue
		}
		indices[i] = index.Index
	}
	if failed != nil {
		return nil, fmt.Errorf("tlog: adding leaves: %w", failed)
	}
	return indices, nil
}

// Close finishes what is being added, waits until a checkpoint covers it (as long as ctx allows), stops the log's work and
// releases its folder. Further calls return what the first one did.
func (l *Log) Close(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return l.closeErr
	}
	l.closed = true
	if l.shutdown != nil {
		if err := l.shutdown(ctx); err != nil {
			l.closeErr = fmt.Errorf("tlog: waiting for the last checkpoint: %w", err)
		}
		l.stop()
	}
	if l.lock != nil {
		l.closeErr = errors.Join(l.closeErr, l.lock.Close())
	}
	return l.closeErr
}

// lockFolder takes the folder for this Log. The lock goes with the process, however it ends.
func lockFolder(dir string) (*os.File, error) {
	return lockFile(filepath.Join(dir, "sequencer.lock"))
}

func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("tlog: locking the folder: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("%w: %w", ErrInUse, err)
	}
	return f, nil
}
