package storetest

import (
	"context"
	"testing" //nolint:depguard // a conformance kit: it is run by the tests of each store
	"time"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

// Run runs the suite. open returns an empty store of its own for each test.
func Run(t *testing.T, open func(t *testing.T) audit.Index) {
	for name, test := range map[string]func(*testing.T, audit.Index){
		"adding runs on":                    addingRunsOn,
		"adding what cannot be":             addingWhatCannotBe,
		"known events":                      knownEvents,
		"get is by controller":              getIsByController,
		"search filters":                    searchFilters,
		"search pages are stable":           searchPagesAreStable,
		"search bounds times":               searchBoundsTimes,
		"the window shows rows as they are": windowShowsRows,
		"decisions are events":              decisionsAreEvents,
		"decisions by id":                   decisionsByID,
		"batches have few rows":             batchesHaveFewRows,
		"search is a list":                  searchIsAList,
		"search goes on":                    searchGoesOn,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func follow(t *testing.T, s audit.Index, now time.Time, events ...audit.Event) []audit.Placed {
	t.Helper()
	placed, err := Follow(context.Background(), s, now, events...)
	if err != nil {
		t.Fatalf("Add: %v", err)
	}
	return placed
}

func search(t *testing.T, s audit.Index, q audit.Query) []audit.EventID {
	t.Helper()
	if q.Limit == 0 {
		q.Limit = 1000
	}
	records, err := s.Search(context.Background(), q)
	if err != nil {
		t.Fatalf("Search: %v", err)
	}
	var ids []audit.EventID
	for _, r := range records {
		ids = append(ids, r.ID)
	}
	return ids
}

func ids(events ...audit.Event) []audit.EventID {
	var out []audit.EventID
	for _, e := range events {
		out = append(out, e.ID)
	}
	return out
}
