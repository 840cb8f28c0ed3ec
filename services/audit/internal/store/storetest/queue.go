package storetest

import (
	"context"
	"errors"
	"testing" //nolint:depguard // a conformance kit: it is run by the tests of each store
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

func queueIsInOrder(t *testing.T, s audit.Store) {
	events := []audit.Event{Event("school-b", 9), Event("school-a", 4), Event("school-b", 1)}
	for _, e := range events {
		accept(t, s, Base, e)
	}
	if diff := cmp.Diff(ids(events[:2]...), pending(t, s, 2)); diff != "" {
		t.Errorf("the first two (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(ids(events...), pending(t, s, 10)); diff != "" {
		t.Errorf("all (-want +got):\n%s", diff)
	}
	place(t, s, 0, events[0].ID)
	if diff := cmp.Diff(ids(events[1:]...), pending(t, s, 10)); diff != "" {
		t.Errorf("what remains (-want +got):\n%s", diff)
	}
}

func placing(t *testing.T, s audit.Store) {
	events := Events("school-a", 1, 3)
	accept(t, s, Base, events...)
	wantPlaced(t, s, 0)
	place(t, s, 0, events[0].ID, events[1].ID)
	place(t, s, 0, events[0].ID, events[1].ID) // noting it again changes nothing
	place(t, s, 1, events[1].ID, events[2].ID)
	wantPlaced(t, s, 3)
	if got := pending(t, s, 10); len(got) != 0 {
		t.Errorf("still queued: %v", got)
	}
	for i, e := range events {
		r, err := s.Get(context.Background(), "school-a", e.ID)
		if err != nil || !r.Placed || r.Index != uint64(i) {
			t.Errorf("entry %d: placed %v at %d (%v)", i, r.Placed, r.Index, err)
		}
	}
}

func placingWhatCannotBe(t *testing.T, s audit.Store) {
	events := Events("school-a", 1, 3)
	accept(t, s, Base, events...)
	place(t, s, 0, events[0].ID)
	for name, test := range map[string]struct {
		placements []audit.Placement
		want       error
	}{
		"another index":          {[]audit.Placement{{ID: events[0].ID, Index: 1}}, audit.ErrDiverged},
		"a taken index":          {[]audit.Placement{{ID: events[1].ID, Index: 0}}, audit.ErrDiverged},
		"a gap":                  {[]audit.Placement{{ID: events[1].ID, Index: 2}}, audit.ErrDiverged},
		"one index for two":      {[]audit.Placement{{ID: events[1].ID, Index: 1}, {ID: events[2].ID, Index: 1}}, audit.ErrDiverged},
		"unknown":                {[]audit.Placement{{ID: Event("school-a", 9).ID, Index: 1}}, audit.ErrNotFound},
		"unknown behind a known": {[]audit.Placement{{ID: events[1].ID, Index: 1}, {ID: Event("school-a", 9).ID, Index: 2}}, audit.ErrNotFound},
	} {
		if err := s.Place(context.Background(), test.placements); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	wantPlaced(t, s, 1)
	if diff := cmp.Diff(ids(events[1:]...), pending(t, s, 10)); diff != "" {
		t.Errorf("a refused call changed the queue (-want +got):\n%s", diff)
	}
}

func adopting(t *testing.T, s audit.Store) {
	accept(t, s, Base, Event("school-a", 1))
	place(t, s, 0, Event("school-a", 1).ID)
	lost := audit.Entry{Event: Event("school-a", 2), ReceivedTime: Base.Add(time.Hour), ControllerSequence: 2}
	if err := s.Adopt(context.Background(), 1, lost); err != nil {
		t.Fatal(err)
	}
	r, err := s.Get(context.Background(), "school-a", lost.ID)
	if err != nil || !r.Placed || r.Index != 1 {
		t.Fatalf("placed %v at %d (%v)", r.Placed, r.Index, err)
	}
	if diff := cmp.Diff(lost, r.Entry); diff != "" {
		t.Errorf("the entry taken over (-want +got):\n%s", diff)
	}
	if got := pending(t, s, 10); len(got) != 0 {
		t.Errorf("an entry taken over is queued: %v", got)
	}
	next := accept(t, s, Base, Event("school-a", 2), Event("school-a", 3))
	if next[0].Status != audit.Duplicate {
		t.Errorf("the event taken over is not known: %+v", next[0])
	}
	if next[1].ControllerSequence != 3 || !next[1].ReceivedTime.Equal(lost.ReceivedTime) {
		t.Errorf("the next entry is %+v, want number 3, received at %v", next[1], lost.ReceivedTime)
	}
}

func adoptingWhatCannotBe(t *testing.T, s audit.Store) {
	accept(t, s, Base, Event("school-a", 1), Event("school-a", 2))
	place(t, s, 0, Event("school-a", 1).ID)
	entry := func(n int, sequence uint64) audit.Entry {
		return audit.Entry{Event: Event("school-a", n), ReceivedTime: Base, ControllerSequence: sequence}
	}
	for name, test := range map[string]struct {
		index uint64
		entry audit.Entry
	}{
		"a known event":  {1, entry(2, 3)},
		"a taken number": {1, entry(7, 2)},
		"a taken index":  {0, entry(7, 3)},
		"a gap":          {2, entry(7, 3)},
	} {
		if err := s.Adopt(context.Background(), test.index, test.entry); !errors.Is(err, audit.ErrDiverged) {
			t.Errorf("%s: %v, want %v", name, err, audit.ErrDiverged)
		}
	}
	wantPlaced(t, s, 1)
}

func wantPlaced(t *testing.T, s audit.Store, want uint64) {
	t.Helper()
	if got, err := s.Placed(context.Background()); err != nil || got != want {
		t.Errorf("Placed = %d, %v, want %d", got, err, want)
	}
}
