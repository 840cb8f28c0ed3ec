package storetest

import (
	"context"
	"testing" //nolint:depguard // a conformance kit: it is run by the tests of each store
	"time"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

// Run runs the suite. open returns an empty store of its own for each test.
func Run(t *testing.T, open func(t *testing.T) audit.Store) {
	for name, test := range map[string]func(*testing.T, audit.Store){
		"accept stamps and numbers":         acceptStampsAndNumbers,
		"accept never runs backwards":       acceptNeverRunsBackwards,
		"a known event counts once":         knownEventCountsOnce,
		"a known id with other content":     knownIDWithOtherContent,
		"accept is all or nothing":          acceptIsAllOrNothing,
		"concurrent accepts":                concurrentAccepts,
		"the queue is in order":             queueIsInOrder,
		"placing":                           placing,
		"placing what cannot be":            placingWhatCannotBe,
		"adopting":                          adopting,
		"adopting what cannot be":           adoptingWhatCannotBe,
		"get is by controller":              getIsByController,
		"search filters":                    searchFilters,
		"search pages are stable":           searchPagesAreStable,
		"search bounds times":               searchBoundsTimes,
		"the window shows rows as they are": windowShowsRows,
		"backlog":                           backlog,
		"decisions are events":              decisionsAreEvents,
		"decisions by id":                   decisionsByID,
		"batches count once":                batchesCountOnce,
		"batches are adopted":               batchesAreAdopted,
		"search is a list":                  searchIsAList,
		"search goes on":                    searchGoesOn,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func accept(t *testing.T, s audit.Store, now time.Time, events ...audit.Event) []audit.Receipt {
	t.Helper()
	receipts, err := s.Accept(context.Background(), now, events)
	if err != nil {
		t.Fatalf("Accept: %v", err)
	}
	if len(receipts) != len(events) {
		t.Fatalf("Accept: %d receipts for %d events", len(receipts), len(events))
	}
	return receipts
}

func pending(t *testing.T, s audit.Store, limit int) []audit.EventID {
	t.Helper()
	queued, err := s.Pending(context.Background(), limit)
	if err != nil {
		t.Fatalf("Pending: %v", err)
	}
	var ids []audit.EventID
	for _, q := range queued {
		ids = append(ids, q.ID)
	}
	return ids
}

func search(t *testing.T, s audit.Store, q audit.Query) []audit.EventID {
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

func place(t *testing.T, s audit.Store, first uint64, ids ...audit.EventID) {
	t.Helper()
	placements := make([]audit.Placement, len(ids))
	for i, id := range ids {
		placements[i] = audit.Placement{ID: id, Index: first + uint64(i)}
	}
	if err := s.Place(context.Background(), placements); err != nil {
		t.Fatalf("Place: %v", err)
	}
}
