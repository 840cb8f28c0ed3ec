// Package recorder makes decisions durable before they are given, at the price of one commit for many.
//
// Every decision is an audit event that must be on disk before its answer leaves. A commit costs a flush of the disk, and the
// database commits one transaction after the other, so decisions that are made at the same time share one: while a commit
// runs, the events of further calls gather, and the next transaction takes them all. Nobody waits
// for company that does not come: a single call commits at once. Only where many calls run at
// the same time, a moment is waited for half of them: a commit, and what follows from it in the relay and in the audit service,
// costs about the same for one decision and for thirty. The other half keeps the processors busy meanwhile.
package recorder

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
)

// maxGroup bounds the events of one transaction, so that a change that waits for the database is not kept waiting long.
const maxGroup = 2000

const (
	// crowd is how many calls are worth waiting for, and plenty how many are enough: beyond, the commit is a small part of what a
	// decision costs.
	crowd, plenty = 4, 32
	// gatherFor is how long they are waited for at most.
	gatherFor = time.Millisecond
)

// errAbandoned ends the wait of calls whose group was lost to a panic.
var errAbandoned = errors.New("recorder: the group was not committed")

// Writer runs a function in a write transaction; *sqldb.DB does.
type Writer interface {
	Write(ctx context.Context, fn func(ctx context.Context, tx sqldb.Tx) error) error
}

// Recorder writes events in groups. It is safe for concurrent use.
type Recorder struct {
	db     Writer
	outbox *outbox.Outbox

	mu      sync.Mutex
	waiting []*entry
	// committing: somebody commits what waits, until nothing does.
	committing bool
	// wanted is how many entries the one whose turn it is waits for; 0: it does not. Gathered tells it that they are there.
	wanted   int
	gathered chan struct{}
	// running is about how many calls run at the same time: the most that were seen lately.
	running int
}

// entry is the events of one call.
type entry struct {
	ctx     context.Context //nolint:containedctx // each event belongs to its own call, whose actor and trace it carries
	events  []outbox.Event
	decided []outbox.Decided
	done    chan error
}

func (e *entry) size() int {
	n := len(e.events)
	for _, d := range e.decided {
		n += len(d.Answers)
	}
	return n
}

// New makes a recorder that writes to the outbox's own database.
func New(db Writer, o *outbox.Outbox) *Recorder {
	return &Recorder{db: db, outbox: o, gathered: make(chan struct{}, 1)}
}

// Record returns once the events are committed, all or none. The events belong to the call of ctx. When ctx ends first, its
// error is returned and the events may be committed all the same.
func (r *Recorder) Record(ctx context.Context, events ...outbox.Event) error {
	return r.wait(&entry{ctx: ctx, events: events, done: make(chan error, 1)})
}

// RecordDecisions is Record for decisions, which are packed with those of other calls.
func (r *Recorder) RecordDecisions(ctx context.Context, answers ...outbox.Answer) error {
	return r.take(ctx, outbox.DecidedBy(ctx, answers...))
}

// take is Record for the decisions of several calls.
func (r *Recorder) take(ctx context.Context, decided ...outbox.Decided) error {
	return r.wait(&entry{ctx: ctx, decided: decided, done: make(chan error, 1)})
}

func (r *Recorder) wait(e *entry) error {
	r.mu.Lock()
	r.waiting = append(r.waiting, e)
	if r.wanted > 0 && len(r.waiting) >= r.wanted {
		r.wanted = 0
		r.gathered <- struct{}{} // there is room: it is waited for once
	}
	begin := !r.committing
	r.committing = true
	r.mu.Unlock()
	if begin {
		go r.commitAll()
	}
	select {
	case err := <-e.done:
		return err
	case <-e.ctx.Done():
		return e.ctx.Err()
	}
}

// commitAll commits what waits, group by group, until nothing does.
func (r *Recorder) commitAll() {
	for r.expect() {
		r.commitGroup(r.group())
	}
}

// commitGroup commits a group in one transaction and tells its calls.
func (r *Recorder) commitGroup(group []*entry) {
	err := errAbandoned
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: panic of type %T", errAbandoned, p) // its value may hold anything
		}
		for _, e := range group {
			e.done <- err
		}
	}()
	err = r.commit(group)
	r.see(len(group))
	if err == nil || len(group) == 1 || errors.Is(err, sqldb.ErrUnavailable) {
		return
	}
	// One call's event may be at fault; the others must not suffer for it.
	for len(group) > 0 {
		alone := r.commit(group[:1])
		group[0].done <- alone
		group = group[1:]
	}
}

// expect waits a moment for half of the calls that run at the same time, where those are many. It returns false where nothing is
// to be committed; whoever comes then begins anew.
func (r *Recorder) expect() bool {
	r.mu.Lock()
	here := len(r.waiting)
	r.committing = here > 0
	wanted := min(r.running/2, plenty)
	alone := here == 0 || wanted < crowd || here >= wanted
	if !alone {
		r.wanted = wanted
	}
	r.mu.Unlock()
	if alone {
		return here > 0
	}
	timer := time.NewTimer(gatherFor)
	defer timer.Stop()
	select {
	case <-r.gathered:
	case <-timer.C:
		r.mu.Lock()
		if r.wanted == 0 {
			<-r.gathered // they came at the same moment
		}
		r.wanted = 0
		r.mu.Unlock()
	}
	return true
}

// see takes note of how many calls run: those that have just committed, and those that have come meanwhile.
func (r *Recorder) see(committed int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.running = max(committed+len(r.waiting), r.running-r.running/16-1)
}

// commit writes the events of a group in one transaction. It is everybody's: it does not end with any of their calls.
func (r *Recorder) commit(group []*entry) error {
	return r.db.Write(context.WithoutCancel(group[0].ctx), func(_ context.Context, tx sqldb.Tx) error {
		return r.write(tx, group)
	})
}

func (r *Recorder) write(tx sqldb.Tx, group []*entry) error {
	var decided []outbox.Decided
	for _, e := range group {
		ctx := context.WithoutCancel(e.ctx)
		for _, event := range e.events {
			if _, err := r.outbox.Record(ctx, tx, event); err != nil {
				return err
			}
		}
		decided = append(decided, e.decided...)
	}
	return r.outbox.RecordDecisions(context.WithoutCancel(group[0].ctx), tx, decided...)
}

// group removes what goes into the next transaction: whole entries, one at least.
func (r *Recorder) group() []*entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, events := 0, 0
	for n < len(r.waiting) && (n == 0 || events+r.waiting[n].size() <= maxGroup) {
		events += r.waiting[n].size()
		n++
	}
	group := r.waiting[:n:n]
	r.waiting = r.waiting[n:]
	return group
}
