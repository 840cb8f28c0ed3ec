package storetest

import (
	"context"
	"errors"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	authv1 "github.com/privacyops/privacyops/proto/gen/privacyops/auth/v1"
	"github.com/privacyops/privacyops/services/erasure/internal/erasure"
)

var anna = erasure.Identifier{Type: "UNILOGIN", Value: "anna0001"}

func insertAndGet(f *Fixture) {
	e := f.Erasure("north")
	e.Plan = &erasure.Plan{Hash: "h", Items: []erasure.Item{{System: "lms", Dataset: "profile", Count: 3, Action: erasure.Erase}}, Time: Base}
	e.Systems = []erasure.SystemProgress{{System: "lms", State: erasure.SystemPending, Round: 2, Done: 1}}
	e.Residuals = []erasure.Residual{{System: "lms", Count: 1, Reason: "r"}}
	f.Insert(e, anna)
	if diff := cmp.Diff(e, f.Get(e)); diff != "" {
		f.T.Errorf("stored (-want +got):\n%s", diff)
	}
	if n := f.jobs(); n != 1 {
		f.T.Errorf("%d jobs, want the first one", n)
	}
	for _, id := range []struct {
		c  erasure.ControllerID
		id erasure.ID
	}{{"south", e.ID}, {"north", "other"}} {
		if _, err := f.Store.Get(context.Background(), id.c, id.id); !errors.Is(err, sqldb.ErrNoRows) {
			f.T.Errorf("getting %v: %v, want no rows", id, err)
		}
	}
}

func listPages(f *Fixture) {
	var want []erasure.ID
	for range 5 {
		want = append([]erasure.ID{f.Insert(f.Erasure("north")).ID}, want...)
		f.Insert(f.Erasure("south"))
	}
	var got []erasure.ID
	for before := ""; ; before = string(got[len(got)-1]) {
		list, err := f.Store.List(context.Background(), "north", before, 2)
		if err != nil {
			f.T.Fatal(err)
		}
		for _, e := range list {
			got = append(got, e.ID)
		}
		if len(list) < 2 {
			break
		}
		f.Insert(f.Erasure("north")) // a newer one does not move the pages
	}
	if diff := cmp.Diff(want, got); diff != "" {
		f.T.Errorf("pages (-want +got):\n%s", diff)
	}
}

func active(f *Fixture) {
	find := func(c erasure.ControllerID, ref string, g erasure.Ground) (id erasure.ID) {
		f.Write(func(ctx context.Context, tx sqldb.Tx) error {
			e, err := f.Store.Active(ctx, tx, c, ref, g)
			if e != nil {
				id = e.ID
			}
			return err
		})
		return id
	}
	if got := find("north", "sub_1", erasure.ConsentWithdrawn); got != "" {
		f.T.Errorf("found %s where there is none", got)
	}
	e := f.Insert(f.Erasure("north"), anna)
	f.Take(e) // a worker holds it
	if got := find("north", "sub_1", erasure.ConsentWithdrawn); got != e.ID {
		f.T.Errorf("found %q, want %s", got, e.ID)
	}
	for name, got := range map[string]erasure.ID{"controller": find("south", "sub_1", erasure.ConsentWithdrawn),
		"person": find("north", "sub_2", erasure.ConsentWithdrawn), "ground": find("north", "sub_1", erasure.Unlawful)} {
		if got != "" {
			f.T.Errorf("another %s finds %s", name, got)
		}
	}
	f.change(e, func(e *erasure.Erasure) (bool, error) { return e.Cancel("r", Base) })
	if got := find("north", "sub_1", erasure.ConsentWithdrawn); got != "" {
		f.T.Errorf("found %s, which has ended", got)
	}
}

// change applies what a person decided, as a handler does.
func (f *Fixture) change(e *erasure.Erasure, fn func(*erasure.Erasure) (bool, error)) *erasure.Erasure {
	f.T.Helper()
	got, err := f.Store.Change(context.Background(), e.Controller, e.ID, decided(e), fn)
	if err != nil {
		f.T.Fatalf("Change: %v", err)
	}
	return got
}

func decided(e *erasure.Erasure) outbox.Event {
	return outbox.Event{Action: "erasure.approve", Kind: outbox.Modify, Controller: string(e.Controller), Resource: e.Name()}
}

func changeAndEvent(f *Fixture) {
	e := f.Erasure("north")
	e.State, e.ApprovalExpires, e.Plan = erasure.AwaitingApproval, Base.Add(time.Hour), &erasure.Plan{Hash: "abc"}
	f.Insert(e, anna)
	got := f.change(e, func(e *erasure.Erasure) (bool, error) { return true, e.Approve("usr_2", "abc", Base) })
	if got.State != erasure.Grace || got.Revision != 2 || got.Fence != 1 || !cmp.Equal(got, f.Get(e)) {
		f.T.Errorf("after approval: %s, revision %d, fence %d; stored: %s", got.State, got.Revision, got.Fence, cmp.Diff(got, f.Get(e)))
	}
	events := f.Events()
	if len(events) != 1 || events[0].GetAction() != "erasure.approve" || events[0].GetResource() != e.Name() ||
		!cmp.Equal(events[0].GetDetail(), map[string]string{"planHash": "abc"}) || !cmp.Equal(events[0].GetSubjectRefs(), []string{"sub_1"}) {
		f.T.Errorf("events: %v", events)
	}
	if n := f.jobs(); n != 2 {
		f.T.Errorf("%d jobs, want one more for the end of the grace period", n)
	}
}

func changeNothing(f *Fixture) {
	e := f.Insert(f.Erasure("north"), anna)
	f.change(e, func(e *erasure.Erasure) (bool, error) { e.Reason = "x"; return false, nil })
	boom := errors.New("refused")
	_, err := f.Store.Change(context.Background(), "north", e.ID, decided(e), func(e *erasure.Erasure) (bool, error) { e.Reason = "x"; return true, boom })
	if !errors.Is(err, boom) {
		f.T.Errorf("the error is %v", err)
	}
	if diff := cmp.Diff(e, f.Get(e)); diff != "" || len(f.Events()) != 0 || f.jobs() != 1 {
		f.T.Errorf("%d events, %d jobs; changed:\n%s", len(f.Events()), f.jobs(), diff)
	}
	_, err = f.Store.Change(context.Background(), "south", e.ID, decided(e), func(*erasure.Erasure) (bool, error) { return true, nil })
	if !errors.Is(err, sqldb.ErrNoRows) {
		f.T.Errorf("changing a foreign one: %v", err)
	}
}

// identifiers counts erasures that still have something sealed, or its key.
func (f *Fixture) identifiers() int64 {
	return f.number(`SELECT COUNT(*) FROM erasure WHERE sealed_identifiers IS NOT NULL OR wrapped_key IS NOT NULL`)
}

func changeEnds(f *Fixture) {
	e := f.Insert(f.Erasure("north"), anna)
	f.change(e, func(e *erasure.Erasure) (bool, error) { return e.Cancel("r", Base) })
	if n := f.identifiers(); n != 0 {
		f.T.Error("the identifiers outlive the end")
	}
	if _, _, err := f.Store.Take(context.Background(), "north", e.ID, Base); !errors.Is(err, erasure.ErrNoWork) {
		f.T.Errorf("taking what has ended: %v", err)
	}
	if got := f.due(time.Hour); len(got) != 0 {
		f.T.Errorf("due: %v", got)
	}
}

func take(f *Fixture) {
	e := f.Erasure("north")
	e.NextAttempt = Base.Add(time.Minute)
	f.Insert(e, anna, erasure.Identifier{Type: "EMAIL", Value: "anna@skole.example"})
	if _, _, err := f.Store.Take(context.Background(), "north", e.ID, Base); !errors.Is(err, erasure.ErrNoWork) {
		f.T.Errorf("taking before its time: %v", err)
	}
	if _, _, err := f.Store.Take(context.Background(), "south", e.ID, Base.Add(time.Minute)); !errors.Is(err, sqldb.ErrNoRows) {
		f.T.Errorf("taking a foreign one: %v", err)
	}
	f.Clock.Advance(time.Minute)
	for fence := int64(1); fence <= 2; fence++ {
		got, ids := f.Take(e)
		if got.Fence != fence || len(ids) != 2 || ids[0] != anna || ids[1].Value != "anna@skole.example" {
			f.T.Errorf("fence %d, want %d; %d identifiers", got.Fence, fence, len(ids))
		}
	}
}

func fenced(f *Fixture) {
	e := f.Insert(f.Erasure("north"), anna)
	zombie, _ := f.Take(e)
	f.Take(e)
	before := f.Get(e)
	zombie.State, zombie.Reason = erasure.Failed, "zombie"
	err := f.Store.Save(context.Background(), erasure.Change{Erasure: zombie, DestroyIdentifiers: true, Tombstones: []string{"sub_1"},
		Event: erasure.Event{Action: "erasure.fail"}})
	if !errors.Is(err, erasure.ErrFenced) {
		f.T.Errorf("the zombie's write: %v", err)
	}
	if diff := cmp.Diff(before, f.Get(e)); diff != "" || len(f.Events()) != 0 || f.identifiers() != 1 || f.number(`SELECT COUNT(*) FROM tombstone`) != 0 {
		f.T.Errorf("the zombie changed something; %d events:\n%s", len(f.Events()), diff)
	}
}

func changeFences(f *Fixture) {
	e := f.Insert(f.Erasure("north"), anna)
	worker, _ := f.Take(e)
	f.change(e, func(e *erasure.Erasure) (bool, error) { return e.Cancel("r", Base) })
	worker.State = erasure.AwaitingApproval
	if err := f.Store.Save(context.Background(), erasure.Change{Erasure: worker, Event: erasure.Event{Action: "erasure.plan"}}); !errors.Is(err, erasure.ErrFenced) {
		f.T.Errorf("the worker's write: %v", err)
	}
	if got := f.Get(e); got.State != erasure.Cancelled {
		f.T.Errorf("the erasure is %s", got.State)
	}
}

func saveIsWhole(f *Fixture) {
	e := f.Insert(f.Erasure("north"), anna)
	w, _ := f.Take(e)
	before := f.Get(e)
	for name, event := range map[string]erasure.Event{
		"a detail with a space": {Action: "erasure.plan", Detail: map[string]string{"name": "Anna And"}},
		"a reason in words":     {Action: "erasure.plan", Reason: "not upper"},
		"no action":             {},
	} {
		c := *w
		c.State = erasure.Completed
		err := f.Store.Save(context.Background(), erasure.Change{Erasure: &c, DestroyIdentifiers: true, Tombstones: []string{"sub_1"}, Event: event})
		if err == nil {
			f.T.Errorf("%s: stored although the audit log would refuse its event", name)
		}
	}
	if diff := cmp.Diff(before, f.Get(e)); diff != "" || f.identifiers() != 1 || f.number(`SELECT COUNT(*) FROM tombstone`) != 0 {
		f.T.Errorf("a part was stored:\n%s", diff)
	}
	w.NextAttempt = Base.Add(time.Hour)
	f.Save(erasure.Change{Erasure: w, Event: erasure.Event{ID: f.newID(), Action: "erasure.plan", Outcome: "FAILED", Reason: "SYSTEM_MISSING", Detail: map[string]string{"a": "b"}}})
	ev := f.Events()[0]
	if ev.GetReason() != "SYSTEM_MISSING" || ev.GetOutcome().String() != "FAILED" || ev.GetKind() != authv1.Rule_MODIFY || ev.GetService() != "erasure" || ev.GetController() != "north" {
		f.T.Errorf("the event is %v", ev)
	}
}

func identifiersReplaced(f *Fixture) {
	e := f.Insert(f.Erasure("north"), anna)
	w, _ := f.Take(e)
	more := []erasure.Identifier{anna, {Type: "EMAIL", Value: "anna@skole.example"}}
	f.Save(erasure.Change{Erasure: w, Identifiers: more, Event: erasure.Event{Action: "erasure.plan"}})
	if _, ids := f.Take(e); !cmp.Equal(ids, more) {
		f.T.Errorf("%d identifiers, want %d", len(ids), len(more))
	}
}

func completion(f *Fixture) {
	e := f.Insert(f.Erasure("north"), anna)
	w, _ := f.Take(e)
	w.State, w.VerifyTime, w.Certificate = erasure.Completed, Base, "file"
	f.Save(erasure.Change{Erasure: w, DestroyIdentifiers: true, Tombstones: []string{"sub_1", "sub_2"}, Event: erasure.Event{Action: "erasure.complete"}})
	if f.identifiers() != 0 || f.number(`SELECT COUNT(*) FROM tombstone WHERE controller = 'north'`) != 2 {
		f.T.Error("identifiers are left, or tombstones are not")
	}
	if got := f.Get(e); got.Certificate != "file" || got.State != erasure.Completed {
		f.T.Errorf("stored %+v", got)
	}
	if k := f.Events()[0].GetKind(); k != authv1.Rule_DELETE {
		f.T.Errorf("the event is of kind %s", k)
	}
	again := f.Insert(f.Erasure("north"), anna) // the same person once more: the tombstones stay one each
	w, _ = f.Take(again)
	w.State, w.VerifyTime = erasure.Completed, Base.Add(time.Hour)
	f.Save(erasure.Change{Erasure: w, DestroyIdentifiers: true, Tombstones: []string{"sub_1"}, Event: erasure.Event{Action: "erasure.complete"}})
	if n := f.number(`SELECT COUNT(*) FROM tombstone`); n != 2 {
		f.T.Errorf("%d tombstones", n)
	}
}
