package store

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/libs/sqldb/enginetest"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
	"github.com/privacyops/privacyops/services/audit/internal/evidence"
	"github.com/privacyops/privacyops/services/audit/internal/keys"
	"github.com/privacyops/privacyops/services/audit/internal/store/storetest"
)

// recorded collects the events of changes.
type recorded struct {
	actions []string
	events  []outbox.Event
}

func (r *recorded) Record(_ context.Context, _ sqldb.Tx, e outbox.Event) (string, error) {
	r.actions, r.events = append(r.actions, e.Action+" "+string(e.Outcome)+" "+e.Reason), append(r.events, e)
	return "", nil
}

// chained checks that each event begins with what the one before it ended with, the first one with what is given, and changes it.
func (r *recorded) chained(t *testing.T, from any) {
	t.Helper()
	for _, e := range r.events {
		if before := asJSON(t, e.Before); before != asJSON(t, from) || before == asJSON(t, e.After) {
			t.Errorf("%s begins with %s and ends with %s; it was %s", e.Action, before, asJSON(t, e.After), asJSON(t, from))
		}
		from = e.After
	}
}

// asJSON is a state as its digest has it.
func asJSON(t *testing.T, state any) string {
	t.Helper()
	text, err := json.Marshal(state)
	if err != nil || state == nil {
		t.Errorf("a state that has no digest: %v, %v", state, err)
	}
	return string(text)
}

// TestEvidence follows evidence from its request to its end, on both engines.
func TestEvidence(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, evidenceLives)
}

func evidenceLives(t *testing.T, engine sqldb.Engine) {
	_, db := open(t, engine)
	ctx, events := context.Background(), &recorded{}
	s := NewEvidence(db, events)
	now := storetest.Base.Add(time.Hour)
	ref := evidence.Ref{Controller: "school-a", ID: "0190d3c0-0000-7000-8000-000000000001"}
	e, err := evidence.New(ref, storetest.Base, now, "en", now)
	if err != nil {
		t.Fatal(err)
	}
	done := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	done("insert", db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error { return s.Insert(ctx, tx, e) }))
	if _, err := s.Get(ctx, evidence.Ref{Controller: "school-b", ID: ref.ID}); !errors.Is(err, evidence.ErrMissing) {
		t.Errorf("another controller's: %v", err)
	}
	created := e.Recorded()
	done("begin", s.Begin(ctx, ref, 7, "file-1"))
	done("progress", s.Progress(ctx, ref, 3))
	if found, err := s.Refers(ctx, "file-1"); err != nil || !found {
		t.Errorf("its file: %v, %v", found, err)
	}
	e.State, e.Events, e.Total, e.Expires = evidence.Ready, 7, 7, now.Add(evidence.Keep)
	e.Package = &evidence.Package{File: "file-1", SHA256: "ab", Size: 9, Key: []byte{1}, Secret: []byte{2}}
	done("finish", s.Finish(ctx, e))
	if err := s.Finish(ctx, e); !errors.Is(err, evidence.ErrEnded) {
		t.Errorf("finished twice: %v", err)
	}
	got, err := s.Get(ctx, ref)
	done("get", err)
	if diff := cmp.Diff(e, got); diff != "" {
		t.Errorf("it is stored otherwise:\n%s", diff)
	}
	if due, err := s.Due(ctx, now, 10); err != nil || len(due) != 0 {
		t.Errorf("due too early: %v, %v", due, err)
	}
	due, err := s.Due(ctx, now.Add(evidence.Keep), 10)
	done("due", err)
	if len(due) != 1 {
		t.Fatalf("%d due", len(due))
	}
	done("expire", s.Expire(ctx, due[0]))
	if got, err = s.Get(ctx, ref); err != nil || got.State != evidence.Expired || got.Package != nil {
		t.Errorf("after its end: %+v, %v", got, err)
	}
	if found, _ := s.Refers(ctx, "file-1"); found {
		t.Error("an expired package keeps its file")
	}
	if list, err := s.List(ctx, "school-a", "", 10); err != nil || len(list) != 1 {
		t.Errorf("listed: %v, %v", list, err)
	}
	if diff := cmp.Diff([]string{"evidence.gather  ", "evidence.expire  "}, events.actions); diff != "" {
		t.Errorf("events:\n%s", diff)
	}
	events.chained(t, created)
	for _, e := range events.events {
		for _, secret := range []string{"Key", "Secret", "AQ==", "Ag=="} {
			if strings.Contains(asJSON(t, e.After)+asJSON(t, e.Before), secret) {
				t.Errorf("the state that %s tells of holds a key: %v", e.Action, e.After)
			}
		}
	}
}

// TestEntriesOfAPeriod finds the entries of a period and those at its two sides.
func TestEntriesOfAPeriod(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		s, db := open(t, engine)
		ctx := context.Background()
		for n := range 5 { // an entry of each controller an hour, and one of decisions
			if _, err := storetest.Follow(ctx, s, storetest.Base.Add(time.Duration(n)*time.Hour), storetest.Event("school-a", 10*n+1), storetest.Event("school-b", 10*n+2), storetest.Decisions("school-a", 10*n+3, 10*n+6)); err != nil {
				t.Fatal(err)
			}
		}
		entries := NewEntries(db)
		span, err := entries.Span(ctx, "school-a", storetest.Base.Add(time.Hour), storetest.Base.Add(3*time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		if span.Before.Number != 2 || span.After != 7 || span.Events < 4 {
			t.Errorf("%+v", span)
		}
		var numbers []uint64
		at := span.Before
		for at.Number < span.After {
			page, err := entries.Following(ctx, "school-a", at, 2)
			if err != nil || len(page) == 0 {
				t.Fatal(page, err)
			}
			for _, e := range page {
				numbers, at = append(numbers, e.Number), e.Cursor
			}
		}
		if diff := cmp.Diff([]uint64{3, 4, 5, 6, 7, 8}, numbers); diff != "" {
			t.Error(diff)
		}
		if span, err := entries.Span(ctx, "school-a", storetest.Base.Add(-time.Hour), storetest.Base.Add(30*time.Hour)); err != nil || span.Before.Number != 0 || span.After != 0 {
			t.Errorf("a period that has not ended: %+v, %v", span, err)
		}
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// destruction is the entry of a destruction of keys.
func destruction(n int, detail map[string]string) audit.Event {
	e := storetest.Event("school-a", n)
	e.Action, e.Kind, e.SubjectRefs, e.Detail = keys.DestroyAction, audit.KindKeyUse, nil, detail
	return e
}

// TestKeysTakePackagesAlong: when keys are destroyed, the packages go that have what is sealed under them, and no others.
func TestKeysTakePackagesAlong(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		index, db := open(t, engine)
		ctx, s, base := context.Background(), NewEvidence(db, &recorded{}), storetest.Base
		ada, bob := audit.KeyID{1}, audit.KeyID{2}
		day := func(n int) time.Time { return base.AddDate(0, 0, n) }
		follow := func(at time.Time, events ...audit.Event) {
			t.Helper()
			if _, err := storetest.Follow(ctx, index, at, events...); err != nil {
				t.Fatal(err)
			}
		}
		named := func(n int, id audit.KeyID) audit.Event {
			e := storetest.Event("school-a", n)
			e.SubjectRefs = nil
			return e.Sealing([]audit.KeyID{id}, make([]byte, 4*audit.MinSealed))
		}
		follow(day(1), named(1, ada))
		follow(day(2), named(2, bob), storetest.Decisions("school-a", 3, 4))
		follow(day(4), storetest.Event("school-a", 4)) // the one behind the periods
		packages := map[string][2]int{"first": {1, 2}, "second": {2, 3}, "both": {1, 3}}
		now := day(5)
		for name, days := range packages {
			e, err := evidence.New(evidence.Ref{Controller: "school-a", ID: evidence.ID(name)}, day(days[0]), day(days[1]), "da", now)
			must(t, err)
			must(t, db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error { return s.Insert(ctx, tx, e) }))
			span, err := NewEntries(db).Span(ctx, "school-a", e.Start, e.End)
			must(t, err)
			e.State, e.Total, e.Events, e.Expires = evidence.Ready, span.Events, span.Events, now.Add(evidence.Keep)
			e.Package = &evidence.Package{File: evidence.FileID(name), SHA256: "ab", Size: 9, Key: []byte{1}, Secret: []byte{2}}
			must(t, s.Finish(ctx, e))
		}
		due := func(s *Evidence) (names []string) {
			t.Helper()
			found, err := s.Due(ctx, now, 10)
			must(t, err)
			for _, e := range found {
				if names = append(names, string(e.ID)); e.Reason != evidence.ReasonKeysDestroyed {
					t.Errorf("%s goes because of %q", e.ID, e.Reason)
				}
			}
			slices.Sort(names)
			return names
		}
		step := func(what string, want []string, events ...audit.Event) {
			t.Helper()
			now = now.Add(time.Hour)
			follow(now, events...)
			for range 2 { // asked again, it is due until it is gone
				if got := due(s); !slices.Equal(got, want) {
					t.Errorf("%s: %v go, want %v", what, got, want)
				}
			}
			if got := due(NewEvidence(db, &recorded{})); !slices.Equal(got, want) { // a start begins anew
				t.Errorf("%s, after a start: %v go, want %v", what, got, want)
			}
		}
		step("nothing is destroyed", nil, storetest.Event("school-a", 9))
		step("somebody's whom no package names", nil, destruction(10, map[string]string{"scope": "SUBJECT", "keys.1": audit.KeyID{77}.String()}))
		step("Ada's", []string{"both", "first"}, destruction(11, map[string]string{"scope": "SUBJECT", "keys.1": audit.KeyID{88}.String() + "," + ada.String()}))
		for _, name := range []string{"both", "first"} {
			must(t, s.Expire(ctx, &evidence.Evidence{Ref: evidence.Ref{Controller: "school-a", ID: evidence.ID(name)}, Reason: evidence.ReasonKeysDestroyed}))
		}
		step("no more", nil, storetest.Event("school-a", 12))
		other := destruction(13, map[string]string{"scope": "CONTROLLER"})
		other.Controller = "school-b"
		step("another school's", nil, other)
		step("the school's", []string{"second"}, destruction(14, map[string]string{"scope": "CONTROLLER"}))
	})
}

// TestUnsureTakesPackagesAlong: where the index has not all of a package's period any more, or a destruction says nothing that can be
// read, the package goes.
func TestUnsureTakesPackagesAlong(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		total  int64
		detail map[string]string
		want   int
	}{
		"nobody's":          {1, map[string]string{"scope": "SUBJECT", "keys.1": audit.KeyID{7}.String()}, 0},
		"entries have left": {2, map[string]string{"scope": "SUBJECT", "keys.1": audit.KeyID{7}.String()}, 1},
		"not readable":      {1, map[string]string{"scope": "SUBJECT", "keys.1": "no-key"}, 1},
	} {
		index, db := open(t, sqldb.SQLite)
		ctx, s, base := context.Background(), NewEvidence(db, &recorded{}), storetest.Base
		e, err := evidence.New(evidence.Ref{Controller: "school-a", ID: "x"}, base, base.AddDate(0, 0, 1), "da", base.AddDate(0, 0, 2))
		must(t, err)
		must(t, db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error { return s.Insert(ctx, tx, e) }))
		e.State, e.Total, e.Expires, e.Package = evidence.Ready, c.total, base.AddDate(0, 1, 0), &evidence.Package{File: "x", Key: []byte{1}, Secret: []byte{2}}
		must(t, s.Finish(ctx, e))
		for n, at := range []time.Time{base, base.AddDate(0, 0, 3)} {
			event := storetest.Event("school-a", 1)
			if n == 1 {
				event = destruction(2, c.detail)
			}
			if _, err := storetest.Follow(ctx, index, at, event); err != nil {
				t.Fatal(err)
			}
		}
		if due, err := s.Due(ctx, base.AddDate(0, 0, 3), 10); err != nil || len(due) != c.want {
			t.Errorf("%s: %v, %v", what, due, err)
		}
	}
}
