package storetest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing" //nolint:depguard // a conformance kit: it is run by the tests of each store
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

// shown lists what an event shows to who searches, the newest first.
func shown(events ...audit.Event) []audit.Event {
	var out []audit.Event
	for _, e := range slices.Backward(events) {
		if e.Batch == nil {
			out = append(out, e)
			continue
		}
		for place := len(e.Batch.Decisions) - 1; place >= 0; place-- {
			out = append(out, e.Decision(place))
		}
	}
	return out
}

// decisionsAreEvents: each decision of a batch is found as it would have been, had it been reported alone.
func decisionsAreEvents(t *testing.T, s audit.Index) {
	batch := Decisions("school-a", 7, 3)
	follow(t, s, Base, Event("school-a", 1), batch)
	leaf, err := audit.Entry{Event: batch, ReceivedTime: Base, ControllerSequence: 2}.Leaf()
	if err != nil {
		t.Fatal(err)
	}
	want := audit.Record{
		Entry: audit.Entry{ReceivedTime: Base, ControllerSequence: 2, Event: audit.Event{
			ID: "019d36ff-7eac-7000-8000-000000070001", Controller: "school-a", Service: "consent",
			Actor:  audit.Actor{Kind: audit.ActorCaller, Ref: "p-77aa", Roles: []string{"controller", "dpo"}},
			Action: "legal_basis.check", Kind: audit.KindDecision, Resource: "controllers/school-a/activities/marks",
			SubjectRefs: []audit.SubjectRef{"s-2", "s-one-1"}, Outcome: audit.OutcomeOK, OccurredTime: Base.Add(7*time.Second + 250*time.Microsecond),
			Detail: map[string]string{"decision": "DENY", "reason": "NO_LEGAL_BASIS", "activity": "marks", "version": "1", "recipient": "municipality"},
		}},
		Place: 1, Leaf: leaf, Index: 1,
	}
	got, err := s.Get(context.Background(), "school-a", want.ID)
	if diff := gocmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("by its id: %v (-want +got):\n%s", err, diff)
	}
	records, err := s.Search(context.Background(), audit.Query{Controller: "school-a", Limit: 10})
	if err != nil || len(records) != 4 {
		t.Fatalf("%d records (%v), want three decisions and an event", len(records), err)
	}
	if diff := gocmp.Diff(want, records[1]); diff != "" {
		t.Errorf("searched (-want +got):\n%s", diff)
	}
	if records[2].TraceID() != "00000000000000070000000000000001" || records[2].Detail["decision"] != "ALLOW" ||
		records[2].Detail["consent"] != "019d36ff-ccb8-7000-8000-0000000703e8" || records[2].Detail["recipient"] != "" {
		t.Errorf("the decision that was allowed is %+v", records[2].Event)
	}
	if whole, err := s.Get(context.Background(), "school-a", batch.ID); err != nil || whole.Batch == nil || string(whole.Leaf) != string(leaf) {
		t.Errorf("the batch by its own id: %+v, %v", whole, err)
	}
}

// decisionsByID looks for every decision among batches whose ids interleave, repeat no time, or have none in them.
func decisionsByID(t *testing.T, s audit.Index) {
	var batches []audit.Event
	for n := range 6 {
		batches = append(batches, Decisions("school-a", 1+n, 60)) // 1.2 seconds long, a second apart
	}
	random := Decisions("school-a", 40, 9)
	for i := range random.Batch.Decisions {
		id := random.Batch.Decisions[i].ID
		for at := range id[:6] {
			id[at] = byte(i*97 + at*31)
		}
		id[6] = 0x4f
	}
	batches = append(batches, random)
	follow(t, s, Base, batches...)
	for _, want := range shown(batches...) {
		got, err := s.Get(context.Background(), "school-a", want.ID)
		if err != nil || got.ID != want.ID {
			t.Fatalf("decision %s: %s, %v", want.ID, got.ID, err)
		}
		if _, err := s.Get(context.Background(), "school-b", want.ID); !errors.Is(err, audit.ErrNotFound) {
			t.Fatalf("another controller's decision: %v, want %v", err, audit.ErrNotFound)
		}
	}
	known := string(shown(batches[0])[0].ID)
	for _, id := range []string{
		strings.ToUpper(known), known[:35], known + "0", strings.ReplaceAll(known, "-", ""), known[:35] + "e", "", strings.Repeat("z", 36),
		"00000000-0000-7000-8000-000000000000", "ffffffff-ffff-7fff-bfff-ffffffffffff",
	} {
		if r, err := s.Get(context.Background(), "school-a", audit.EventID(id)); !errors.Is(err, audit.ErrNotFound) {
			t.Errorf("%q: %+v, %v, want %v", id, r.Event, err, audit.ErrNotFound)
		}
	}
}

// batchesHaveFewRows: many decisions are found by their people all the same, and by nobody else.
func batchesHaveFewRows(t *testing.T, s audit.Index) {
	batch := follow(t, s, Base, Decisions("school-a", 1, 300))[0]
	for _, place := range []int{0, 250, 299} {
		ref := audit.SubjectRef(fmt.Sprintf("s-one-%d", place))
		want := []audit.EventID{batch.Decision(place).ID}
		if diff := gocmp.Diff(want, search(t, s, audit.Query{Controller: "school-a", SubjectRefs: []audit.SubjectRef{ref}})); diff != "" {
			t.Errorf("by the person %s (-want +got):\n%s", ref, diff)
		}
	}
	for _, q := range []audit.Query{
		{Controller: "school-a", SubjectRefs: []audit.SubjectRef{"s-one-300"}}, {Controller: "school-b", SubjectRefs: []audit.SubjectRef{"s-one-1"}},
	} {
		if got := search(t, s, q); len(got) != 0 {
			t.Errorf("%+v: %v", q, got)
		}
	}
	rows, err := s.Window(context.Background(), 0, 10)
	if err != nil || len(rows) != 1 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	if diff := gocmp.Diff(audit.KeysOf(batch.Entry), rows[0].Keys); diff != "" || len(rows[0].Keys.Marks) != 303*audit.MarkSize || rows[0].Keys.Decisions != 300 {
		t.Errorf("%d bytes of marks; the keys (-want +got):\n%s", len(rows[0].Keys.Marks), diff)
	}
}

// searchIsAList compares searches, page by page, with a list of all events that is gone through from the newest on.
func searchIsAList(t *testing.T, s audit.Index) {
	next, controller := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		controller++
		c := audit.ControllerID(fmt.Sprintf("school-%d", controller))
		var list []audit.Record
		for report := range rapid.IntRange(1, 6).Draw(t, "reports") {
			var events []audit.Event
			for range rapid.IntRange(1, 4).Draw(t, "events") {
				next++
				e := Event(c, next)
				if n := rapid.IntRange(0, 9).Draw(t, "decisions"); n > 0 {
					e = Decisions(c, next, n)
				}
				events = append(events, e)
			}
			placed, err := Follow(context.Background(), s, Base.Add(time.Duration(report)*time.Second), events...)
			if err != nil {
				t.Fatal(err)
			}
			for i, r := range placed {
				for _, one := range slices.Backward(shown(events[i])) {
					list = append(list, audit.Record{Entry: audit.Entry{Event: one, ReceivedTime: r.ReceivedTime}})
				}
			}
		}
		q := drawQuery(t, c, list)
		var want, got []audit.EventID
		for _, r := range slices.Backward(list) {
			if listed(q, r) {
				want = append(want, r.ID)
			}
		}
		for {
			page, err := s.Search(context.Background(), q)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range page {
				got = append(got, r.ID)
			}
			if len(page) < q.Limit {
				break
			}
			q.After = audit.CursorOf(page[len(page)-1])
		}
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Fatalf("%+v (-want +got):\n%s", q, diff)
		}
	})
}

// drawQuery draws a query that something in the list may fit.
func drawQuery(t *rapid.T, c audit.ControllerID, list []audit.Record) audit.Query {
	some := list[rapid.IntRange(0, len(list)-1).Draw(t, "some")]
	q := audit.Query{Controller: c, Limit: rapid.IntRange(1, 7).Draw(t, "limit")}
	for i, set := range []func(){
		func() { q.Filter.Service = some.Service },
		func() { q.Filter.Action = some.Action },
		func() { q.Filter.Action = strings.Split(some.Action, ".")[0] + ".*" },
		func() { q.Filter.Kind = some.Kind },
		func() { q.Filter.Outcome = some.Outcome },
		func() { q.Filter.ActorRef = some.Actor.Ref },
		func() { q.Filter.Resource = some.Resource },
		func() { q.Filter.TraceID = cmp.Or(some.TraceID(), strings.Repeat("1", 32)) },
		func() { q.SubjectRefs = some.SubjectRefs },
		func() { q.SubjectRefs = append([]audit.SubjectRef{"s-nobody"}, some.SubjectRefs[:1]...) },
		func() { q.Start = some.ReceivedTime },
		func() { q.End = some.ReceivedTime },
	} {
		if rapid.IntRange(0, 5).Draw(t, fmt.Sprint("condition ", i)) == 0 {
			set()
		}
	}
	return q
}

// listed says whether an event of the list fits a query, in the plainest words.
func listed(q audit.Query, r audit.Record) bool {
	f := q.Filter
	about := len(q.SubjectRefs) == 0
	for _, ref := range r.SubjectRefs {
		about = about || slices.Contains(q.SubjectRefs, ref)
	}
	noun, _, _ := strings.Cut(r.Action, ".")
	return about &&
		(f.Service == "" || f.Service == r.Service) &&
		(f.Action == "" || f.Action == r.Action || f.Action == noun+".*") &&
		(f.Kind == "" || f.Kind == r.Kind) &&
		(f.Outcome == "" || f.Outcome == r.Outcome) &&
		(f.ActorRef == "" || f.ActorRef == r.Actor.Ref) &&
		(f.Resource == "" || f.Resource == r.Resource) &&
		(f.TraceID == "" || f.TraceID == r.TraceID()) &&
		(q.Start.IsZero() || !r.ReceivedTime.Before(q.Start)) &&
		(q.End.IsZero() || r.ReceivedTime.Before(q.End))
}

// searchGoesOn: a search goes on through batches of which nothing fits, however many they are.
func searchGoesOn(t *testing.T, s audit.Index) {
	first := Decisions("school-a", 1, 2)
	first.Batch.Decisions[0].SubjectRefs = []audit.SubjectRef{"s-rare"}
	first.Batch.Actors[0].Ref = "p-rare"
	follow(t, s, Base, first)
	for n := range 30 {
		var events []audit.Event
		for i := range 10 {
			events = append(events, Decisions("school-a", 2+10*n+i, 2))
		}
		follow(t, s, Base.Add(time.Second), events...)
	}
	want := []audit.EventID{first.Decision(0).ID}
	for name, q := range map[string]audit.Query{
		"actor":   {Filter: audit.Filter{ActorRef: "p-rare"}},
		"subject": {SubjectRefs: []audit.SubjectRef{"s-rare"}},
	} {
		q.Controller, q.Limit = "school-a", 2
		if diff := gocmp.Diff(want, search(t, s, q)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
