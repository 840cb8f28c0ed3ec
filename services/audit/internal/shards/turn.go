package shards

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
	"github.com/privacyops/privacyops/services/audit/internal/tlog"
)

// The steps of a turn, as Options.Step is told.
const (
	StepSealed = "sealed" // the shard's last checkpoint is published
	StepBegun  = "begun"  // the next shard is there, without an entry
	StepOpened = "opened" // it has its first entry
)

// Seal implements audit.Years.
func (l *Log) Seal(ctx context.Context) (audit.Shard, error) {
	l.unsettle()
	ctx, cancel := context.WithTimeout(ctx, sealTime)
	defer cancel()
	last := l.last()
	size, err := published(ctx, last.log)
	if err != nil {
		return audit.Shard{}, err
	}
	if err := last.log.Close(ctx); err != nil {
		return audit.Shard{}, err
	}
	sealed, err := l.openEarlier(ctx, last.Year, last.First)
	switch {
	case err != nil:
		return audit.Shard{}, err
	case sealed.Head.Size != size:
		return audit.Shard{}, fmt.Errorf("shards: the last checkpoint covers %d entries of %d", sealed.Head.Size, size)
	}
	l.exchange(sealed)
	l.o.Step(StepSealed)
	return sealed.Shard, nil
}

// sealPoll is how often the checkpoint is looked for.
const sealPoll = 10 * time.Millisecond

// published waits until a checkpoint covers all entries, also those that a process before this one has left without. Nothing is added
// meanwhile.
func published(ctx context.Context, log *tlog.Log) (size uint64, err error) {
	if size, err = log.Size(ctx); err != nil {
		return 0, err
	}
	for {
		head, err := log.Head(ctx)
		if err != nil || head.Size == size {
			return size, err
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("shards: no checkpoint covers the last entries: %w", ctx.Err())
		case <-time.After(sealPoll):
		}
	}
}

// Begin implements audit.Years.
func (l *Log) Begin(ctx context.Context, year int, opening []byte) error {
	before := l.last()
	if year <= before.Year {
		return fmt.Errorf("%w: the year %d cannot follow %d", audit.ErrDiverged, year, before.Year)
	}
	p, err := l.open(ctx, year)
	if err != nil {
		return err
	}
	l.o.Step(StepBegun)
	p.First, p.Opening = before.End(), opening
	indices, err := p.log.Append(ctx, [][]byte{opening})
	if err == nil && indices[0] != 0 {
		err = fmt.Errorf("%w: the shard %s has entries already", audit.ErrDiverged, p.Origin)
	}
	if err != nil {
		return errors.Join(err, p.log.Close(ctx))
	}
	l.o.Step(StepOpened)
	l.set(append(slices.Clone(l.all()), p))
	return nil
}

// Settle implements audit.Years.
func (l *Log) Settle(ctx context.Context) error {
	l.mu.RLock()
	unsettled, last := l.unsettled, l.parts[len(l.parts)-1]
	l.mu.RUnlock()
	if !unsettled {
		return nil
	}
	// A last checkpoint that was not published in time is not lost: it is signed again by whoever opens the shard next.
	_ = last.log.Close(ctx)
	return l.load(ctx)
}

func (l *Log) unsettle() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unsettled = true
}

// exchange puts a shard in the place of that of the same year, and leaves open whether the log is settled.
func (l *Log) exchange(p *part) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.parts = slices.Clone(l.parts)
	for i := range l.parts {
		if l.parts[i].Year == p.Year {
			l.parts[i] = p
		}
	}
	close(l.changed)
	l.changed = make(chan struct{})
}

// The steps of a drop.
const (
	StepMarked = "marked" // the tombstone is there
	StepBuried = "buried" // and nothing else of the shard
)

// Bury drops a shard, the oldest one that is not dropped yet: a tombstone takes its place, signed with the shard's key.
func (l *Log) Bury(ctx context.Context, t audit.Tombstone) error {
	for i, p := range l.all() {
		if p.Tombstone != nil {
			continue
		}
		if p.Origin != t.Origin || !p.Sealed || i == len(l.all())-1 {
			return errors.New("shards: only the oldest sealed shard can be dropped")
		}
		key, err := l.o.Key.Shard(p.Year)
		if err != nil {
			return err
		}
		signed, err := tlog.SignText(key, t.Text())
		if err != nil {
			return err
		}
		if err := l.o.Storage.Mark(ctx, p.Year, signed); err != nil {
			return err
		}
		l.o.Step(StepMarked)
		dropped := &part{Shard: p.Shard}
		dropped.Tombstone, dropped.Note, dropped.Opening = &t, signed, nil
		l.exchange(dropped)
		if err := l.o.Storage.Clear(ctx, p.Year); err != nil {
			return err
		}
		l.o.Step(StepBuried)
		return nil
	}
	return errors.New("shards: there is no shard that can be dropped")
}
