package store

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/libs/sqldb/enginetest"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
	"github.com/privacyops/privacyops/services/audit/internal/monitor"
	"github.com/privacyops/privacyops/services/audit/internal/store/storetest"
)

// unrecorded takes events and forgets them; that they are written is tested with the service.
type unrecorded struct{}

func (unrecorded) Record(context.Context, sqldb.Tx, outbox.Event) (string, error) { return "", nil }

func TestMonitorConformance(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		storetest.RunMonitor(t, func(t *testing.T) storetest.MonitorStore {
			_, db := open(t, engine)
			return NewMonitor(db, unrecorded{})
		})
	})
}

// TestReport counts a day, and nothing of the days beside it or of another controller.
func TestReport(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		s, db := open(t, engine)
		ctx := context.Background()
		start := storetest.Base.Truncate(24 * time.Hour)
		var entries []audit.Placed
		sequences := map[audit.ControllerID]uint64{}
		add := func(at time.Time, e audit.Event) {
			sequences[e.Controller]++
			leaf, err := (audit.Entry{Event: e, ReceivedTime: at, ControllerSequence: sequences[e.Controller]}).Leaf()
			if err != nil {
				t.Fatal(err)
			}
			placed, err := audit.PlacedLeaf(uint64(len(entries)), leaf)
			if err != nil {
				t.Fatal(err)
			}
			entries = append(entries, placed)
		}
		n := 0
		event := func(c audit.ControllerID, action string, kind audit.Kind, outcome audit.Outcome) audit.Event {
			n++
			e := storetest.Event(c, n)
			e.Action, e.Kind, e.Outcome = action, kind, outcome
			return e
		}
		add(start.Add(-time.Microsecond), event("north", "erasure.approve", audit.KindModify, audit.OutcomeOK))
		add(start, event("north", "erasure.approve", audit.KindModify, audit.OutcomeOK))
		add(start, event("north", "erasure.approve", audit.KindModify, audit.OutcomeDenied))
		add(start, event("south", "erasure.approve", audit.KindModify, audit.OutcomeOK))
		add(start.Add(time.Hour), event("", "audit.verify", audit.KindAuditRead, audit.OutcomeOK))
		add(start.Add(time.Hour), event("", "audit.verify", audit.KindAuditRead, audit.OutcomeFailed))
		add(start.Add(2*time.Hour), storetest.Decisions("north", 100, 7))
		add(start.Add(23*time.Hour), event("north", "erasure.approve", audit.KindModify, audit.OutcomeOK))
		add(start.Add(24*time.Hour), event("north", "erasure.approve", audit.KindModify, audit.OutcomeOK))
		if err := s.Add(ctx, entries); err != nil {
			t.Fatal(err)
		}
		m := NewMonitor(db, unrecorded{})
		if _, err := m.Load(ctx, start); err != nil {
			t.Fatal(err)
		}
		got, err := m.Report(ctx, "north", start, start.Add(24*time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		want := monitor.Report{First: 2, Last: 5, Verifications: 1, FailedVerifications: 1, Counts: []monitor.Count{
			{Kind: audit.KindDecision, Action: "legal_basis.check", Outcome: audit.OutcomeOK, Count: 7},
			{Kind: audit.KindModify, Action: "erasure.approve", Outcome: audit.OutcomeOK, Count: 2},
			{Kind: audit.KindModify, Action: "erasure.approve", Outcome: audit.OutcomeDenied, Count: 1},
		}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the report (-want +got):\n%s", diff)
		}
		if got.Events() != 10 {
			t.Errorf("%d events, want 10", got.Events())
		}
	})
}
