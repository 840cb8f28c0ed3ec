package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing" //nolint:depguard // a conformance kit: it is run by the tests of each store
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
	"github.com/privacyops/privacyops/services/audit/internal/monitor"
)

// MonitorStore is all that the monitor needs of a store.
type MonitorStore interface {
	monitor.Store
	monitor.Alerts
	monitor.Deliveries
}

// RunMonitor runs the suite of the monitor's stores. open returns an empty store of its own for each test.
func RunMonitor(t *testing.T, open func(t *testing.T) MonitorStore) {
	for name, test := range map[string]func(*testing.T, MonitorStore){
		"monitoring begins once":         monitoringBegins,
		"what is kept comes back":        keptComesBack,
		"a step is kept whole":           keptWhole,
		"alerts are listed":              alertsAreListed,
		"acknowledging":                  acknowledging,
		"deliveries are due":             deliveriesAreDue,
		"counting on leaves the rest be": countingOn,
		"publication is the longest":     publicationIsTheLongest,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

func alertID(n int) monitor.AlertID {
	return monitor.AlertID(fmt.Sprintf("01980f0e-0000-7000-8000-%012d", n))
}

func alert(n int, c audit.ControllerID) monitor.Alert {
	return monitor.Alert{ID: alertID(n), Controller: c, Rule: monitor.SelfApproval, Severity: monitor.Warning, Summary: monitor.Text{Danish: "Æ", English: "E"},
		Raised: Base.Add(time.Duration(n) * time.Second), Last: Base.Add(time.Duration(n) * time.Second), Count: 1,
		Events: []audit.EventID{Event(c, n).ID}}
}

func load(t *testing.T, s MonitorStore, now time.Time) *monitor.Memory {
	t.Helper()
	m, err := s.Load(context.Background(), now)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func keep(t *testing.T, s MonitorStore, step monitor.Step, to ...string) {
	t.Helper()
	if err := s.Keep(context.Background(), step, func(monitor.Alert) []string { return to }, nil); err != nil {
		t.Fatal(err)
	}
}

func alertsOf(t *testing.T, s MonitorStore, c audit.ControllerID, before monitor.AlertID, limit int) []monitor.Alert {
	t.Helper()
	out, err := s.List(context.Background(), c, before, limit)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func monitoringBegins(t *testing.T, s MonitorStore) {
	if m := load(t, s, Base); m.Cursor != 0 || !m.Since.Equal(Base) {
		t.Errorf("an empty store: %+v", m)
	}
	if m := load(t, s, Base.Add(time.Hour)); !m.Since.Equal(Base) {
		t.Errorf("an hour later monitoring began at %v", m.Since)
	}
}

func keptComesBack(t *testing.T, s MonitorStore) {
	m := load(t, s, Base)
	north, suite := monitor.Group{Rule: monitor.MassExport, Controller: "north"}, monitor.Group{Rule: monitor.ForeignDenials, Who: "usr_1"}
	step := monitor.Step{Cursor: 7, Heads: map[audit.ControllerID]uint64{"north": 3, "": 4}, Groups: map[monitor.Group]monitor.Standing{
		north: {Days: map[int64]int64{20514: 3}},
		suite: {Alert: &monitor.Open{ID: alertID(1), Raised: Base, Last: Base, Count: 6}},
	}}
	keep(t, s, step)
	m.Apply(step)
	heard := map[string]time.Time{"consent": Base, "export": Base.Add(time.Second)}
	if err := s.Hear(context.Background(), map[string]time.Time{"gone": Base}); err != nil {
		t.Fatal(err)
	}
	if err := s.Hear(context.Background(), heard); err != nil {
		t.Fatal(err)
	}
	m.Heard = heard
	unexported := cmp.AllowUnexported(monitor.Standing{})
	if diff := cmp.Diff(m, load(t, s, Base), unexported); diff != "" {
		t.Errorf("the memory (-want +got):\n%s", diff)
	}
	keep(t, s, monitor.Step{Cursor: 9, Heads: map[audit.ControllerID]uint64{"north": 5}, Groups: map[monitor.Group]monitor.Standing{north: {Days: map[int64]int64{20514: 4}}}})
	if err := s.Forget(context.Background(), []monitor.Group{suite}); err != nil {
		t.Fatal(err)
	}
	got := load(t, s, Base)
	if got.Cursor != 9 || got.Heads["north"] != 5 || got.Heads[""] != 4 || len(got.Groups) != 1 || got.Groups[north].Days[20514] != 4 {
		t.Errorf("after the next step: %+v", got)
	}
}

// keptWhole: an alert that is there already refuses its whole step.
func keptWhole(t *testing.T, s MonitorStore) {
	load(t, s, Base)
	keep(t, s, monitor.Step{Cursor: 1, Raised: []monitor.Alert{alert(1, "north")}})
	step := monitor.Step{Cursor: 2, Heads: map[audit.ControllerID]uint64{"north": 9}, Raised: []monitor.Alert{alert(2, "north"), alert(1, "north")}}
	if err := s.Keep(context.Background(), step, func(monitor.Alert) []string { return []string{"ops"} }, nil); err == nil {
		t.Fatal("an alert was kept twice")
	}
	if m := load(t, s, Base); m.Cursor != 1 || len(m.Heads) != 0 || len(alertsOf(t, s, "north", "", 10)) != 1 {
		t.Errorf("part of the step was kept: %+v", m)
	}
}

func alertsAreListed(t *testing.T, s MonitorStore) {
	load(t, s, Base)
	var all []monitor.Alert
	for n := range 5 {
		all = append(all, alert(n, "north"))
	}
	keep(t, s, monitor.Step{Raised: append(all, alert(7, "south"), alert(8, ""))}, "ops", "dpo")
	var got []monitor.Alert
	for before := monitor.AlertID(""); ; before = got[len(got)-1].ID {
		page := alertsOf(t, s, "north", before, 2)
		if got = append(got, page...); len(page) < 2 {
			break
		}
	}
	if len(got) != 5 || got[0].ID != alertID(4) || got[4].ID != alertID(0) {
		t.Fatalf("listed: %+v", got)
	}
	want := all[4]
	for _, webhook := range []string{"dpo", "ops"} {
		want.Deliveries = append(want.Deliveries, monitor.Delivery{Alert: want.ID, Webhook: webhook, State: monitor.Pending, Next: want.Raised})
	}
	if diff := cmp.Diff(want, got[0]); diff != "" {
		t.Errorf("an alert (-want +got):\n%s", diff)
	}
	if suite := alertsOf(t, s, "", "", 10); len(suite) != 1 || suite[0].ID != alertID(8) {
		t.Errorf("the suite's: %+v", suite)
	}
}

func acknowledging(t *testing.T, s MonitorStore) {
	load(t, s, Base)
	keep(t, s, monitor.Step{Raised: []monitor.Alert{alert(1, "north")}})
	ctx := context.Background()
	for name, c := range map[string]audit.ControllerID{"another's": "south", "the suite's": ""} {
		if _, err := s.Acknowledge(ctx, c, alertID(1), "usr_1", "", Base); !errors.Is(err, monitor.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.Acknowledge(ctx, "north", alertID(2), "usr_1", "", Base); !errors.Is(err, monitor.ErrNotFound) {
		t.Errorf("one that is not there: %v", err)
	}
	for _, by := range []string{"usr_1", "usr_2"} {
		a, err := s.Acknowledge(ctx, "north", alertID(1), by, "by "+by, Base.Add(time.Hour))
		if err != nil || a.AcknowledgedBy != "usr_1" || a.Note != "by usr_1" || !a.Acknowledged.Equal(Base.Add(time.Hour)) {
			t.Errorf("by %s: %+v, %v", by, a, err)
		}
	}
	keep(t, s, monitor.Step{Counted: []monitor.Alert{alert(1, "north")}})
	if got := alertsOf(t, s, "north", "", 1); got[0].AcknowledgedBy != "usr_1" {
		t.Errorf("counting on undid it: %+v", got)
	}
}

func countingOn(t *testing.T, s MonitorStore) {
	load(t, s, Base)
	a := alert(1, "north")
	keep(t, s, monitor.Step{Raised: []monitor.Alert{a, alert(2, "north")}})
	a.Count, a.Last, a.Events = 9, Base.Add(time.Hour), append(a.Events, Event("north", 5).ID)
	keep(t, s, monitor.Step{Counted: []monitor.Alert{a}})
	got := alertsOf(t, s, "north", "", 10)
	if diff := cmp.Diff([]monitor.Alert{alert(2, "north"), a}, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("alerts (-want +got):\n%s", diff)
	}
}

func deliveriesAreDue(t *testing.T, s MonitorStore) {
	load(t, s, Base)
	ctx := context.Background()
	keep(t, s, monitor.Step{Raised: []monitor.Alert{alert(2, "north"), alert(1, "")}}, "ops")
	due := func(after time.Duration) []monitor.Outgoing {
		t.Helper()
		out, err := s.Due(ctx, Base.Add(after), 10)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	if got := due(time.Second); len(got) != 1 || got[0].Alert != alertID(1) || got[0].Of.Rule != monitor.SelfApproval || got[0].Webhook != "ops" {
		t.Fatalf("due: %+v", got)
	}
	got := due(time.Minute)
	if len(got) != 2 || got[0].Alert != alertID(1) {
		t.Fatalf("due later: %+v", got)
	}
	first, second := got[0].Delivery, got[1].Delivery
	first.Attempts, first.Next, first.Reason = 1, Base.Add(time.Hour), "HTTP_503"
	second.State, second.Attempts = monitor.Delivered, 1
	for _, d := range []monitor.Delivery{first, second} {
		if err := s.Settle(ctx, d); err != nil {
			t.Fatal(err)
		}
	}
	if got := due(time.Minute); len(got) != 0 {
		t.Errorf("settled ones are due: %+v", got)
	}
	if got := due(time.Hour); len(got) != 1 || got[0].Delivery != first {
		t.Errorf("an hour later: %+v", got)
	}
	if got := alertsOf(t, s, "north", "", 1)[0].Deliveries; len(got) != 1 || got[0] != second {
		t.Errorf("as it is listed: %+v", got)
	}
}

func publicationIsTheLongest(t *testing.T, s MonitorStore) {
	load(t, s, Base)
	ctx := context.Background()
	hour := Base.Unix() / 3600
	for _, seen := range []map[monitor.Published]time.Duration{
		{{Controller: "north", Hour: hour}: 2 * time.Second, {Controller: "south", Hour: hour}: time.Minute},
		{{Controller: "north", Hour: hour}: time.Second, {Controller: "north", Hour: hour + 24}: time.Hour},
	} {
		if err := s.Keep(ctx, monitor.Step{}, func(monitor.Alert) []string { return nil }, seen); err != nil {
			t.Fatal(err)
		}
	}
	r, err := s.Report(ctx, "north", Base.Truncate(time.Hour), Base.Truncate(time.Hour).Add(24*time.Hour))
	if err != nil || r.Longest != 2*time.Second || r.First != 0 || r.Events() != 0 {
		t.Errorf("the report: %+v, %v", r, err)
	}
}
