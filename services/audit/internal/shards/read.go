package shards

import (
	"context"
	"sync"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

// Append implements audit.Log: the places are those of the whole log.
func (l *Log) Append(ctx context.Context, leaves [][]byte) ([]uint64, error) {
	p := l.last()
	places, err := p.log.Append(ctx, leaves)
	for i := range places {
		places[i] += p.First
	}
	return places, err
}

// Size implements audit.Log: the place behind the last entry. Entries that were dropped count.
func (l *Log) Size(ctx context.Context) (uint64, error) {
	p := l.last()
	size, err := p.log.Size(ctx)
	return p.First + size, err
}

// Leaves implements audit.Log. It fails with audit.ErrDropped where the entries are gone.
func (l *Log) Leaves(ctx context.Context, from uint64, limit int) ([][]byte, error) {
	p := l.at(from)
	if p.log == nil {
		return nil, audit.ErrDropped
	}
	return p.log.Leaves(ctx, from-p.First, limit)
}

// Head implements audit.Published: the newest shard's checkpoint.
func (l *Log) Head(ctx context.Context) (audit.Head, error) { return l.last().face.Head(ctx) }

// Inclusion implements audit.Published, for a place of the whole log: the proof is of the entry's own shard.
func (l *Log) Inclusion(ctx context.Context, position uint64) (audit.Inclusion, error) {
	p := l.at(position)
	if p.log == nil {
		return audit.Inclusion{}, audit.ErrDropped
	}
	in, err := p.face.Inclusion(ctx, position-p.First)
	in.First, in.Key = p.First, p.Key
	return in, err
}

// Shards implements audit.Sharded.
func (l *Log) Shards(ctx context.Context) ([]audit.Shard, error) {
	parts := l.all()
	out := make([]audit.Shard, len(parts))
	for i, p := range parts {
		out[i] = p.Shard
		if p.log == nil {
			continue
		}
		head, err := p.face.Head(ctx)
		if err != nil {
			return nil, err
		}
		out[i].Head = head
	}
	return out, nil
}

// Lost waits until another process has become the log's writer; see tlog.Log.Lost. Only a log that is not divided can be lost.
func (l *Log) Lost(ctx context.Context) error { return l.last().log.Lost(ctx) }

// Policy gives the text of the witness policy, nil without one.
func (l *Log) Policy() []byte { return l.o.Cosigner.Policy }

// Public is the log's key, from which those of all shards follow.
func (l *Log) Public() string { return l.o.Key.Public }

// Covered gives the places up to which checkpoints reach, and those up to which cosigned ones do. A cosigned checkpoint covers all shards
// before its own: its first entry holds the root of the one before it.
func (l *Log) Covered(ctx context.Context) (published, witnessed uint64, err error) {
	parts := l.all()
	for i := len(parts) - 1; i >= 0 && witnessed == 0; i-- {
		p := parts[i]
		if p.log == nil {
			break
		}
		covered, cosigned, err := p.face.Covered(ctx)
		if err != nil {
			return 0, 0, err
		}
		if published == 0 {
			published = p.First + covered
		}
		if cosigned > 0 {
			witnessed = p.First + cosigned
		}
	}
	return published, witnessed, nil
}

// ofYear is the shard of a year, or audit.ErrNotFound, or audit.ErrDropped where it has only a tombstone.
func (l *Log) ofYear(year int) (*part, error) {
	for _, p := range l.all() {
		switch {
		case p.Year == year && p.log == nil:
			return nil, audit.ErrDropped
		case p.Year == year:
			return p, nil
		}
	}
	return nil, audit.ErrNotFound
}

// Checkpoint returns the newest checkpoint of the shard of a year.
func (l *Log) Checkpoint(ctx context.Context, year int) ([]byte, error) {
	p, err := l.ofYear(year)
	if err != nil {
		return nil, err
	}
	return p.face.Checkpoint(ctx)
}

// Tile returns a tile of hashes of the shard of a year; see tlog.Log.Tile.
func (l *Log) Tile(ctx context.Context, year int, level, index uint64, width uint8) ([]byte, error) {
	p, err := l.ofYear(year)
	if err != nil {
		return nil, err
	}
	return p.face.Tile(ctx, level, index, width)
}

// Run has the checkpoints of all shards cosigned until ctx ends: that of the last one whenever it is new, and the final one of each
// other, once.
func (l *Log) Run(ctx context.Context) {
	var group sync.WaitGroup
	defer group.Wait()
	working := map[*part]context.CancelFunc{}
	for {
		l.mu.RLock()
		parts, changed := l.parts, l.changed
		l.mu.RUnlock()
		current := map[*part]bool{}
		for _, p := range parts {
			current[p] = true
			if working[p] == nil && p.face != nil {
				work, stop := context.WithCancel(ctx)
				working[p] = stop
				group.Go(func() { p.face.Run(work) })
			}
		}
		for p, stop := range working {
			if !current[p] {
				stop()
				delete(working, p)
			}
		}
		select {
		case <-ctx.Done():
			for _, stop := range working {
				stop()
			}
			return
		case <-changed:
		}
	}
}
