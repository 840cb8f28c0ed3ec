package storetest

import (
	"context"
	"errors"
	"testing" //nolint:depguard // a conformance kit: it is run by the tests of each store
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

// Follow adds events to an index as a log would give them: they continue what it has, all received at one time.
func Follow(ctx context.Context, s audit.Index, now time.Time, events ...audit.Event) ([]audit.Placed, error) {
	heads, err := s.Heads(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]audit.Placed, len(events))
	for i, e := range events {
		heads.Sequences[e.Controller]++
		entry := audit.Entry{Event: e, ReceivedTime: now, ControllerSequence: heads.Sequences[e.Controller]}
		leaf, err := entry.Leaf()
		if err != nil {
			return nil, err
		}
		if out[i], err = audit.PlacedLeaf(heads.Next+uint64(i), leaf); err != nil {
			return nil, err
		}
	}
	return out, s.Add(ctx, out)
}

// addingRunsOn: entries are found once added, and the heads are behind them.
func addingRunsOn(t *testing.T, s audit.Index) {
	wantHeads(t, s, audit.Heads{Sequences: map[audit.ControllerID]uint64{}})
	first := follow(t, s, Base, Event("school-a", 1), Decisions("school-a", 2, 300), Event("", 3))
	follow(t, s, Base.Add(time.Second), Event("school-b", 4), Event("school-a", 5))
	wantHeads(t, s, audit.Heads{Next: 5, LastReceived: Base.Add(time.Second), Sequences: map[audit.ControllerID]uint64{"school-a": 3, "": 1, "school-b": 1}})
	got, err := s.Get(context.Background(), "school-a", Event("school-a", 2).ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(audit.Record{Entry: first[1].Entry, Leaf: first[1].Leaf, Index: 1}, got); diff != "" {
		t.Errorf("the second entry (-want +got):\n%s", diff)
	}
}

// addingWhatCannotBe: an index takes nothing but what continues it, and of that all or nothing.
func addingWhatCannotBe(t *testing.T, s audit.Index) {
	follow(t, s, Base, Event("school-a", 1), Event("school-a", 2))
	entry := func(index uint64, n int, sequence uint64) audit.Placed {
		e := audit.Entry{Event: Event("school-a", n), ReceivedTime: Base, ControllerSequence: sequence}
		leaf, err := e.Leaf()
		if err != nil {
			t.Fatal(err)
		}
		p, err := audit.PlacedLeaf(index, leaf)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	for name, entries := range map[string][]audit.Placed{
		"a taken index":               {entry(1, 7, 3)},
		"a gap in the log":            {entry(3, 7, 3)},
		"a taken number":              {entry(2, 7, 2)},
		"a gap in the numbers":        {entry(2, 7, 4)},
		"a known event":               {entry(2, 1, 3)},
		"one event twice":             {entry(2, 7, 3), entry(3, 7, 4)},
		"a gap behind what continues": {entry(2, 7, 3), entry(4, 8, 4)},
		"a number behind a right one": {entry(2, 7, 3), entry(3, 8, 5)},
	} {
		if err := s.Add(context.Background(), entries); !errors.Is(err, audit.ErrDiverged) {
			t.Errorf("%s: %v, want %v", name, err, audit.ErrDiverged)
		}
	}
	wantHeads(t, s, audit.Heads{Next: 2, LastReceived: Base, Sequences: map[audit.ControllerID]uint64{"school-a": 2}})
	if got := search(t, s, audit.Query{Controller: "school-a"}); len(got) != 2 {
		t.Errorf("%d entries are found, want 2", len(got))
	}
}

// knownEvents looks up events among others, more than one query takes.
func knownEvents(t *testing.T, s audit.Index) {
	placed := follow(t, s, Base, Events("school-a", 1, 700)...)
	var asked []audit.EventID
	want := map[audit.EventID]audit.Known{}
	for n := 1; n <= 1400; n += 2 {
		asked = append(asked, Event("", n).ID)
		if n <= 700 {
			want[Event("", n).ID] = audit.Known{Digest: placed[n-1].Digest, ReceivedTime: Base, ControllerSequence: uint64(n)}
		}
	}
	for _, n := range []int{0, 1, 3, len(asked)} {
		got, err := s.Known(context.Background(), asked[:n])
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range asked[:n] {
			if k, known := got[id]; known != (want[id] != audit.Known{}) || k != want[id] {
				t.Errorf("%s among %d: %+v, want %+v", id, n, k, want[id])
			}
		}
		if len(got) > n {
			t.Errorf("%d events are known of %d", len(got), n)
		}
	}
}

func wantHeads(t *testing.T, s audit.Index, want audit.Heads) {
	t.Helper()
	got, err := s.Heads(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the heads (-want +got):\n%s", diff)
	}
}
