package shards

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
	"github.com/privacyops/privacyops/services/audit/internal/tlog"
)

// sealTime is how long the last checkpoint of a shard may take.
const sealTime = 30 * time.Second

// Options of a log of shards.
type Options struct {
	// Storage keeps the shards; closing the log closes it.
	Storage Storage
	// Key signs them all.
	Key tlog.Key
	// Cosigner says who cosigns the checkpoints. Each shard has its own, which keeps what was cosigned beside the shard.
	Cosigner tlog.CosignerOptions
	// Step, unless nil, is told of each step of a turn and of a drop once it is done. Tests end the process there.
	Step func(step string)
}

// Log is the audit log, through all its shards. Its methods may be called concurrently; only the recorder adds and turns.
type Log struct {
	o Options

	mu        sync.RWMutex
	parts     []*part
	changed   chan struct{} // closed when the parts have changed
	unsettled bool
	closed    bool
}

// part is a shard and what reads it.
type part struct {
	audit.Shard
	log  *tlog.Log      // nil of a dropped one
	face *tlog.Cosigner // of the same log
}

var (
	_ audit.Log       = (*Log)(nil)
	_ audit.Published = (*Log)(nil)
	_ audit.Sharded   = (*Log)(nil)
	_ audit.Years     = (*Log)(nil)
)

// Open opens all shards and checks the chain between them: it fails with tlog.ErrTampered when one was altered, is missing without a
// tombstone, or does not continue the one before it.
func Open(ctx context.Context, o Options) (*Log, error) {
	if o.Step == nil {
		o.Step = func(string) {}
	}
	l := &Log{o: o, changed: make(chan struct{})}
	if err := errors.Join(audit.CheckOrigin(o.Key.Signer.Name()), l.load(ctx)); err != nil {
		return nil, errors.Join(err, o.Storage.Close())
	}
	return l, nil
}

// load reads the shards from the storage. Nothing is open when it fails.
func (l *Log) load(ctx context.Context) error {
	years, err := l.o.Storage.Years(ctx)
	if err != nil {
		return fmt.Errorf("shards: listing: %w", err)
	}
	years = append([]int{0}, years...)
	last, err := l.openLast(ctx, years)
	if err != nil {
		return err
	}
	var parts []*part
	for _, year := range years {
		p := last
		if year == last.Year {
			p.First = endOf(parts)
		} else if p, err = l.openEarlier(ctx, year, endOf(parts)); err != nil {
			break
		}
		if err = continues(parts, p); err != nil {
			break
		}
		if parts = append(parts, p); p == last {
			break
		}
	}
	if err != nil {
		return errors.Join(err, last.log.Close(ctx))
	}
	l.set(parts)
	return nil
}

func endOf(parts []*part) uint64 {
	if len(parts) == 0 {
		return 0
	}
	return parts[len(parts)-1].End()
}

// continues checks that a shard is the one after those.
func continues(before []*part, p *part) error {
	if len(before) == 0 {
		return nil
	}
	previous := before[len(before)-1]
	switch {
	case p.Tombstone != nil && previous.Tombstone == nil:
		return fmt.Errorf("%w: the shard %s was dropped and one before it was not", tlog.ErrTampered, p.Origin)
	case p.Tombstone != nil:
		return nil
	}
	if err := previous.Opens(p.Opening); err != nil {
		return fmt.Errorf("%w: %s does not continue %s: %w", tlog.ErrTampered, p.Origin, previous.Origin, err)
	}
	return nil
}

// openLast opens the last shard that has entries to go on with it. One without any is what a turn has left that did not come to its end.
func (l *Log) openLast(ctx context.Context, years []int) (*part, error) {
	for i := len(years) - 1; ; i-- {
		p, err := l.open(ctx, years[i])
		if err != nil {
			return nil, err
		}
		size, err := p.log.Size(ctx)
		if err != nil {
			return nil, errors.Join(err, p.log.Close(ctx))
		}
		if size > 0 || i == 0 {
			return p, nil
		}
		if err := errors.Join(p.log.Close(ctx), l.o.Storage.Discard(ctx, years[i])); err != nil {
			return nil, err
		}
	}
}

// open opens a shard to add to it.
func (l *Log) open(ctx context.Context, year int) (*part, error) {
	if _, err := l.o.Storage.Tombstone(ctx, year); !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: the last shard has a tombstone: %w", tlog.ErrTampered, err)
	}
	key, err := l.o.Key.Shard(year)
	if err != nil {
		return nil, err
	}
	log, err := l.o.Storage.Open(ctx, year, key)
	if err != nil {
		return nil, err
	}
	p := &part{Shard: audit.Shard{Year: year, Origin: key.Verifier.Name(), Key: key.Public}, log: log}
	if err := l.ready(ctx, p); err != nil {
		return nil, errors.Join(err, log.Close(ctx))
	}
	return p, nil
}

// ready reads how a shard begins, and makes its public face.
func (l *Log) ready(ctx context.Context, p *part) (err error) {
	if p.Year != 0 {
		first, err := p.log.Leaves(ctx, 0, 1)
		if err != nil {
			return err
		}
		if len(first) > 0 {
			p.Opening = first[0]
		}
	}
	o := l.o.Cosigner
	o.Final = p.Sealed
	p.face, err = tlog.NewCosigner(ctx, p.log, o)
	return err
}

// openEarlier opens a shard that others follow, or reads its tombstone and finishes the removal of what it stands for.
func (l *Log) openEarlier(ctx context.Context, year int, first uint64) (*part, error) {
	key, err := l.o.Key.Shard(year)
	if err != nil {
		return nil, err
	}
	p := &part{Shard: audit.Shard{Year: year, Origin: key.Verifier.Name(), Key: key.Public, First: first, Sealed: true}}
	signed, err := l.o.Storage.Tombstone(ctx, year)
	if err == nil {
		if p.Tombstone, err = OpenTombstone(signed, key.Verifier); err == nil && p.Tombstone.First != first {
			err = fmt.Errorf("%w: the tombstone of %s is of another place", tlog.ErrTampered, p.Origin)
		}
		if err != nil {
			return nil, err
		}
		p.Note, p.Head = signed, audit.Head{Size: p.Tombstone.Size, Root: p.Tombstone.Root}
		return p, l.o.Storage.Clear(ctx, year)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if p.log, err = l.o.Storage.Sealed(ctx, year, key); err != nil {
		return nil, fmt.Errorf("the shard %s: %w", p.Origin, err)
	}
	if p.Head, err = p.log.Head(ctx); err != nil {
		return nil, err
	}
	return p, l.ready(ctx, p)
}

// OpenTombstone reads a tombstone that the key of its shard has signed.
func OpenTombstone(signed []byte, key note.Verifier) (*audit.Tombstone, error) {
	n, err := note.Open(signed, note.VerifierList(key))
	if err != nil {
		return nil, fmt.Errorf("%w: a tombstone is not signed by the log's key: %w", tlog.ErrTampered, err)
	}
	t, err := audit.ParseTombstone(n.Text)
	if err != nil || t.Origin != key.Name() {
		return nil, fmt.Errorf("%w: a tombstone is that of another shard, or none: %w", tlog.ErrTampered, err)
	}
	return &t, nil
}

func (l *Log) set(parts []*part) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.parts, l.unsettled = parts, false
	close(l.changed)
	l.changed = make(chan struct{})
}

// all are the shards at the moment.
func (l *Log) all() []*part {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.parts
}

func (l *Log) last() *part {
	parts := l.all()
	return parts[len(parts)-1]
}

// at is the shard that has a place, or whose next one it is.
func (l *Log) at(position uint64) *part {
	parts := l.all()
	for i := len(parts) - 1; i > 0; i-- {
		if position >= parts[i].First {
			return parts[i]
		}
	}
	return parts[0]
}

// Close ends the log; see tlog.Log.Close.
func (l *Log) Close(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	return errors.Join(l.parts[len(l.parts)-1].log.Close(ctx), l.o.Storage.Close())
}
