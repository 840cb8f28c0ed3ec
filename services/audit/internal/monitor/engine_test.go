package monitor

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

var base = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// stream is a log in the making, and a monitor on it.
type stream struct {
	engine *Engine
	memory *Memory
	next   Position
	heads  map[audit.ControllerID]uint64
	alerts map[AlertID]Alert
	order  []AlertID
}

func newStream(rules []Rule) *stream {
	n := 0
	return &stream{heads: map[audit.ControllerID]uint64{}, alerts: map[AlertID]Alert{}, memory: newMemory(),
		engine: NewEngine(rules, func() string { n++; return fmt.Sprintf("alert-%03d", n) })}
}

func newMemory() *Memory {
	return &Memory{Since: base.Add(-time.Hour), Groups: map[Group]Standing{}, Heads: map[audit.ControllerID]uint64{}, Heard: map[string]time.Time{}}
}

// entry is what happened, as a whole minute's offset from base and whatever a test says besides.
func (s *stream) entry(o Observation) Entry {
	s.next++
	s.heads[o.Controller]++
	id := o.ID
	if id == "" {
		id = audit.EventID(fmt.Sprintf("event-%04d", s.next))
	}
	return Entry{Position: s.next, Entry: audit.Entry{ReceivedTime: o.Time, ControllerSequence: s.heads[o.Controller], Event: audit.Event{
		ID: id, Controller: o.Controller, Service: o.Service, Actor: audit.Actor{Ref: o.Actor}, Action: o.Action, Kind: o.Kind,
		Outcome: o.Outcome, Reason: o.Reason, Detail: o.Detail, OccurredTime: o.Time}}}
}

func (s *stream) judge(entries []Entry, signals ...Observation) Step {
	step := s.engine.Judge(s.memory, entries, signals)
	s.memory.Apply(step)
	for _, a := range append(slices.Clone(step.Raised), step.Counted...) {
		if _, known := s.alerts[a.ID]; !known {
			s.order = append(s.order, a.ID)
		}
		s.alerts[a.ID] = a
	}
	return step
}

func (s *stream) see(o ...Observation) {
	for _, one := range o {
		s.judge([]Entry{s.entry(one)})
	}
}

// raised are the alerts of a rule, in the order of their raising.
func (s *stream) raised(rule string) (out []Alert) {
	for _, id := range s.order {
		if a := s.alerts[id]; a.Rule == rule {
			out = append(out, a)
		}
	}
	return out
}

// example is an observation that a rule is about, at a time.
func example(rule string, at time.Time) (o Observation, isSignal bool) {
	o = Observation{Controller: "north", Service: "erasure", Actor: "usr_1", Outcome: audit.OutcomeOK, Kind: audit.KindModify, Time: at}
	switch rule {
	case ForeignDenials:
		o.Controller, o.Action, o.Outcome, o.Reason = "", "consent.search", audit.OutcomeDenied, "CONTROLLER_NOT_REACHED"
	case MassExport:
		o.Action, o.Kind = "export.download", audit.KindExport
	case SelfApproval:
		o.Action, o.Outcome, o.Reason = "erasure.approve", audit.OutcomeDenied, "OWN_REQUEST"
	case VerificationFailed:
		o.Controller, o.Action, o.Outcome, o.Reason = "", "audit.verify", audit.OutcomeFailed, "LOG_CONTRADICTED"
	case PublicationLag:
		return Observation{Action: SignalLag, Outcome: audit.OutcomeFailed, Time: at}, true
	case StuckRequest:
		o.Action, o.Outcome, o.Reason = "erasure.overdue", audit.OutcomeFailed, "OVERDUE"
	case LedgerReplay:
		o.Action = "ledger.replay"
	case BreakGlass:
		o.Action, o.Kind = "maintenance.move", audit.KindAdmin
	case LogGap:
		return Observation{Service: "consent", Action: SignalSilent, Outcome: audit.OutcomeFailed, Time: at}, true
	case ClockSkew:
		return Observation{Service: "consent", Action: SignalSkew, Outcome: audit.OutcomeFailed, Time: at}, true
	case KeyAfterShred:
		o.Action, o.Kind, o.Detail = "roster.import", audit.KindCreate, map[string]string{"erasedBefore": "1"}
	case RateLimitStorm:
		o.Controller, o.Action, o.Outcome, o.Reason = "", "rate_limit.storm", audit.OutcomeDenied, "RATE_LIMITED"
	}
	return o, false
}

// provoke gives a stream what a rule is about, n times, a second apart.
func provoke(s *stream, rule string, n int, at time.Time) {
	for i := range n {
		o, isSignal := example(rule, at.Add(time.Duration(i)*time.Second))
		if isSignal {
			s.judge(nil, o)
			continue
		}
		s.see(o)
	}
}

// enough is how many of a rule's events raise an alert.
func enough(r Rule) int {
	if r.Statistic != nil {
		return int(r.Statistic.Floor) + 1
	}
	return r.Over + 1
}

// TestEachRule fires each of the twelve at its border, and not one event before; raises once, and again when its quiet time is over.
// A rule that is switched off fails here, and so does one that no other test knows.
func TestEachRule(t *testing.T) {
	t.Parallel()
	if n := len(Rules()); n != 12 {
		t.Fatalf("there are %d rules, want the twelve of L.5", n)
	}
	for _, r := range Rules() {
		t.Run(r.Name, func(t *testing.T) {
			t.Parallel()
			s, n := newStream(Rules()), enough(r)
			provoke(s, r.Name, n-1, base)
			if got := s.raised(r.Name); len(got) != 0 {
				t.Fatalf("raised by %d: %+v", n-1, got)
			}
			provoke(s, r.Name, 1, base.Add(time.Duration(n-1)*time.Second))
			got := s.raised(r.Name)
			if len(got) != 1 || got[0].Count != int64(n) || got[0].Severity != r.Severity || got[0].Summary.Danish == "" || got[0].Summary.English == "" {
				t.Fatalf("after %d: %+v", n, got)
			}
			provoke(s, r.Name, 3, base.Add(time.Duration(n)*time.Second))
			if got := s.raised(r.Name); len(got) != 1 || got[0].Count != int64(n)+3 || !got[0].Last.After(got[0].Raised) {
				t.Errorf("three more: %+v", got)
			}
			provoke(s, r.Name, n, base.Add(r.Quiet+time.Hour))
			if got := s.raised(r.Name); len(got) != 2 || got[1].Count != int64(n) {
				t.Errorf("after the quiet time: %+v", got)
			}
			if len(s.order) != 2 {
				t.Errorf("other rules raised as well: %+v", s.alerts)
			}
		})
	}
}

// TestWithoutTheRule is the sabotage of the test above: what a rule is about raises nothing where the rule is not there.
func TestWithoutTheRule(t *testing.T) {
	t.Parallel()
	for i, r := range Rules() {
		s := newStream(slices.Delete(Rules(), i, i+1))
		provoke(s, r.Name, enough(r)+3, base)
		if len(s.order) != 0 {
			t.Errorf("without %s: %+v", r.Name, s.alerts)
		}
	}
}

func TestWindowBorder(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		last time.Duration // the sixth one's distance from the first
		want int
	}{"within the minute": {time.Minute - time.Microsecond, 1}, "a minute later": {time.Minute, 0}} {
		s := newStream(Rules())
		for range 5 {
			o, _ := example(ForeignDenials, base)
			s.see(o)
		}
		o, _ := example(ForeignDenials, base.Add(tc.last))
		s.see(o)
		if got := len(s.raised(ForeignDenials)); got != tc.want {
			t.Errorf("%s: %d alerts, want %d", name, got, tc.want)
		}
	}
}

// TestGroups: what one does is not counted for another.
func TestGroups(t *testing.T) {
	t.Parallel()
	s := newStream(Rules())
	for i := range 12 {
		o, _ := example(ForeignDenials, base.Add(time.Duration(i)*time.Second))
		o.Actor = fmt.Sprint("usr_", i%3) // four each
		s.see(o)
	}
	for i := range 50 {
		o, _ := example(MassExport, base.Add(time.Minute))
		o.Controller = audit.ControllerID(fmt.Sprint("school-", i%2)) // 25 each, which is the floor
		s.see(o)
	}
	if len(s.order) != 0 {
		t.Fatalf("raised: %+v", s.alerts)
	}
	o, _ := example(MassExport, base.Add(2*time.Minute))
	o.Controller = "school-1"
	s.see(o)
	if got := s.raised(MassExport); len(got) != 1 || got[0].Controller != "school-1" {
		t.Errorf("raised: %+v", got)
	}
}

// TestMassExportKnowsTheController: who exports much every day is not told of, until it is much more than on other days.
func TestMassExportKnowsTheController(t *testing.T) {
	t.Parallel()
	s := newStream(Rules())
	s.memory.Since = base.AddDate(0, 0, 30) // the days before are learned from
	for d := range 30 {
		for i := range 100 + 10*(d%3) { // mean 110, sigma 8.2
			o, _ := example(MassExport, base.AddDate(0, 0, d).Add(time.Duration(i)*time.Second))
			s.see(o)
		}
	}
	today := base.AddDate(0, 0, 30)
	provoke(s, MassExport, 134, today)
	if got := s.raised(MassExport); len(got) != 0 {
		t.Fatalf("134 after days of 100 to 120: %+v", got)
	}
	provoke(s, MassExport, 1, today.Add(time.Hour))
	if got := s.raised(MassExport); len(got) != 1 || got[0].Count != 135 {
		t.Errorf("135 after days of 100 to 120: %+v", got)
	}
}

func TestHistoryRaisesNothing(t *testing.T) {
	t.Parallel()
	s := newStream(Rules())
	s.memory.Since = base.Add(time.Hour)
	for _, r := range Rules() {
		provoke(s, r.Name, enough(r), base)
	}
	if len(s.order) != 0 {
		t.Errorf("what was before monitoring began raised %+v", s.alerts)
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	entry := func(s *stream, c audit.ControllerID, number uint64, at time.Time) Entry {
		e := s.entry(Observation{Controller: c, Action: "controller.get", Outcome: audit.OutcomeOK, Kind: audit.KindView, Time: at})
		e.ControllerSequence = number
		return e
	}
	for name, tc := range map[string]struct {
		numbers []uint64
		at      time.Time
		want    int
	}{
		"none missing":            {[]uint64{1, 2, 3}, base, 0},
		"one missing":             {[]uint64{1, 3}, base, 1},
		"the first missing":       {[]uint64{2}, base, 1},
		"retired before":          {[]uint64{500, 501}, base.Add(-2 * time.Hour), 0},
		"the same one once again": {[]uint64{1, 2, 2}, base, 0},
	} {
		s := newStream(Rules())
		for _, n := range tc.numbers {
			s.judge([]Entry{entry(s, "north", n, tc.at)})
		}
		s.judge([]Entry{entry(s, "south", 1, base)})
		if got := s.raised(LogGap); len(got) != tc.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestClockAhead(t *testing.T) {
	t.Parallel()
	for ahead, want := range map[time.Duration]int{time.Minute: 0, time.Minute + time.Microsecond: 1, -time.Hour: 0} {
		s := newStream(Rules())
		e := s.entry(Observation{Controller: "north", Service: "consent", Action: "consent.give", Outcome: audit.OutcomeOK, Time: base})
		e.OccurredTime = base.Add(ahead)
		s.judge([]Entry{e})
		got := s.raised(ClockSkew)
		if len(got) != want {
			t.Errorf("%v ahead: %+v", ahead, got)
		}
		if want > 0 && got[0].Summary.English != "The clock of the service consent is wrong by more than a minute. Repair the machine's time synchronisation." {
			t.Errorf("the summary names nobody: %q", got[0].Summary.English)
		}
	}
}

// TestNoRecursion: looking after alerts raises none, even with a rule that is about everything; a refused attempt at it does.
func TestNoRecursion(t *testing.T) {
	t.Parallel()
	all := []Rule{{Name: "all", Severity: Notice, By: Together, When: []Match{{}}}}
	s := newStream(all)
	s.see(Observation{Action: "alert.list", Outcome: audit.OutcomeOK, Time: base}, Observation{Action: "alert.acknowledge", Outcome: audit.OutcomeOK, Time: base})
	if len(s.order) != 0 {
		t.Errorf("raised: %+v", s.alerts)
	}
	s.see(Observation{Action: "alert.list", Outcome: audit.OutcomeDenied, Time: base})
	if len(s.order) != 1 {
		t.Errorf("a refused look at alerts raised %+v", s.alerts)
	}
}

// TestOrderDoesNotMatter: the log puts events of one moment in some order, and cuts them into steps somewhere. Neither changes what is
// raised; neither does a restart between steps; and an entry that is shown again counts once.
func TestOrderDoesNotMatter(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		var events []Observation
		at := base
		for i := range rapid.IntRange(1, 60).Draw(r, "events") {
			at = at.Add(rapid.SampledFrom([]time.Duration{0, 0, 0, time.Second, 20 * time.Second, time.Hour}).Draw(r, "pause"))
			rule := rapid.SampledFrom([]string{ForeignDenials, ForeignDenials, MassExport, SelfApproval, StuckRequest}).Draw(r, "rule")
			o, _ := example(rule, at)
			o.ID, o.Actor = audit.EventID(fmt.Sprintf("event-%04d", i)), rapid.SampledFrom([]string{"usr_1", "usr_2"}).Draw(r, "actor")
			events = append(events, o)
		}
		mixed := slices.Clone(events)
		for i := 0; i < len(mixed); {
			j := i
			for j < len(mixed) && mixed[j].Time.Equal(mixed[i].Time) {
				j++
			}
			copy(mixed[i:j], rapid.Permutation(slices.Clone(mixed[i:j])).Draw(r, "order"))
			i = j
		}
		want, got := newStream(Rules()), newStream(Rules())
		want.see(events...)
		var entries []Entry
		for _, o := range mixed {
			entries = append(entries, got.entry(o))
		}
		for from := 0; from < len(entries); {
			to := min(len(entries), from+rapid.IntRange(1, 20).Draw(r, "step"))
			got.judge(entries[max(0, from-3):to]) // some are shown again
			from = to
			got.memory = restarted(r, got.memory)
		}
		ignore := cmpopts.IgnoreFields(Alert{}, "ID")
		byTime := cmpopts.SortSlices(func(a, b Alert) bool {
			return fmt.Sprint(a.Rule, a.Summary, a.Raised) < fmt.Sprint(b.Rule, b.Summary, b.Raised)
		})
		if diff := cmp.Diff(slices.Collect(maps.Values(want.alerts)), slices.Collect(maps.Values(got.alerts)), ignore, byTime); diff != "" {
			r.Fatalf("another order raises otherwise (-want +got):\n%s", diff)
		}
	})
}

// restarted is a memory as it comes back from a store.
func restarted(r *rapid.T, m *Memory) *Memory {
	out := &Memory{Cursor: m.Cursor, Since: m.Since, Groups: map[Group]Standing{}, Heads: maps.Clone(m.Heads), Heard: m.Heard}
	for g, st := range m.Groups {
		text, err := json.Marshal(st)
		if err != nil {
			r.Fatal(err)
		}
		var back Standing
		if err := json.Unmarshal(text, &back); err != nil {
			r.Fatal(err)
		}
		out.Groups[g] = back
	}
	return out
}

func TestStale(t *testing.T) {
	t.Parallel()
	s := newStream(Rules())
	provoke(s, ForeignDenials, 1, base)
	provoke(s, SelfApproval, 1, base)
	provoke(s, MassExport, 1, base)
	for after, want := range map[time.Duration]int{30 * time.Second: 0, 30 * time.Minute: 1, 2 * time.Hour: 2, 29 * day: 2, 40 * day: 3} {
		if got := s.engine.Stale(s.memory, base.Add(after)); len(got) != want {
			t.Errorf("after %v: %v, want %d", after, got, want)
		}
	}
}

// TestWhatRulesAreAbout are events of the suite as they are written, and near misses.
func TestWhatRulesAreAbout(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		o    Observation
		want string
	}{
		"a person's key destroyed":     {Observation{Action: "key.destroy", Outcome: audit.OutcomeOK, Detail: map[string]string{"scope": "SUBJECT"}}, ""},
		"a controller's key destroyed": {Observation{Action: "key.destroy", Outcome: audit.OutcomeOK, Detail: map[string]string{"scope": "CONTROLLER"}}, BreakGlass},
		"moved":                        {Observation{Action: "maintenance.move", Outcome: audit.OutcomeOK}, BreakGlass},
		"a release is migrated":        {Observation{Action: "maintenance.migrate", Outcome: audit.OutcomeOK}, ""},
		"a roster":                     {Observation{Action: "roster.import", Outcome: audit.OutcomeOK, Detail: map[string]string{"state": "APPLIED"}}, ""},
		"a roster with erased people":  {Observation{Action: "roster.import", Outcome: audit.OutcomeOK, Detail: map[string]string{"erasedBefore": "2"}}, KeyAfterShred},
		"verified":                     {Observation{Action: "audit.verify", Outcome: audit.OutcomeOK}, ""},
		"a witness agrees":             {Observation{Action: "audit.witness", Outcome: audit.OutcomeOK}, ""},
		"a witness refuses":            {Observation{Action: "audit.witness", Outcome: audit.OutcomeFailed, Reason: "CONFLICT"}, VerificationFailed},
		"an export in parts":           {Observation{Action: "export.fail", Outcome: audit.OutcomeFailed, Reason: "INCOMPLETE"}, StuckRequest},
		"an export too late":           {Observation{Action: "export.overdue", Outcome: audit.OutcomeFailed, Reason: "OVERDUE"}, StuckRequest},
		"a role is missing":            {Observation{Action: "export.create", Outcome: audit.OutcomeDenied, Reason: "ROLE_REQUIRED"}, ""},
		"a step put off":               {Observation{Action: "erasure.verify", Outcome: audit.OutcomeFailed, Reason: "NOT_CONFIRMED"}, ""},
	} {
		tc.o.Time = base
		s := newStream(Rules())
		s.see(tc.o)
		got := ""
		for _, a := range s.alerts {
			got += a.Rule
		}
		if got != tc.want {
			t.Errorf("%s raises %q, want %q", name, got, tc.want)
		}
	}
}
