package tlog

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/transparency-dev/tessera"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

// Errors of a log.
var (
	// ErrInUse reports that another process, or another Log of this one, has the log open.
	ErrInUse = errors.New("tlog: the log is in use")
	// ErrTampered reports that the log's content contradicts itself or the key. The log is not opened.
	ErrTampered = errors.New("tlog: the log does not agree with its checkpoint or key")
	// ErrClosed reports a use after Close.
	ErrClosed = errors.New("tlog: the log is closed")
)

// Options of a log. The zero value of a duration or number means its default.
type Options struct {
	// Dir is the folder of the log; it is made when absent. Without Shared it is required.
	Dir string
	// Shared keeps the log on servers instead, where several processes can take turns with it; nil: in Dir.
	Shared *Shared
	// Key signs the checkpoints.
	Key Key
	// BatchSize and BatchAge bound how many leaves are written together and how long the first of them waits; 1,024 and 5 ms
	// by default. The recorder adds as many at once, and no more before they are written: so they are written all or none.
	BatchSize uint
	BatchAge  time.Duration
	// CheckpointInterval is the least time between two checkpoints, 500 ms by default and 100 ms at least; on servers one second
	// at least. An entry is covered by a checkpoint within twice this time, on servers a second later.
	CheckpointInterval time.Duration
	// RepublishInterval is how often a log that does not grow signs its checkpoint anew, which shows that it is alive; ten
	// minutes by default.
	RepublishInterval time.Duration

	collect time.Duration // how often the storage tidies; its own default by default
}

// collectInterval is how often the storage removes the partial bundles and tiles that full ones have replaced. With leaves of many
// decisions they are large, and a minute's worth would be gigabytes.
const collectInterval = 2 * time.Second

func (o Options) withDefaults() Options {
	if o.BatchSize == 0 {
		o.BatchSize = 1024
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
	if o.collect <= 0 && o.Shared == nil {
		o.collect = collectInterval
	}
	return o
}

// Log is an open log. Its methods may be called concurrently.
type Log struct {
	key      Key
	storage  storage
	appender *tessera.Appender
	reader   reader
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

// Open opens the log, or begins one, and checks what it finds. The caller closes it. It fails with ErrInUse while another process
// has it open.
func Open(ctx context.Context, o Options) (*Log, error) {
	st, err := o.storage()
	if err != nil {
		return nil, err
	}
	if err := st.claim(ctx); err != nil {
		return nil, errors.Join(err, st.release())
	}
	l := &Log{key: o.Key, storage: st}
	if err := l.start(ctx, st.tune(o.withDefaults())); err != nil {
		return nil, errors.Join(err, l.Close(ctx))
	}
	return l, nil
}

func (l *Log) start(ctx context.Context, o Options) error {
	if err := l.storage.precheck(ctx, o.Key); err != nil {
		return err
	}
	options := tessera.NewAppendOptions().
		WithCheckpointSigner(o.Key.Signer).
		WithBatching(o.BatchSize, o.BatchAge).
		WithCheckpointInterval(o.CheckpointInterval).
		WithCheckpointRepublishInterval(o.RepublishInterval).
		WithGarbageCollectionInterval(o.collect)
	// The storage's work lasts from here to Close, not as long as the call that opens it.
	life, stop := context.WithCancel(context.WithoutCancel(ctx))
	open, err := l.storage.open(ctx, life, options)
	if err != nil {
		stop()
		return err
	}
	l.appender, l.shutdown, l.reader, l.stop = open.appender, open.shutdown, open.reader, stop
	return l.check(ctx)
}

// Lost waits until another process has become the log's writer, which ends with ErrLost, or until ctx ends, which is no error. A log
// in a folder is never lost.
func (l *Log) Lost(ctx context.Context) error {
	select {
	case <-l.storage.lost():
		return ErrLost
	case <-ctx.Done():
		return nil
	}
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
	select {
	case <-l.storage.lost():
		return nil, ErrLost
	default:
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
// releases it. Further calls return what the first one did.
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
	l.closeErr = errors.Join(l.closeErr, l.storage.release())
	return l.closeErr
}
