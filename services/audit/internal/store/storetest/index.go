package storetest

import (
	"context"
	"errors"
	"testing" //nolint:depguard // a conformance kit: it is run by the tests of each store
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

func getIsByController(t *testing.T, s audit.Index) {
	follow(t, s, Base, Event("school-a", 1), Event("", 2))
	for _, test := range []struct {
		controller audit.ControllerID
		n          int
		want       error
	}{
		{"school-a", 1, nil}, {"", 2, nil},
		{"school-b", 1, audit.ErrNotFound}, {"", 1, audit.ErrNotFound}, {"school-a", 2, audit.ErrNotFound}, {"school-a", 3, audit.ErrNotFound},
	} {
		if _, err := s.Get(context.Background(), test.controller, Event("", test.n).ID); !errors.Is(err, test.want) {
			t.Errorf("event %d of %q: %v, want %v", test.n, test.controller, err, test.want)
		}
	}
}

func searchFilters(t *testing.T, s audit.Index) {
	plain := Event("school-a", 1)
	other := Event("school-a", 2)
	other.Service, other.Action, other.Kind, other.Outcome = "consent", "consent.withdraw", audit.KindDelete, audit.OutcomeDenied
	other.Actor, other.SubjectRefs = audit.Actor{Kind: audit.ActorService, Ref: "consent"}, nil
	near := Event("school-a", 3)
	near.Action, near.SubjectRefs = "erasures.approve", []audit.SubjectRef{"s-x", "s-x", "s-1"}
	follow(t, s, Base, plain, other, near, Event("school-b", 4))
	for name, test := range map[string]struct {
		query audit.Query
		want  []audit.EventID
	}{
		"all":            {audit.Query{}, ids(near, other, plain)},
		"service":        {audit.Query{Filter: audit.Filter{Service: "consent"}}, ids(other)},
		"action":         {audit.Query{Filter: audit.Filter{Action: "erasure.approve"}}, ids(plain)},
		"noun":           {audit.Query{Filter: audit.Filter{Action: "erasure.*"}}, ids(plain)},
		"kind":           {audit.Query{Filter: audit.Filter{Kind: audit.KindModify}}, ids(near, plain)},
		"outcome":        {audit.Query{Filter: audit.Filter{Outcome: audit.OutcomeDenied}}, ids(other)},
		"actor":          {audit.Query{Filter: audit.Filter{ActorRef: "p-4f1c"}}, ids(near, plain)},
		"resource":       {audit.Query{Filter: audit.Filter{Resource: plain.Resource}}, ids(plain)},
		"trace":          {audit.Query{Filter: audit.Filter{TraceID: near.TraceID()}}, ids(near)},
		"two that fit":   {audit.Query{Filter: audit.Filter{Kind: audit.KindModify, Action: "erasure.approve"}}, ids(plain)},
		"two that clash": {audit.Query{Filter: audit.Filter{Kind: audit.KindDelete, Action: "erasure.approve"}}, nil},
		"subject":        {audit.Query{SubjectRefs: []audit.SubjectRef{"s-x"}}, ids(near)},
		"subjects":       {audit.Query{SubjectRefs: []audit.SubjectRef{"s-1", "s-x"}}, ids(near, plain)},
		"subject, kind":  {audit.Query{SubjectRefs: []audit.SubjectRef{"s-all"}, Filter: audit.Filter{Kind: audit.KindDelete}}, nil},
		"nobody":         {audit.Query{SubjectRefs: []audit.SubjectRef{"s-2"}}, nil},
	} {
		test.query.Controller = "school-a"
		if diff := cmp.Diff(test.want, search(t, s, test.query)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if got := search(t, s, audit.Query{Controller: "school-b", SubjectRefs: []audit.SubjectRef{"s-x"}}); got != nil {
		t.Errorf("another controller's subject was found: %v", got)
	}
}

// searchPagesAreStable pages through entries, many of one time, while new ones come in.
func searchPagesAreStable(t *testing.T, s audit.Index) {
	follow(t, s, Base, Events("school-a", 1, 7)...)
	follow(t, s, Base.Add(time.Second), Events("school-a", 8, 3)...)
	q := audit.Query{Controller: "school-a", Limit: 3}
	var got []audit.EventID
	for page := 0; ; page++ {
		records, err := s.Search(context.Background(), q)
		if err != nil {
			t.Fatal(err)
		}
		if len(records) == 0 {
			break
		}
		for _, r := range records {
			got = append(got, r.ID)
		}
		q.After = audit.CursorOf(records[len(records)-1])
		follow(t, s, Base.Add(time.Second), Event("school-a", 100+page))
	}
	var want []audit.EventID
	for n := 10; n >= 1; n-- {
		want = append(want, Event("school-a", n).ID)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("all pages (-want +got):\n%s", diff)
	}
}

func searchBoundsTimes(t *testing.T, s audit.Index) {
	early, middle, late := Event("school-a", 1), Event("school-a", 2), Event("school-a", 3)
	follow(t, s, Base, early)
	follow(t, s, Base.Add(time.Second), middle)
	follow(t, s, Base.Add(2*time.Second), late)
	for _, test := range []struct {
		start, end time.Time
		want       []audit.EventID
	}{
		{Base.Add(time.Second), time.Time{}, ids(late, middle)},
		{time.Time{}, Base.Add(time.Second), ids(early)},
		{Base.Add(time.Second), Base.Add(2 * time.Second), ids(middle)},
		{Base.Add(time.Second), Base.Add(time.Second), nil},
		{Base.Add(1), Base.Add(time.Second + 1), ids(middle)},
	} {
		got := search(t, s, audit.Query{Controller: "school-a", Start: test.start, End: test.end})
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("from %v to %v (-want +got):\n%s", test.start, test.end, diff)
		}
	}
}

func windowShowsRows(t *testing.T, s audit.Index) {
	events := append(Events("school-a", 1, 3), Event("", 4), Decisions("school-b", 5, 70), Event("school-b", 6))
	follow(t, s, Base, events...)
	rows, err := s.Window(context.Background(), 1, 10)
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 5 {
		t.Fatalf("%d rows, want the 5 from index 1 on", len(rows))
	}
	for i, row := range rows {
		entry, err := audit.ParseLeaf(row.Leaf)
		if err != nil {
			t.Fatal(err)
		}
		if row.Index != uint64(i+1) || entry.ID != events[i+1].ID {
			t.Errorf("row %d: index %d, event %s", i, row.Index, entry.ID)
		}
		if diff := cmp.Diff(audit.KeysOf(entry), row.Keys); diff != "" {
			t.Errorf("row %d: keys (-want +got):\n%s", i, diff)
		}
	}
	if n, err := s.Strays(context.Background()); err != nil || n != 0 {
		t.Errorf("Strays = %d, %v, want none", n, err)
	}
	if rows, err := s.Window(context.Background(), 1, 2); err != nil || len(rows) != 2 {
		t.Errorf("a window of 2 has %d rows (%v)", len(rows), err)
	}
}
