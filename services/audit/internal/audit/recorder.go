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
	// Batch is how many entries are added to the log at once; 1,024 by default. A report is not divided.
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
// Calls that come while a batch is on its way to the log wait and share the next one. It is drafted meanwhile where it is full, so
// that sealing and writing do not wait for the disk. There is one batch at a time that has times and numbers: only when the log has
// it do those that it has used count, so that a failure leaves no gap.
type Recorder struct {
	log      Log
	index    Index
	follower *Follower
	clock    Clock
	tracer   trace.Tracer
	opts     RecorderOptions

	mu      sync.Mutex
	waiting []*report
	// events and bytes are those of all reports that wait, and awaited says that somebody is about to take them.
	events, bytes int
	awaited       bool
	// adding says that a batch is on its way to the log, and last is the one that was recorded last.
	adding bool
	last   struct {
		at            time.Time
		events, bytes int
	}
	changed chan struct{} // what waits has grown, or a batch has ended

	// drafting is held by who takes what waits and drafts it, and turn by who records what is drafted. The fields below are the
	// latter's own.
	drafting, turn chan struct{}
	heads          Heads
	// sound is false until the heads are those of the log's end, and again from the moment that adding to it failed.
	sound bool
}

// NewRecorder returns a recorder that adds to log, which nobody else may add to, and hands what it has added to follower, whose
// index is the given one. It takes times of receipt from clock and makes its spans with tracer.
func NewRecorder(log Log, index Index, follower *Follower, clock Clock, tracer trace.Tracer, opts RecorderOptions) *Recorder {
	if opts.Batch <= 0 {
		opts.Batch = 1024
	}
	return &Recorder{log: log, index: index, follower: follower, clock: clock, tracer: tracer, opts: opts,
		drafting: make(chan struct{}, 1), turn: make(chan struct{}, 1), changed: make(chan struct{}, 1)}
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

// UnansweredError says that a caller went away before its report was answered. The report stays on its way.
type UnansweredError struct {
	cause error
	call  *report
}

// Error implements error.
func (e *UnansweredError) Error() string { return "audit: not waited for: " + e.cause.Error() }

// Unwrap returns why it was not waited for.
func (e *UnansweredError) Unwrap() error { return e.cause }

// Answered tells whether the report has been answered by now, and with which error; nil where it was accepted.
func (e *UnansweredError) Answered() (ok bool, err error) {
	select {
	case <-e.call.done:
		return true, e.call.err
	default:
		return false, nil
	}
}

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
	r.wait(ctx, call)
	select {
	case <-call.done:
	case <-ctx.Done():
		return nil, &UnansweredError{ctx.Err(), call}
	}
	if call.err != nil {
		return nil, call.err
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

// wait has a report recorded with the others that wait.
func (r *Recorder) wait(ctx context.Context, call *report) {
	r.mu.Lock()
	r.waiting, r.events, r.bytes = append(r.waiting, call), r.events+len(call.events), r.bytes+call.bytes
	first := !r.awaited
	r.awaited = true
	r.mu.Unlock()
	notify(r.changed)
	if first {
		go r.serve(context.WithoutCancel(ctx)) // however the first one fares: the others wait too
	}
}

// serve records what waits, as much of it as makes a batch.
func (r *Recorder) serve(ctx context.Context) {
	r.drafting <- struct{}{}
	r.gather()
	calls, more := r.next()
	if more {
		go r.serve(ctx)
	}
	var drafted []*report
	err := guarded(func() error { drafted = r.draft(ctx, calls); return nil })
	r.turn <- struct{}{}
	r.begin()
	<-r.drafting
	if err == nil {
		err = guarded(func() error { return r.record(ctx, drafted) })
	}
	if errors.Is(err, errAbandoned) {
		r.sound = false // whatever it has done
	}
	r.end()
	<-r.turn
	for _, c := range calls {
		c.err = cmp.Or(c.err, err)
		close(c.done)
	}
}

// errAbandoned ends the wait of reports whose batch was lost to a panic.
var errAbandoned = errors.New("audit: the batch was abandoned")

// guarded makes an error of a panic: no caller's handler is there to do so, and all who wait must be told.
func guarded(fn func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: panic of type %T", errAbandoned, p) // its value may hold anything
		}
	}()
	return fn()
}

func (r *Recorder) begin() {
	r.mu.Lock()
	r.adding = true
	r.mu.Unlock()
}

func (r *Recorder) end() {
	r.mu.Lock()
	r.adding = false
	r.mu.Unlock()
	notify(r.changed)
}

// gather waits for company. While a batch is on its way to the log, for as much as makes a full one: a smaller one would not be there
// sooner. After that for a moment: whoever the batch has answered is likely to come again at once, and where not all are awaited, the
// first of them goes to the log alone. After a batch of large leaves it waits for as many bytes as are worth one.
func (r *Recorder) gather() {
	over := time.NewTimer(0)
	defer over.Stop()
	for {
		pause, adding := r.missing()
		switch {
		case pause <= 0:
			return
		case adding:
			<-r.changed
			continue
		}
		over.Reset(pause)
		select {
		case <-r.changed:
		case <-over.C:
			return
		}
	}
}

// missing is how long to wait for more than what waits, unless something changes, and whether the end of a batch is still to come.
func (r *Recorder) missing() (pause time.Duration, adding bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	pause, heavy := moment, r.opts.Gather > 0 && r.last.bytes > largeLeaf*r.last.events
	if heavy {
		pause = r.opts.Gather
	}
	switch {
	case r.events >= r.opts.Batch, heavy && r.bytes >= worthBytes:
		return 0, r.adding
	case r.adding:
		return pause, true
	case !heavy && r.events >= r.last.events:
		return 0, false
	}
	return pause - r.clock.Now().Sub(r.last.at), false
}

// next takes the reports that go into the next batch, in the order of their coming. More remain where it is full.
func (r *Recorder) next() (calls []*report, more bool) {
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
	calls = r.waiting[:n:n]
	r.waiting, r.events, r.bytes = r.waiting[n:], r.events-events, r.bytes-bytes
	r.awaited = len(r.waiting) > 0
	return calls, r.awaited
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
