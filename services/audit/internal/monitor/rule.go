package monitor

import (
	"slices"
	"strings"
	"time"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

// Severity is how urgent an alert is; a greater one is more urgent.
type Severity int

// The severities.
const (
	// Notice: to be looked at in the course of the day.
	Notice Severity = iota + 1
	// Warning: to be looked at soon.
	Warning
	// Critical: to be looked at now.
	Critical
)

var severityNames = []string{"", "NOTICE", "WARNING", "CRITICAL"}

// String is the severity as configuration, metrics and webhooks write it.
func (s Severity) String() string {
	if s < Notice || s > Critical {
		return ""
	}
	return severityNames[s]
}

// ParseSeverity reads what String writes, in any case.
func ParseSeverity(text string) (Severity, bool) {
	i := slices.Index(severityNames, strings.ToUpper(text))
	return Severity(i), i > 0
}

// Match says which observations a rule is about. An empty list says nothing about its field; all others must hold.
type Match struct {
	// Actions, `noun.verb`, or `noun.*` for every verb.
	Actions []string
	// Kinds of access.
	Kinds []audit.Kind
	// Outcomes of it.
	Outcomes []audit.Outcome
	// Reasons of a refusal or failure.
	Reasons []string
	// Detail lists keys with the value they have; an empty value stands for any but none.
	Detail map[string]string
}

func (m Match) fits(o Observation) bool {
	for key, want := range m.Detail {
		if got := o.Detail[key]; got == "" || want != "" && got != want {
			return false
		}
	}
	return holds(m.Kinds, o.Kind) && holds(m.Outcomes, o.Outcome) && holds(m.Reasons, o.Reason) &&
		(len(m.Actions) == 0 || slices.ContainsFunc(m.Actions, func(a string) bool { return actionFits(a, o.Action) }))
}

func holds[T comparable](wanted []T, got T) bool {
	return len(wanted) == 0 || slices.Contains(wanted, got)
}

func actionFits(pattern, action string) bool {
	if noun, all := strings.CutSuffix(pattern, "*"); all {
		return strings.HasPrefix(action, noun)
	}
	return pattern == action
}

// Grouping says what an alert is raised for once.
type Grouping int

// The groupings. An alert belongs to its events' controller, or to the suite where they have none.
const (
	// ByController: one alert for each controller.
	ByController Grouping = iota + 1
	// ByActor: one alert for each actor at each controller.
	ByActor
	// ByService: one alert for each reporting service; it belongs to the suite.
	ByService
	// Together: one alert for all; it belongs to the suite.
	Together
)

// Statistic bounds a count a day by the days before it.
type Statistic struct {
	// Days are how many days before it count, those without an event as 0.
	Days int
	// Sigmas above their mean is what is still ordinary.
	Sigmas float64
	// Floor is what is ordinary in any case.
	Floor int64
}

// Text is a text for people.
type Text struct{ Danish, English string }

// about puts in who a group is about.
func (t Text) about(who string) Text {
	return Text{strings.ReplaceAll(t.Danish, "{who}", who), strings.ReplaceAll(t.English, "{who}", who)}
}

// Rule is one thing to notice. Exactly one of these holds: Over with Within (more than so many in that time), Statistic, or
// neither (each one).
type Rule struct {
	// Name is stable: alerts, metrics and runbooks go by it.
	Name     string
	Severity Severity
	// When lists what it is about: any of them.
	When []Match
	By   Grouping
	// Over is how many are ordinary Within a time.
	Over   int
	Within time.Duration
	// Statistic, if not nil, compares with the days before.
	Statistic *Statistic
	// Quiet is how long after an alert more of the same is counted on and raises no other.
	Quiet time.Duration
	// Summary says what was noticed and what to do; {who} is the actor or the service of the group.
	Summary Text
}

func (r Rule) fits(o Observation) bool {
	return slices.ContainsFunc(r.When, func(m Match) bool { return m.fits(o) })
}

// group tells for whom the rule counts an observation.
func (r Rule) group(o Observation) Group {
	switch r.By {
	case ByController:
		return Group{Rule: r.Name, Controller: o.Controller}
	case ByActor:
		return Group{Rule: r.Name, Controller: o.Controller, Who: o.Actor}
	case ByService:
		return Group{Rule: r.Name, Who: o.Service}
	case Together:
	}
	return Group{Rule: r.Name}
}
