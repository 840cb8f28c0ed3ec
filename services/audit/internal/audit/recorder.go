package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// Clock tells the time.
type Clock interface {
	Now() time.Time
}

// Sealer makes events that name people into ones that can be made unreadable later, before they go into the log.
type Sealer interface {
	// Seal returns the events in the form that the log will hold. What is needed to read them again is durable when it
	// returns. The same event need not give the same form twice: it is known again by its open part (Event.Digest).
	Seal(ctx context.Context, events []Event) ([]Event, error)
}

// RecorderOptions tune a recorder. The zero value of a field means its default.
type RecorderOptions struct {
	// Sealer seals events; without one they are recorded as they are.
	Sealer Sealer
	// Batch is how many entries are added to the log at once; 2,048 by default. A report is not divided.
	Batch int
	// Gather is the longest pause after a batch whose leaves were large, which those of decisions are; none by default. With each
	// batch the log writes the bundle of its last leaves anew (up to 256), so that one batch for each large leaf would write many
	// times what it adds.
	Gather time.Duration
	// Years divides the log into shards; nil: it is one. NewID gives ids for the events of that.
	Years Years
	NewID func() string
}

const (
	// moment is how long a batch waits, counted from the end of the one before, for as many events as that had.
	moment = 5 * time.Millisecond
	// What makes leaves large, in bytes on average (single events seldom have a thousand), how many bytes of them are worth a batch
	// without a pause, and how many go into one.
	largeLeaf   = 4 << 10
	worthBytes  = 768 << 10
	recordBytes = 16 << 20
)

// Recorder accepts reported events: it puts them into the log, and they are accepted when the log has them.
//
// Calls that come while a batch is on its way to the log wait and share the next one. There is one batch at a time: only when the
// log has it do the times and numbers that it has used count, so that a failure leaves no gap.
type Recorder struct {
	log      Log
	index    Index
	follower *Follower
	clock    Clock
	tracer   trace.Tracer
	opts     RecorderOptions

	mu      sync.Mutex
	waiting []*report
	// events and bytes are those of all reports that wait.
	events, bytes int
	grown         chan struct{}

	// turn is held by the caller who records for all that wait. The fields below are its own.
	turn  chan struct{}
	heads Heads
	// sound is false until the heads are those of the log's end, and again from the moment that adding to it failed.
	sound bool
	// last is the batch that was recorded last.
	last struct {
		at            time.Time
		events, bytes int
	}
}

// NewRecorder returns a recorder that adds to log, which nobody else may add to, and hands what it has added to follower, whose
// index is the given one. It takes times of receipt from clock and makes its spans with tracer.
func NewRecorder(log Log, index Index, follower *Follower, clock Clock, tracer trace.Tracer, opts RecorderOptions) *Recorder {
	if opts.Batch <= 0 {
		opts.Batch = 2048
	}
	return &Recorder{log: log, index: index, follower: follower, clock: clock, tracer: tracer, opts: opts,
		turn: make(chan struct{}, 1), grown: make(chan struct{}, 1)}
}

// InvalidEventError says that the event at Position of a report breaks a rule.
type InvalidEventError struct {
	Position int
	Err      *FieldError
}

// Error implements error.
func (e *InvalidEventError) Error() string { return fmt.Sprintf("events[%d].%v", e.Position, e.Err) }

// Unwrap returns the *FieldError.
func (e *InvalidEventError) Unwrap() error { return e.Err }

// fieldError makes the *FieldError of an error of Event.Validate.
func fieldError(err error) *FieldError {
	if f := (*FieldError)(nil); errors.As(err, &f) {
		return f
	}
	return &FieldError{"event", "has no canonical JSON form"}
}

// report is a call of Accept.
type report struct {
	events []Event
	// drafts of the events, once they are sealed, and about how many bytes they are.
	drafts   []draft
	bytes    int
	receipts []Receipt
	err      error
	done     chan struct{}
}

// Accept takes a report: events in the order in which they happened. When it returns without an error, every event whose
// receipt is not Conflict is durable in the log, once. An event that breaks a rule refuses the whole report with an
// *InvalidEventError and records nothing. With any other error nobody knows: the report may be in the log or not, and is to
// be sent again; ErrBusy says that it is not, and that a pause is good.
//
// Each new event that carries a trace context gets a span `audit.append` in that trace, so that whoever follows a request
// sees that it was recorded. Decisions that share an event get none.
func (r *Recorder) Accept(ctx context.Context, events []Event) ([]Receipt, error) {
	if len(events) == 0 {
		return nil, nil
	}
	start := r.clock.Now()
	call, err := newReport(events)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	r.waiting, r.events, r.bytes = append(r.waiting, call), r.events+len(call.events), r.bytes+call.bytes
	r.mu.Unlock()
	notify(r.grown)
	if err := r.await(ctx, call); err != nil {
		return nil, err
	}
	for i, receipt := range call.receipts {
		if receipt.Status == Accepted {
			traceEvent(ctx, r.tracer, call.events[i], start, r.clock)
		}
	}
	return call.receipts, nil
}

// newReport checks a report.
func newReport(events []Event) (*report, error) {
	out := &report{events: slices.Clone(events), receipts: make([]Receipt, len(events)), done: make(chan struct{})}
	for i, e := range events {
		e = e.Canonical()
		if err := e.Validate(); err != nil {
			return nil, &InvalidEventError{i, fieldError(err)}
		}
		out.events[i], out.bytes = e, out.bytes+e.size()
	}
	return out, nil
}

// await waits until a report is recorded, by its own caller or by another that had the turn.
func (r *Recorder) await(ctx context.Context, call *report) error {
	for {
		select {
		case <-call.done:
			return call.err
		case r.turn <- struct{}{}:
			r.serve(context.WithoutCancel(ctx), call)
			<-r.turn
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// serve records what waits, unless the caller's own report is recorded already. However its caller fares it ends what it has begun:
// others wait for it.
func (r *Recorder) serve(ctx context.Context, call *report) {
	select {
	case <-call.done:
		return
	default:
	}
	r.gather()
	calls := r.next()
	err := r.record(ctx, calls)
	for _, c := range calls {
		c.err = cmp.Or(c.err, err)
		close(c.done)
	}
}

// gather waits for company. Whoever the batch before has answered is likely to come again at once, and where not all are awaited
// for a moment, the first of them goes to the log alone. After a batch of large leaves it waits for as many bytes as are worth one.
func (r *Recorder) gather() {
	pause, heavy := moment, r.opts.Gather > 0 && r.last.bytes > largeLeaf*r.last.events
	if heavy {
		pause = r.opts.Gather
	}
	over := time.NewTimer(pause - r.clock.Now().Sub(r.last.at))
	defer over.Stop()
	for {
		r.mu.Lock()
		enough := r.events >= r.last.events
		if heavy {
			enough = r.bytes >= worthBytes
		}
		r.mu.Unlock()
		if enough {
			return
		}
		select {
		case <-r.grown:
		case <-over.C:
			return
		}
	}
}

// next takes the reports that go into the next batch, in the order of their coming.
func (r *Recorder) next() []*report {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, events, bytes := 0, 0, 0
	for n < len(r.waiting) {
		w := r.waiting[n]
		if n > 0 && (events+len(w.events) > r.opts.Batch || bytes+w.bytes > recordBytes) {
			break
		}
		n, events, bytes = n+1, events+len(w.events), bytes+w.bytes
	}
	calls := r.waiting[:n:n]
	r.waiting, r.events, r.bytes = r.waiting[n:], r.events-events, r.bytes-bytes
	return calls
}

// Recover makes the index follow the log to its end, so that what comes next is numbered rightly and what was recorded is known.
// Accept does so by itself after a failure; the service does before anything else.
func (r *Recorder) Recover(ctx context.Context) error {
	r.turn <- struct{}{}
	defer func() { <-r.turn }()
	return r.recover(ctx)
}

func (r *Recorder) recover(ctx context.Context) error {
	if r.opts.Years != nil {
		if err := r.opts.Years.Settle(ctx); err != nil {
			return err
		}
	}
	heads, err := r.follower.CatchUp(ctx)
	if errors.Is(err, ErrDiverged) {
		r.follower.fail(err)
	}
	if err != nil {
		return err
	}
	r.heads, r.sound = heads, true
	return nil
}

func notify(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // a notice is already waiting
	}
}
