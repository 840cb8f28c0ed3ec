package store

import (
	"context"
	"testing"
	"time"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/libs/sqldb/enginetest"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
	"github.com/privacyops/privacyops/services/audit/internal/monitor"
	"github.com/privacyops/privacyops/services/audit/internal/store/storetest"
)

// TestAcknowledgingIsRecorded: the event of an acknowledgement tells by digests what the alert was before and is now, for a controller's
// alert and for the suite's; a second acknowledgement changes nothing, and counting on between the two is no change of that kind.
func TestAcknowledgingIsRecorded(t *testing.T) {
	t.Parallel()
	enginetest.Each(t, func(t *testing.T, engine sqldb.Engine) {
		_, db := open(t, engine)
		events := &recorded{}
		s := NewMonitor(db, events)
		ctx := context.Background()
		if _, err := s.Load(ctx, storetest.Base); err != nil {
			t.Fatal(err)
		}
		for i, c := range []audit.ControllerID{"north", ""} {
			a := monitor.Alert{ID: monitor.AlertID("01980f0e-0000-7000-8000-00000000000" + string(rune('1'+i))), Controller: c, Rule: monitor.SelfApproval,
				Severity: monitor.Warning, Raised: storetest.Base, Last: storetest.Base, Count: 1, Events: []audit.EventID{storetest.Event(c, i+1).ID}}
			step := monitor.Step{Raised: []monitor.Alert{a}}
			if err := s.Keep(ctx, step, func(monitor.Alert) []string { return []string{"hook"} }, nil); err != nil {
				t.Fatal(err)
			}
			raised := a.Recorded()
			a.Count, a.Last = 9, storetest.Base.Add(time.Minute)
			if err := s.Keep(ctx, monitor.Step{Counted: []monitor.Alert{a}}, func(monitor.Alert) []string { return nil }, nil); err != nil {
				t.Fatal(err)
			}
			events.events = nil
			for range 2 {
				if _, err := s.Acknowledge(ctx, c, a.ID, "usr_1", "seen", storetest.Base.Add(time.Hour)); err != nil {
					t.Fatal(err)
				}
			}
			if len(events.events) != 1 || events.events[0].Resource != a.Name() {
				t.Fatalf("events of %s: %+v", a.Name(), events.events)
			}
			events.chained(t, raised)
		}
	})
}
