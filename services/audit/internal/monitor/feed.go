package monitor

import (
	"context"
	"sync"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

// Rows reads rows of the index in the order of the log; see audit.Index.
type Rows interface {
	Window(ctx context.Context, from uint64, limit int) ([]audit.Row, error)
}

// recentEntries is how many entries are kept that the monitor has not seen yet, and crowd how many of them are worth a step at once.
const (
	recentEntries = 32 << 10
	crowd         = 4096
)

// Follower is a feed from the index: an entry's position is its place in the log plus one.
type Follower struct {
	rows      Rows
	published func(context.Context) (uint64, error)

	mu sync.Mutex
	// recent are the entries that the index got last, without gaps; those before them are read from it.
	recent []Entry
	crowds chan struct{}
}

// Follow returns a feed. Published says how many entries the latest checkpoint covers; those behind it are not returned yet.
func Follow(rows Rows, published func(context.Context) (uint64, error)) *Follower {
	return &Follower{rows: rows, published: published, crowds: make(chan struct{}, 1)}
}

// Crowds tells that many entries wait for the monitor.
func (f *Follower) Crowds() <-chan struct{} { return f.crowds }

// Take takes entries that the index has got, so that they need not be read from it again.
func (f *Follower) Take(entries []audit.Placed) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range entries {
		e := Entry{entries[i].Entry, Position(entries[i].Index + 1)}
		e.People, e.Sealed, e.Batch = nil, nil, nil // the monitor does not look at them
		if n := len(f.recent); n > 0 && f.recent[n-1].Position+1 != e.Position {
			f.recent = nil
		}
		f.recent = append(f.recent, e)
	}
	f.recent = f.recent[max(0, len(f.recent)-recentEntries):]
	if len(f.recent) >= crowd {
		select {
		case f.crowds <- struct{}{}:
		default: // it is told already
		}
	}
}

// Next implements Feed.
func (f *Follower) Next(ctx context.Context, after Position, limit int) ([]Entry, error) {
	size, err := f.published(ctx)
	if err != nil || size <= uint64(after) {
		return nil, err
	}
	limit = int(min(uint64(limit), size-uint64(after)))
	if recent := f.next(after, limit); len(recent) > 0 {
		return recent, nil
	}
	return f.read(ctx, after, limit)
}

// next returns recent entries, if the one after a position is among them, and forgets those up to it.
func (f *Follower) next(after Position, limit int) []Entry {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.recent) == 0 || f.recent[0].Position > after+1 {
		return nil
	}
	f.recent = f.recent[min(uint64(len(f.recent)), uint64(after+1-f.recent[0].Position)):]
	n := min(limit, len(f.recent))
	return f.recent[:n:n]
}

// read reads entries from the index. One whose leaf does not read was altered; what its row says must do, and that it was altered
// is for the verification to say.
func (f *Follower) read(ctx context.Context, after Position, limit int) ([]Entry, error) {
	rows, err := f.rows.Window(ctx, uint64(after), limit)
	if err != nil {
		return nil, err
	}
	out := make([]Entry, 0, len(rows))
	for _, row := range rows {
		if row.Index >= uint64(after)+uint64(limit) {
			break
		}
		entry, err := audit.ParseLeaf(row.Leaf)
		if err != nil {
			entry = byKeys(row.Keys)
		}
		out = append(out, Entry{entry, Position(row.Index + 1)})
	}
	return out, nil
}

func byKeys(k audit.Keys) audit.Entry {
	return audit.Entry{Event: audit.Event{ID: k.ID, Controller: k.Controller, Service: k.Service, Actor: audit.Actor{Ref: k.ActorRef},
		Action: k.Action, Kind: k.Kind, Outcome: k.Outcome, OccurredTime: k.ReceivedTime},
		ReceivedTime: k.ReceivedTime, ControllerSequence: k.ControllerSequence}
}
