package keys

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

const (
	// DestroyAction is the action of the entries that record destructions.
	DestroyAction = "key.destroy"

	// MarkTime is how long an event may take from its service into the log and still be known to be older than a destruction.
	MarkTime = 30 * 24 * time.Hour
	// skew is how far the clocks of services may be apart: what is said to have happened that soon after a destruction is taken to
	// have happened before.
	skew = time.Minute

	// keysPerDetail is how many key ids one detail holds; with all the people that one call names there are 14 of them.
	keysPerDetail = 15
)

// Recorder records events; see audit.Recorder.
type Recorder interface {
	Accept(ctx context.Context, events []audit.Event) ([]audit.Receipt, error)
}

// Destroyer destroys keys and records that.
type Destroyer struct {
	keys     *Keys
	recorder Recorder
	service  string
	// stale is how often the engine's memory is to be scrubbed still: it may hold keys, wrapped, that were destroyed since.
	stale atomic.Int32
}

// NewDestroyer returns a destroyer whose entries are reported by `service`, this one.
func NewDestroyer(keys *Keys, recorder Recorder, service string) *Destroyer {
	return &Destroyer{keys: keys, recorder: recorder, service: service}
}

// Subjects destroys the keys of a person and returns how many there were. When it returns without an error they are gone from the
// database and from memory, and the log has the entry. Done again it does nothing more, except for what went wrong before.
func (d *Destroyer) Subjects(ctx context.Context, c audit.ControllerID, refs []audit.SubjectRef, cause Cause) (destroyed int, err error) {
	people := make([]Marked, len(refs))
	for i, ref := range refs {
		people[i] = Marked{ref, d.keys.mark(c, ref)}
	}
	return d.destroy(ctx, Destruction{Controller: c, Cause: cause}, people)
}

// Controller destroys a controller's key and with it all keys of its people, and reports whether there was one.
func (d *Destroyer) Controller(ctx context.Context, c audit.ControllerID, cause Cause) (destroyed bool, err error) {
	n, err := d.destroy(ctx, Destruction{Controller: c, Cause: cause, Whole: true}, []Marked{{Mark: d.keys.mark(c, "")}})
	return n > 0, err
}

func (d *Destroyer) destroy(ctx context.Context, what Destruction, people []Marked) (int, error) {
	k := d.keys
	what.Event, what.Time = audit.EventID(k.NewID()), k.Clock.Now()
	done, err := k.Store.Destroy(ctx, what, people)
	k.forget(done, people) // also if it is not known what the store has done
	d.stale.Store(scrubs)
	if err != nil {
		return 0, err
	}
	count := len(done.Keys)
	if done.Whole {
		count = done.Count + 1
	}
	if done.Event == "" {
		count = 0
	}
	return count, d.Finish(ctx)
}

// forget makes the memory forget what was destroyed.
func (k *Keys) forget(d Destruction, people []Marked) {
	if d.Whole {
		people = nil
	}
	k.memory.forget(d.Controller, people, d.Keys)
}

// Finish scrubs the database after destructions and records those whose entry may be missing. The entry's id is fixed, so that it is recorded once.
func (d *Destroyer) Finish(ctx context.Context) error {
	open, err := d.keys.Store.Unrecorded(ctx)
	if err != nil || len(open) == 0 {
		return err
	}
	if err := d.keys.Store.Scrub(ctx); err != nil {
		return err
	}
	for _, one := range open {
		if _, err := d.recorder.Accept(ctx, []audit.Event{one.event(d.service)}); err != nil {
			return fmt.Errorf("keys: recording a destruction: %w", err)
		}
		if err := d.keys.Store.Recorded(ctx, one); err != nil {
			return err
		}
	}
	return nil
}

// event is the entry of a destruction. It names no person: what it names are keys that are no more.
func (d Destruction) event(service string) audit.Event {
	detail := map[string]string{"count": strconv.Itoa(d.Count)}
	if d.Whole {
		detail["scope"] = "CONTROLLER"
	} else {
		detail["scope"] = "SUBJECT"
	}
	n := 0
	for ids := range slices.Chunk(d.Keys, keysPerDetail) {
		n++
		words := make([]string, len(ids))
		for i, id := range ids {
			words[i] = id.String()
		}
		detail["keys."+strconv.Itoa(n)] = strings.Join(words, ",")
	}
	return audit.Event{ID: d.Event, Controller: d.Controller, Service: service, Actor: audit.Actor{Kind: audit.ActorService, Ref: d.Service},
		Action: DestroyAction, Kind: audit.KindKeyUse, Resource: d.Resource, Outcome: audit.OutcomeOK, OccurredTime: d.Time, Detail: detail}
}

// Destroyed reads from an entry of DestroyAction which keys it says were destroyed, and whether it was all of the controller.
func Destroyed(e audit.Event) (ids []audit.KeyID, whole bool, err error) {
	for n := 1; ; n++ {
		list, has := e.Detail["keys."+strconv.Itoa(n)]
		if !has {
			return ids, e.Detail["scope"] == "CONTROLLER", nil
		}
		for word := range strings.SplitSeq(list, ",") {
			var id audit.KeyID
			if err := id.UnmarshalText([]byte(word)); err != nil {
				return nil, false, err
			}
			ids = append(ids, id)
		}
	}
}

// Replay destroys again what the log says was destroyed and the store does not know of, because it was restored from an older
// copy. For each controller it reads the log's entries from the newest back to the first one that the store knows. It returns
// how many destructions it has done again.
func (d *Destroyer) Replay(ctx context.Context, index audit.Finder) (again int, err error) {
	controllers, err := d.keys.Store.Controllers(ctx)
	if err != nil {
		return 0, err
	}
	for _, c := range controllers {
		n, err := d.replay(ctx, index, c)
		if err != nil {
			return again, fmt.Errorf("keys: destroying again what a restored database has: %w", err)
		}
		again += n
	}
	return again, nil
}

func (d *Destroyer) replay(ctx context.Context, index audit.Finder, c audit.ControllerID) (int, error) {
	q := audit.Query{Controller: c, Filter: audit.Filter{Action: DestroyAction, Service: d.service, Kind: audit.KindKeyUse}, Limit: 100}
	var unknown []audit.Record
	for known := false; !known; {
		found, err := index.Search(ctx, q)
		if err != nil {
			return 0, err
		}
		for _, r := range found {
			if known, err = d.keys.Store.Known(ctx, r.ID); known || err != nil {
				break
			}
			unknown = append(unknown, r)
		}
		if err != nil {
			return 0, err
		}
		if len(found) < q.Limit {
			break
		}
		q.After = audit.CursorOf(found[len(found)-1])
	}
	slices.Reverse(unknown) // the oldest first: what comes after the newest known one is unknown, whenever this ends
	for _, r := range unknown {
		if err := d.again(ctx, r.Event); err != nil {
			return 0, err
		}
	}
	return len(unknown), nil
}

// again does what an entry says was done.
func (d *Destroyer) again(ctx context.Context, e audit.Event) error {
	ids, whole, err := Destroyed(e)
	if err != nil {
		return err
	}
	k := d.keys
	what := Destruction{Event: e.ID, Controller: e.Controller, Cause: Cause{e.Resource, e.Actor.Ref}, Keys: ids, Whole: whole, Time: e.OccurredTime}
	var people []Marked
	if whole {
		people = []Marked{{Mark: k.mark(e.Controller, "")}}
	} else {
		rows, err := k.Store.Get(ctx, e.Controller, ids)
		if err != nil {
			return err
		}
		wipeRows(rows)
		for _, row := range rows {
			people = append(people, Marked{row.Ref, k.mark(e.Controller, row.Ref)})
		}
	}
	if _, err := k.Store.Destroy(ctx, what, people); err != nil {
		return err
	}
	k.forget(what, people)
	d.stale.Store(scrubs)
	return errors.Join(k.Store.Scrub(ctx), k.Store.Recorded(ctx, what))
}

// finishEvery is how often destructions are looked for whose entry is missing; there are none but after a failure.
const finishEvery = time.Minute

// Run forgets keys that are too old and finishes what a crash has left, until ctx is done.
func (d *Destroyer) Run(ctx context.Context, log *slog.Logger) {
	purge, finish := time.NewTicker(purgeEvery), time.NewTicker(finishEvery)
	defer purge.Stop()
	defer finish.Stop()
	for d.sweep(ctx, log); ; {
		select {
		case <-ctx.Done():
			return
		case <-purge.C:
			d.keys.memory.purge(d.keys.Clock.Now())
			d.scrubMemory(ctx, log)
		case <-finish.C:
			d.sweep(ctx, log)
		}
	}
}

// scrubs is how often memory is overwritten after a destruction. The second time finds what was in use the first time.
const scrubs = 2

// scrubMemory makes the engine forget destroyed keys. That takes some ten milliseconds, so it is done for all destructions since the last
// time at once.
func (d *Destroyer) scrubMemory(ctx context.Context, log *slog.Logger) {
	left := d.stale.Load()
	if left == 0 {
		return
	}
	d.stale.CompareAndSwap(left, left-1) // before: what is destroyed meanwhile is scrubbed as often again
	err := d.keys.Store.ScrubMemory(ctx)
	if err != nil {
		d.stale.Store(scrubs)
	}
	if err != nil && ctx.Err() == nil {
		log.WarnContext(ctx, "destroyed keys may be left in memory, wrapped; trying again", "error_kind", fmt.Sprintf("%T", err))
	}
}

func (d *Destroyer) sweep(ctx context.Context, log *slog.Logger) {
	err := errors.Join(d.Finish(ctx), d.keys.Store.Unmark(ctx, d.keys.Clock.Now().Add(-MarkTime)))
	if err != nil && ctx.Err() == nil {
		log.WarnContext(ctx, "a destruction of keys could not be recorded; trying again", "error_kind", fmt.Sprintf("%T", err))
	}
}
