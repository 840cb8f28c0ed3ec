package storetest

import (
	"context"
	"fmt"
	"sync"
	"testing" //nolint:depguard // a conformance kit: it is run by the tests of each store
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

func acceptStampsAndNumbers(t *testing.T, s audit.Store) {
	a, b, suite := Event("school-a", 1), Event("school-b", 2), Event("", 3)
	again := Event("school-a", 4)
	got := accept(t, s, Base, a, b, suite, again)
	want := []audit.Receipt{
		{ID: a.ID, Status: audit.Accepted, ReceivedTime: Base, ControllerSequence: 1},
		{ID: b.ID, Status: audit.Accepted, ReceivedTime: Base, ControllerSequence: 1},
		{ID: suite.ID, Status: audit.Accepted, ReceivedTime: Base, ControllerSequence: 1},
		{ID: again.ID, Status: audit.Accepted, ReceivedTime: Base, ControllerSequence: 2},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("receipts (-want +got):\n%s", diff)
	}
	r, err := s.Get(context.Background(), "school-a", again.ID)
	if err != nil {
		t.Fatal(err)
	}
	wantEntry := audit.Entry{Event: again, ReceivedTime: Base, ControllerSequence: 2}
	if diff := cmp.Diff(wantEntry, r.Entry); diff != "" {
		t.Errorf("the stored entry (-want +got):\n%s", diff)
	}
	if leaf, err := wantEntry.Leaf(); err != nil || string(leaf) != string(r.Leaf) || r.Placed {
		t.Errorf("leaf = %s (placed %v), want %s, not placed (%v)", r.Leaf, r.Placed, leaf, err)
	}
}

func acceptNeverRunsBackwards(t *testing.T, s audit.Store) {
	accept(t, s, Base.Add(time.Hour), Event("school-a", 1))
	late := accept(t, s, Base, Event("school-b", 2))[0]
	if !late.ReceivedTime.Equal(Base.Add(time.Hour)) {
		t.Errorf("received at %v though the log had reached %v", late.ReceivedTime, Base.Add(time.Hour))
	}
}

func knownEventCountsOnce(t *testing.T, s audit.Store) {
	e := Event("school-a", 1)
	first := accept(t, s, Base, e)[0]
	got := accept(t, s, Base.Add(time.Minute), Event("school-a", 2), e, e)
	first.Status = audit.Duplicate
	if got[1] != first || got[2] != first {
		t.Errorf("receipts of repetitions = %+v, %+v, want %+v", got[1], got[2], first)
	}
	twice := accept(t, s, Base.Add(time.Minute), Event("school-a", 3), Event("school-a", 3))
	if twice[0].Status != audit.Accepted || twice[1].Status != audit.Duplicate || twice[1].ControllerSequence != 3 {
		t.Errorf("one event twice in a call = %+v", twice)
	}
	want := ids(Events("school-a", 1, 3)...)
	if diff := cmp.Diff(want, pending(t, s, 10)); diff != "" {
		t.Errorf("the queue (-want +got):\n%s", diff)
	}
}

func knownIDWithOtherContent(t *testing.T, s audit.Store) {
	e := Event("school-a", 1)
	accept(t, s, Base, e)
	for _, change := range []func(*audit.Event){
		func(e *audit.Event) { e.Controller = "school-b" },
		func(e *audit.Event) { e.Outcome = audit.OutcomeDenied },
		func(e *audit.Event) { e.Detail = map[string]string{"count": "2"} },
		func(e *audit.Event) { e.OccurredTime = e.OccurredTime.Add(time.Microsecond) },
	} {
		other := e
		change(&other)
		got := accept(t, s, Base, other, Event("school-a", 2))
		if want := (audit.Receipt{ID: e.ID, Status: audit.Conflict}); got[0] != want {
			t.Errorf("receipt = %+v, want %+v", got[0], want)
		}
		if got[1].ControllerSequence != 2 {
			t.Errorf("the event behind a refused one has number %d, want 2", got[1].ControllerSequence)
		}
	}
	if r, err := s.Get(context.Background(), "school-a", e.ID); err != nil || r.Outcome != audit.OutcomeOK {
		t.Errorf("the entry became %+v, %v", r, err)
	}
}

func acceptIsAllOrNothing(t *testing.T, s audit.Store) {
	broken := Event("school-a", 2)
	broken.Kind = "SOMETHING"
	if _, err := s.Accept(context.Background(), Base, []audit.Event{Event("school-a", 1), broken}); err == nil {
		t.Fatal("an event without a leaf was accepted")
	}
	if got := pending(t, s, 10); len(got) != 0 {
		t.Errorf("the failed call left %v behind", got)
	}
	if got := accept(t, s, Base, Event("school-a", 3))[0].ControllerSequence; got != 1 {
		t.Errorf("the failed call used up numbers: the next is %d, want 1", got)
	}
}

// concurrentAccepts reports from many callers at once, each event by two of them.
func concurrentAccepts(t *testing.T, s audit.Store) {
	const callers, each = 8, 20
	var wg sync.WaitGroup
	for caller := range callers {
		wg.Go(func() {
			c := audit.ControllerID(fmt.Sprintf("school-%d", caller/4))
			for n := range each {
				event := Event(c, 1000*(caller/2)+n)
				if _, err := s.Accept(context.Background(), Base.Add(time.Duration(n)*time.Millisecond), []audit.Event{event}); err != nil {
					t.Errorf("Accept: %v", err)
					return
				}
			}
		})
	}
	wg.Wait()
	for _, c := range []audit.ControllerID{"school-0", "school-1"} {
		records, err := s.Search(context.Background(), audit.Query{Controller: c, Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		if len(records) != callers/4*each {
			t.Errorf("%s has %d entries, want %d", c, len(records), callers/4*each)
		}
		for i, r := range records {
			if want := uint64(len(records) - i); r.ControllerSequence != want {
				t.Fatalf("%s: entry %d from the newest has number %d, want %d", c, i, r.ControllerSequence, want)
			}
		}
	}
	var last time.Time
	queued, err := s.Pending(context.Background(), 1000)
	if err != nil || len(queued) != callers/2*each {
		t.Fatalf("the queue has %d entries (%v), want %d", len(queued), err, callers/2*each)
	}
	for i, q := range queued {
		e, err := audit.ParseLeaf(q.Leaf)
		if err != nil {
			t.Fatal(err)
		}
		if e.ReceivedTime.Before(last) {
			t.Fatalf("queue entry %d was received before the one ahead of it", i)
		}
		last = e.ReceivedTime
	}
}
