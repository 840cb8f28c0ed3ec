package store

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/libs/sqldb/enginetest"
	"github.com/privacyops/privacyops/services/audit/internal/evidence"
	"github.com/privacyops/privacyops/services/audit/internal/store/storetest"
)

// recorded collects the events of changes.
type recorded struct{ actions []string }

func (r *recorded) Record(_ context.Context, _ sqldb.Tx, e outbox.Event) (string, error) {
	r.actions = append(r.actions, e.Action+" "+string(e.Outcome)+" "+e.Reason)
	return "", nil
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
