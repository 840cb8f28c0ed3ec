package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// SequencerOptions tune a sequencer. The zero value of a field means its default.
type SequencerOptions struct {
	// Batch is how many entries are added to the log at once; 512 by default.
	Batch int
	// Poll is how often the queue is looked at without a wake-up, for entries that another process accepted; one second
	// by default.
	Poll time.Duration
	// Gather is the pause after a step whose leaves were large, which those of decisions are; none by default. At each step the
	// log writes the bundle of its last leaves anew (up to 256), so that one step for each large leaf would write many times
	// what it adds.
	Gather time.Duration
	// Backoff is the pause after a failure; one second by default.
	Backoff time.Duration
	// Logger receives failures; it holds no content of entries. Nothing is logged by default.
	Logger *slog.Logger
}

func (o SequencerOptions) withDefaults() SequencerOptions {
	if o.Batch <= 0 {
		o.Batch = 512
	}
	if o.Poll <= 0 {
		o.Poll = time.Second
	}
	if o.Backoff <= 0 {
		o.Backoff = time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Sequencer moves entries from the queue into the log, one after the other. Between adding an entry and noting its index
// the process may die; therefore the sequencer adds nothing before it has followed the log to its end, at its start and
// again after every failure. A log and a queue have one sequencer.
type Sequencer struct {
	queue Queue
	log   Log
	opts  SequencerOptions
	wake  chan struct{}
	// heavy tells that the last step's leaves were large.
	heavy bool
	// followed is false until Recover has succeeded, and again from the moment something failed.
	followed bool
}

// largeLeaf is what leaves must have on average, in bytes, to be large. Single events seldom have a thousand.
const largeLeaf = 4 << 10

// NewSequencer returns a sequencer. It does nothing until Recover, Step or Run is called, by one goroutine at a time.
func NewSequencer(queue Queue, log Log, opts SequencerOptions) *Sequencer {
	return &Sequencer{queue: queue, log: log, opts: opts.withDefaults(), wake: make(chan struct{}, 1)}
}

// Wake tells a running sequencer that the queue has grown. It never blocks and may be called by anyone.
func (s *Sequencer) Wake() {
	select {
	case s.wake <- struct{}{}:
	default: // a wake-up is already waiting
	}
}

// Run sequences until ctx is done, then returns nil. Failures are logged and tried again after a pause. The one error that
// it returns is ErrDiverged: then nothing more may be added before someone has looked.
func (s *Sequencer) Run(ctx context.Context) error {
	for {
		n, err := s.Step(ctx)
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // what fails once the run is over is no failure
		case errors.Is(err, ErrDiverged):
			s.opts.Logger.ErrorContext(ctx, "the log and its index contradict each other; sequencing has stopped", "reason", err.Error())
			return err
		case err != nil:
			s.opts.Logger.ErrorContext(ctx, "sequencing failed; trying again", "error_kind", fmt.Sprintf("%T", err), "interval_ms", s.opts.Backoff.Milliseconds())
			s.pause(ctx, s.opts.Backoff, nil)
		case n == 0:
			s.pause(ctx, s.opts.Poll, s.wake)
		case s.heavy && n < s.opts.Batch:
			s.pause(ctx, s.opts.Gather, nil)
		}
	}
}

// Step adds the next entries of the queue to the log and notes where they landed. It returns how many they were. Unless the
// step before succeeded, it first follows the log (Recover).
func (s *Sequencer) Step(ctx context.Context) (int, error) {
	if !s.followed {
		if err := s.Recover(ctx); err != nil {
			return 0, err
		}
	}
	pending, err := s.queue.Pending(ctx, s.opts.Batch)
	if err != nil || len(pending) == 0 {
		return 0, err
	}
	s.followed = false
	leaves, bytes := make([][]byte, len(pending)), 0
	for i, q := range pending {
		leaves[i], bytes = q.Leaf, bytes+len(q.Leaf)
	}
	s.heavy = bytes > largeLeaf*len(pending)
	indices, err := s.log.Append(ctx, leaves)
	if err != nil {
		return 0, fmt.Errorf("audit: adding to the log: %w", err)
	}
	placements := make([]Placement, len(pending))
	for i, q := range pending {
		placements[i] = Placement{q.ID, indices[i]}
	}
	if err := s.queue.Place(ctx, placements); err != nil {
		return 0, fmt.Errorf("audit: noting places in the log: %w", err)
	}
	s.followed = true
	return len(pending), nil
}

// Recover reads the log from where the index ends up to its size and notes the place of each entry. An entry that the
// store does not know, because it was restored from an older copy, is taken over from the log. It fails with ErrDiverged
// when the log is shorter than the index says, or holds at some index what cannot be.
func (s *Sequencer) Recover(ctx context.Context) error {
	next, err := s.queue.Placed(ctx)
	if err != nil {
		return fmt.Errorf("audit: reading the index: %w", err)
	}
	size, err := s.log.Size(ctx)
	if err != nil {
		return fmt.Errorf("audit: reading the size of the log: %w", err)
	}
	if size < next {
		return fmt.Errorf("%w: the log has %d entries and the index at least %d", ErrDiverged, size, next)
	}
	for next < size {
		leaves, err := s.log.Leaves(ctx, next, s.opts.Batch)
		if err != nil {
			return fmt.Errorf("audit: reading the log at %d: %w", next, err)
		}
		for i, raw := range leaves {
			if err := s.follow(ctx, next+uint64(i), raw); err != nil {
				return err
			}
		}
		next += uint64(len(leaves))
	}
	s.followed = true
	return nil
}

// follow makes the index agree with one leaf of the log.
func (s *Sequencer) follow(ctx context.Context, index uint64, raw []byte) error {
	entry, err := ParseLeaf(raw)
	if err != nil {
		return fmt.Errorf("%w: at index %d: %w", ErrDiverged, index, err)
	}
	err = s.queue.Place(ctx, []Placement{{entry.ID, index}})
	if errors.Is(err, ErrNotFound) {
		s.opts.Logger.WarnContext(ctx, "taking over an entry that the log has and the store does not", "index", index)
		err = s.queue.Adopt(ctx, index, entry)
	}
	if err != nil {
		return fmt.Errorf("audit: following the log at %d: %w", index, err)
	}
	return nil
}

// pause waits for d, for wake or for the end of ctx, whichever comes first.
func (s *Sequencer) pause(ctx context.Context, d time.Duration, wake <-chan struct{}) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-wake:
	case <-t.C:
	}
}
