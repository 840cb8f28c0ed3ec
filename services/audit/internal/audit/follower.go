package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// FollowerOptions tune a follower. The zero value of a field means its default.
type FollowerOptions struct {
	// Batch is how many entries are added to the index at once; 8,192 by default.
	Batch int
	// Pace is the least time from one addition to the next, unless they fill a batch or somebody waits for them; 500 ms by default.
	// Entries about many people touch as many pages of the index, and pages that several of them touch are written once.
	Pace time.Duration
	// MaxLag and MaxLagBytes bound how far the index may be behind the log, in entries and in bytes of leaves; 100,000 entries and
	// 256 MiB by default. Patience is how long what is reported then waits for it to come forward before it is refused; 2 s by default.
	MaxLag, MaxLagBytes int
	Patience            time.Duration
	// Backoff is the pause after a failure; one second by default.
	Backoff time.Duration
	// Added, if not nil, is handed the entries that Run has added to the index, in the order of the log. It does not keep the slice.
	Added func([]Placed)
	// Lost, if not nil, is asked where the index is not what it was left as: an error says that another process writes the log now, and
	// so the index. It may take a while.
	Lost func(context.Context) error
	// Logger receives failures; it holds no content of entries. Nothing is logged by default.
	Logger *slog.Logger
}

func (o FollowerOptions) withDefaults() FollowerOptions {
	if o.Batch <= 0 {
		o.Batch = 8192
	}
	if o.Pace <= 0 {
		o.Pace = 500 * time.Millisecond
	}
	if o.MaxLag <= 0 {
		o.MaxLag = 100_000
	}
	if o.MaxLagBytes <= 0 {
		o.MaxLagBytes = 256 << 20
	}
	if o.Patience <= 0 {
		o.Patience = 2 * time.Second
	}
	if o.Backoff <= 0 {
		o.Backoff = time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// batchBytes bounds the leaves that are added to the index at once.
const batchBytes = 8 << 20

// Follower makes the index follow the log. What is recorded while it runs it is handed by the recorder; all else, after a start
// and after a failure, it reads from the log.
type Follower struct {
	index Index
	log   Log
	opts  FollowerOptions
	grown chan struct{}

	// writing is held while entries are added to the index.
	writing sync.Mutex
	// unsure, guarded by writing, says that a catching up has failed: the index may have more than is noted here.
	unsure bool

	mu sync.Mutex
	// behind are the entries that the log has and the index does not, in the order of the log, and known the same by their ids.
	behind []Placed
	known  map[EventID]Known
	bytes  int
	// next is the first place of the log that the index has no entry of, and end the one behind the last entry handed over.
	next, end uint64
	// moved is closed and made anew when the index has come forward, and hurried says that somebody waits for that.
	moved   chan struct{}
	hurried bool
	// fatal is what has ended the following for good.
	fatal error
	ended chan struct{}
}

// NewFollower returns a follower. CatchUp comes first.
func NewFollower(index Index, log Log, opts FollowerOptions) *Follower {
	return &Follower{index: index, log: log, opts: opts.withDefaults(), grown: make(chan struct{}, 1),
		known: map[EventID]Known{}, moved: make(chan struct{}), ended: make(chan struct{})}
}

// CatchUp brings the index to the log's end and returns the heads there. Only when nobody adds to the log meanwhile are they the
// heads for what comes next. It fails with ErrDiverged when the log is shorter than the index, or holds what cannot be.
func (f *Follower) CatchUp(ctx context.Context) (Heads, error) {
	f.writing.Lock()
	defer f.writing.Unlock()
	f.unsure = true // until all is well: an addition that failed may have happened
	heads, err := f.index.Heads(ctx)
	if err != nil {
		return Heads{}, fmt.Errorf("audit: reading the end of the index: %w", err)
	}
	size, err := f.log.Size(ctx)
	if err != nil {
		return Heads{}, fmt.Errorf("audit: reading the size of the log: %w", err)
	}
	if size < heads.Next {
		return Heads{}, fmt.Errorf("%w: the log has %d entries and the index %d", ErrDiverged, size, heads.Next)
	}
	for next := heads.Next; next < size; {
		entries, err := f.read(ctx, next, size)
		if err != nil {
			return Heads{}, err
		}
		if err := f.index.Add(ctx, entries); err != nil {
			return Heads{}, fmt.Errorf("audit: following the log from %d: %w", next, err)
		}
		next += uint64(len(entries))
	}
	if heads, err = f.index.Heads(ctx); err != nil {
		return Heads{}, fmt.Errorf("audit: reading the end of the index: %w", err)
	}
	f.forget(heads.Next, true)
	f.unsure = false
	return heads, nil
}

// read reads entries of the log from `next` on, as many as are added at once.
func (f *Follower) read(ctx context.Context, next, size uint64) (out []Placed, err error) {
	bytes := 0
	for next < size && len(out) < f.opts.Batch && bytes < batchBytes {
		leaves, err := f.log.Leaves(ctx, next, f.opts.Batch-len(out))
		if err != nil {
			return nil, fmt.Errorf("audit: reading the log at %d: %w", next, err)
		}
		for _, raw := range leaves {
			entry, err := PlacedLeaf(next, raw)
			if err != nil {
				return nil, fmt.Errorf("%w: at index %d: %w", ErrDiverged, next, err)
			}
			out, bytes, next = append(out, entry), bytes+len(raw), next+1
		}
	}
	return out, nil
}

// Run follows until ctx is done, then returns nil. Failures are logged and tried again after a pause. It returns ErrDiverged, also where
// the recorder has met it: then nothing more may be added before someone has looked; and what Lost says.
func (f *Follower) Run(ctx context.Context) error {
	for {
		due := time.NewTimer(f.opts.Pace)
		n, err := f.step(ctx)
		if errors.Is(err, ErrDiverged) {
			if lost := f.lost(ctx); lost != nil {
				f.fail(lost)
				return lost
			}
			f.fail(err)
		}
		switch {
		case f.failed() != nil:
			f.opts.Logger.ErrorContext(ctx, "the log and its index contradict each other; recording has stopped", "reason", f.failed().Error())
			return f.failed()
		case ctx.Err() != nil:
			return nil //nolint:nilerr // what fails once the run is over is no failure
		case err != nil:
			f.opts.Logger.ErrorContext(ctx, "the index cannot follow the log; trying again", "error_kind", fmt.Sprintf("%T", err), "interval_ms", f.opts.Backoff.Milliseconds())
			f.pause(ctx, time.After(f.opts.Backoff), nil)
		case n == 0:
			f.pause(ctx, nil, f.grown)
		default:
			f.gather(ctx, due.C)
		}
		due.Stop()
	}
}

// gather waits for company: until the next addition is due, there is a batch, or somebody waits.
func (f *Follower) gather(ctx context.Context, due <-chan time.Time) {
	for {
		f.mu.Lock()
		enough := f.hurried || len(f.behind) >= f.opts.Batch || f.bytes >= batchBytes
		f.hurried = false
		f.mu.Unlock()
		if enough {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-f.ended:
			return
		case <-due:
			return
		case <-f.grown:
		}
	}
}

func (f *Follower) lost(ctx context.Context) error {
	if f.opts.Lost == nil {
		return nil
	}
	return f.opts.Lost(ctx)
}

func (f *Follower) pause(ctx context.Context, over <-chan time.Time, grown <-chan struct{}) {
	select {
	case <-ctx.Done():
	case <-f.ended:
	case <-over:
	case <-grown:
	}
}

// step adds the next entries to the index and returns how many they were. A step whose fate was unknown is not repeated where it
// has happened.
func (f *Follower) step(ctx context.Context) (int, error) {
	f.writing.Lock()
	defer f.writing.Unlock()
	if f.unsure {
		heads, err := f.index.Heads(ctx)
		if err != nil {
			return 0, err
		}
		f.forget(heads.Next, false)
		f.unsure = false
	}
	entries := f.first()
	if len(entries) == 0 {
		return 0, nil
	}
	err := f.index.Add(ctx, entries)
	next := entries[len(entries)-1].Index + 1
	if err != nil {
		heads, again := f.index.Heads(ctx)
		if again != nil || heads.Next != next {
			return 0, err
		}
	}
	if f.opts.Added != nil {
		f.opts.Added(entries)
	}
	f.forget(next, false)
	return len(entries), nil
}

// first returns the entries that are added to the index next.
func (f *Follower) first() []Placed {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, bytes := 0, 0
	for n < len(f.behind) && n < f.opts.Batch && bytes < batchBytes {
		bytes += len(f.behind[n].Leaf)
		n++
	}
	return f.behind[:n:n]
}

// take takes over entries that the log has, the next ones in its order.
func (f *Follower) take(entries []Placed) {
	f.mu.Lock()
	for i := range entries {
		e := &entries[i]
		f.known[e.ID] = Known{e.Digest, e.ReceivedTime, e.ControllerSequence}
		f.bytes += len(e.Leaf)
	}
	f.behind = append(f.behind, entries...)
	f.end += uint64(len(entries))
	f.mu.Unlock()
	notify(f.grown)
}

// forget notes that the index has all before `next`; with `all` nothing is behind it.
func (f *Follower) forget(next uint64, all bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for n < len(f.behind) && (all || f.behind[n].Index < next) {
		delete(f.known, f.behind[n].ID)
		f.bytes -= len(f.behind[n].Leaf)
		n++
	}
	rest := copy(f.behind, f.behind[n:]) // its room is used again
	clear(f.behind[rest:])
	if f.behind = f.behind[:rest]; rest == 0 && cap(f.behind) > 2*f.opts.Batch {
		f.behind = nil
	}
	f.next = next
	if all {
		f.end = next
	}
	close(f.moved)
	f.moved = make(chan struct{})
}

// recent returns what is known of an event that the index may not have yet.
func (f *Follower) recent(id EventID) (Known, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	k, ok := f.known[id]
	return k, ok
}

// room waits while the index is so far behind that it has to come forward first. It reports whether it has in time.
func (f *Follower) room() bool {
	over := time.NewTimer(f.opts.Patience)
	defer over.Stop()
	for {
		f.mu.Lock()
		far, moved := len(f.behind) >= f.opts.MaxLag || f.bytes >= f.opts.MaxLagBytes, f.moved
		f.hurried = f.hurried || far
		f.mu.Unlock()
		if !far {
			return true
		}
		notify(f.grown)
		select {
		case <-moved:
		case <-f.ended:
			return false
		case <-over.C:
			return false
		}
	}
}

// Backlog returns how many entries the index is behind the log, and since when (the zero time if it is not).
func (f *Follower) Backlog() (count uint64, oldest time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.behind) > 0 {
		oldest = f.behind[0].ReceivedTime
	}
	return uint64(len(f.behind)), oldest
}

// Settle waits until the index has what was recorded before the call. It returns false when ctx ends first.
func (f *Follower) Settle(ctx context.Context) bool {
	f.mu.Lock()
	goal := f.end
	for f.next < goal {
		moved := f.moved
		f.hurried = true
		f.mu.Unlock()
		notify(f.grown)
		select {
		case <-moved:
		case <-ctx.Done():
			return false
		}
		f.mu.Lock()
	}
	f.mu.Unlock()
	return true
}

// fail ends the following for good.
func (f *Follower) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fatal == nil {
		f.fatal = err
		close(f.ended)
	}
}

func (f *Follower) failed() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fatal
}
