package monitor

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

// Group is whom a rule counts for.
type Group struct {
	Rule       string
	Controller audit.ControllerID
	// Who is an actor's reference or a service's name; empty where the rule counts for neither.
	Who string
}

// Standing is what is known of a group. It is a value that the store keeps.
type Standing struct {
	// Recent are the latest marks, one more than are ordinary.
	Recent []mark `json:"recent,omitempty"`
	// Days counts by day since 1970, UTC.
	Days map[int64]int64 `json:"days,omitempty"`
	// Alert is the last one that was raised.
	Alert *Open `json:"alert,omitempty"`
}

// Open is an alert that is counted on.
type Open struct {
	ID     AlertID   `json:"id"`
	Raised time.Time `json:"raised"`
	Last   time.Time `json:"last"`
	Count  int64     `json:"count"`
	First  []mark    `json:"first,omitempty"`
}

func (o *Open) add(m mark) {
	o.Count++
	if m.Time.After(o.Last) {
		o.Last = m.Time
	}
	if m.ID == "" {
		return
	}
	if o.First = insert(o.First, m); len(o.First) > MaxEvents {
		o.First = o.First[:MaxEvents]
	}
}

// Memory is all that an engine remembers.
type Memory struct {
	// Cursor is the last entry that was judged.
	Cursor Position
	// Since is when monitoring began. What was received before is learned from, and raises nothing.
	Since time.Time
	// Groups are those of whom something is known.
	Groups map[Group]Standing
	// Heads are the last numbers of controllers.
	Heads map[audit.ControllerID]uint64
	// Heard is when a service reported last.
	Heard map[string]time.Time
}

// Step is what judging changed.
type Step struct {
	Cursor Position
	// Groups and Heads that changed.
	Groups map[Group]Standing
	Heads  map[audit.ControllerID]uint64
	// Raised are new alerts; Counted are those of earlier steps that go on.
	Raised, Counted []Alert
}

// Engine judges observations by rules.
type Engine struct {
	rules []Rule
	newID func() string
}

// NewEngine makes an engine.
func NewEngine(rules []Rule, newID func() string) *Engine { return &Engine{rules, newID} }

// Judge judges entries, in the order of the log, and signals. The memory is as before; Apply makes the step its own once it is kept.
func (e *Engine) Judge(m *Memory, entries []Entry, signals []Observation) Step {
	s := &judging{engine: e, memory: m, raised: map[AlertID]Alert{}, counted: map[AlertID]Alert{},
		step: Step{Cursor: m.Cursor, Groups: map[Group]Standing{}, Heads: map[audit.ControllerID]uint64{}}}
	for _, entry := range entries {
		if entry.Position <= s.step.Cursor {
			continue // judged before
		}
		s.step.Cursor = entry.Position
		s.number(entry)
		for _, o := range Observe(entry) {
			s.judge(o)
		}
	}
	for _, o := range signals {
		s.judge(o)
	}
	return s.done()
}

// Apply makes a step part of the memory.
func (m *Memory) Apply(s Step) {
	m.Cursor = s.Cursor
	maps.Copy(m.Groups, s.Groups)
	maps.Copy(m.Heads, s.Heads)
}

// judging is a step in the making.
type judging struct {
	engine          *Engine
	memory          *Memory
	step            Step
	raised, counted map[AlertID]Alert
}

// number follows a controller's numbers, which have no holes (guarantee L.1). Before monitoring began the first one that is seen is
// the first: older ones may have been retired with their shard.
func (s *judging) number(e Entry) {
	last, known := s.step.Heads[e.Controller]
	if !known {
		last, known = s.memory.Heads[e.Controller]
	}
	early := e.ReceivedTime.Before(s.memory.Since)
	if e.ControllerSequence > last+1 && (known || !early) {
		s.judge(Observation{ID: e.ID, Controller: e.Controller, Service: e.Service, Action: SignalGap, Outcome: audit.OutcomeFailed,
			Reason: "NUMBER_MISSING", Time: e.ReceivedTime})
	}
	s.step.Heads[e.Controller] = max(last, e.ControllerSequence)
}

func (s *judging) judge(o Observation) {
	if o.own() {
		return
	}
	for _, r := range s.engine.rules {
		if r.fits(o) {
			s.apply(r, o)
		}
	}
}

func (s *judging) apply(r Rule, o Observation) {
	g := r.group(o)
	st := s.standing(g)
	m := mark{o.Time, o.ID}
	fires := st.learn(r, m)
	switch open := st.Alert; {
	case o.Time.Before(s.memory.Since):
	case open != nil && o.Time.Sub(open.Raised) < r.Quiet:
		next := *open
		next.First = slices.Clone(open.First)
		next.add(m)
		st.Alert = &next
		if _, fresh := s.raised[next.ID]; fresh {
			s.raised[next.ID] = alertOf(r, g, next)
		} else {
			s.counted[next.ID] = alertOf(r, g, next)
		}
	case fires:
		st.Alert = st.raise(r, m, AlertID(s.engine.newID()))
		s.raised[st.Alert.ID] = alertOf(r, g, *st.Alert)
	}
	s.step.Groups[g] = st
}

// standing gives what is known of a group, to be changed.
func (s *judging) standing(g Group) Standing {
	st, changed := s.step.Groups[g]
	if !changed {
		st = s.memory.Groups[g]
		st.Recent, st.Days = slices.Clone(st.Recent), maps.Clone(st.Days)
	}
	return st
}

// learn takes a mark in and reports whether the rule is broken with it.
func (st *Standing) learn(r Rule, m mark) bool {
	switch {
	case r.Statistic != nil:
		return st.count(*r.Statistic, m.Time)
	case r.Over == 0:
		return true
	}
	if st.Recent = insert(st.Recent, m); len(st.Recent) > r.Over+1 {
		st.Recent = st.Recent[1:]
	}
	return len(st.Recent) > r.Over && m.Time.Sub(st.Recent[0].Time) < r.Within
}

const day = 24 * time.Hour

// count counts a mark on its day and reports whether there are more than is ordinary.
func (st *Standing) count(limit Statistic, t time.Time) bool {
	today := t.UnixMicro() / day.Microseconds()
	if st.Days == nil {
		st.Days = map[int64]int64{}
	}
	st.Days[today]++
	maps.DeleteFunc(st.Days, func(d, _ int64) bool { return d < today-int64(limit.Days) })
	var sum, squares float64
	for d, n := range st.Days {
		if d != today {
			sum += float64(n)
			squares += float64(n) * float64(n)
		}
	}
	mean := sum / float64(limit.Days)
	sigma := math.Sqrt(max(0, squares/float64(limit.Days)-mean*mean))
	return float64(st.Days[today]) > max(float64(limit.Floor), mean+limit.Sigmas*sigma)
}

// raise opens an alert over what is known.
func (st *Standing) raise(r Rule, m mark, id AlertID) *Open {
	open := &Open{ID: id, Raised: m.Time, Last: m.Time}
	switch {
	case r.Statistic != nil:
		open.add(m)
		open.Count = st.Days[m.Time.UnixMicro()/day.Microseconds()]
	case r.Over == 0:
		open.add(m)
	default:
		for _, recent := range st.Recent {
			open.add(recent)
		}
	}
	return open
}

// done gives the step, its alerts in the order in which they were raised.
func (s *judging) done() Step {
	s.step.Raised, s.step.Counted = sorted(s.raised), sorted(s.counted)
	return s.step
}

func sorted(alerts map[AlertID]Alert) []Alert {
	return slices.SortedFunc(maps.Values(alerts), func(a, b Alert) int { return cmp.Or(a.Raised.Compare(b.Raised), cmp.Compare(a.ID, b.ID)) })
}

func alertOf(r Rule, g Group, open Open) Alert {
	a := Alert{ID: open.ID, Controller: g.Controller, Rule: r.Name, Severity: r.Severity, Summary: r.Summary.about(g.Who),
		Raised: open.Raised, Last: open.Last, Count: open.Count}
	for _, m := range open.First {
		a.Events = append(a.Events, m.ID)
	}
	return a
}

// Stale gives the groups of which nothing needs to be remembered any more.
func (e *Engine) Stale(m *Memory, now time.Time) []Group {
	rules := map[string]Rule{}
	for _, r := range e.rules {
		rules[r.Name] = r
	}
	var out []Group
	for g, st := range m.Groups {
		r := rules[g.Rule] // the zero rule for one that is gone: stale at once
		quiet := st.Alert == nil || now.Sub(st.Alert.Raised) >= r.Quiet
		calm := len(st.Recent) == 0 || now.Sub(st.Recent[len(st.Recent)-1].Time) >= r.Within
		if quiet && calm && !(r.Statistic != nil && st.counts(*r.Statistic, now)) {
			out = append(out, g)
		}
	}
	return out
}

// counts reports whether any day still counts.
func (st *Standing) counts(limit Statistic, now time.Time) bool {
	for d := range st.Days {
		if d >= now.UnixMicro()/day.Microseconds()-int64(limit.Days) {
			return true
		}
	}
	return false
}
