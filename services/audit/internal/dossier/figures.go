package dossier

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/privacyops/privacyops/libs/certificate"
)

// Bounds of the figures, whatever the events hold.
const (
	maxRows  = 400
	otherRow = "(other)"
)

// Figures are the numbers behind the report. They follow from the events and the certificates of the period, so that a verifier counts
// them again. Days are those of UTC.
type Figures struct {
	Entries    int64           `json:"entries"`
	Events     int64           `json:"events"`
	Denied     int64           `json:"denied"`
	Unreadable int64           `json:"unreadable"`
	Days       []Day           `json:"days"`
	Actions    []ActionFigure  `json:"actions"`
	Denials    []DenialFigure  `json:"denials"`
	Decisions  DecisionFigures `json:"decisions"`
	// Logins is how many tokens came to the suite for the first time, and LoginsRefused how many were refused.
	Logins        int64          `json:"logins"`
	LoginsRefused int64          `json:"loginsRefused"`
	Erasures      ErasureFigures `json:"erasures"`
}

// Day is one day, with its events by kind and those that were refused.
type Day struct {
	Date   string           `json:"date"`
	Kinds  map[string]int64 `json:"kinds,omitempty"`
	Denied int64            `json:"denied,omitempty"`
}

// ActionFigure counts the events of one action.
type ActionFigure struct {
	Action  string `json:"action"`
	Kind    string `json:"kind"`
	OK      int64  `json:"ok"`
	Denied  int64  `json:"denied"`
	Failed  int64  `json:"failed"`
	Invalid int64  `json:"invalid"`
}

// DenialFigure counts what was refused for one reason.
type DenialFigure struct {
	Action string `json:"action"`
	Reason string `json:"reason"`
	Count  int64  `json:"count"`
}

// DecisionFigures count decisions on a legal basis.
type DecisionFigures struct {
	Allow int64 `json:"allow"`
	Deny  int64 `json:"deny"`
	// Unreadable is how many were about people whose keys are destroyed, so that nobody can say which they were.
	Unreadable int64    `json:"unreadable"`
	Reasons    []Figure `json:"reasons"`
}

// Figure is a count under a name.
type Figure struct {
	Name  string `json:"name"`
	Count int64  `json:"count"`
}

// ErasureFigures say how the erasures of the period ended that have a certificate.
type ErasureFigures struct {
	Count    int64    `json:"count"`
	Verdicts []Figure `json:"verdicts"`
	// Durations counts them by the time from request to certificate: one of [Durations].
	Durations []Figure `json:"durations"`
	// Rows are the first of them, at most 400.
	Rows []ErasureRow `json:"rows"`
}

// ErasureRow is one erasure.
type ErasureRow struct {
	Erasure       string    `json:"erasure"`
	RequestedTime time.Time `json:"requestedTime"`
	IssuedTime    time.Time `json:"issuedTime"`
	Verdict       string    `json:"verdict"`
	Erased        int64     `json:"erased"`
	Kept          int64     `json:"kept"`
}

// Durations are the classes of the time to completion, shortest first.
func Durations() []string {
	return []string{"UP_TO_1_DAY", "UP_TO_3_DAYS", "UP_TO_7_DAYS", "UP_TO_30_DAYS", "LONGER"}
}

func durationOf(d time.Duration) string {
	for i, days := range []int{1, 3, 7, 30} {
		if d <= time.Duration(days)*24*time.Hour {
			return Durations()[i]
		}
	}
	return "LONGER"
}

// Marshal writes the figures.
func (f *Figures) Marshal() ([]byte, error) {
	raw, err := json.MarshalIndent(f, "", " ")
	return append(raw, '\n'), err
}

// Tally counts figures.
type Tally struct {
	figures   Figures
	start     time.Time
	actions   map[[2]string]*ActionFigure
	denials   map[[2]string]int64
	reasons   map[string]int64
	verdicts  map[string]int64
	durations map[string]int64
}

// NewTally counts the figures of a period.
func NewTally(start, end time.Time) *Tally {
	t := &Tally{start: start.UTC().Truncate(24 * time.Hour), actions: map[[2]string]*ActionFigure{}, denials: map[[2]string]int64{},
		reasons: map[string]int64{}, verdicts: map[string]int64{}, durations: map[string]int64{}}
	for day := t.start; day.Before(end) && len(t.figures.Days) < 1000; day = day.AddDate(0, 0, 1) {
		t.figures.Days = append(t.figures.Days, Day{Date: day.Format(time.DateOnly)})
	}
	return t
}

// Entry counts an entry of the log, and each event that it stands for.
func (t *Tally) Entry(e *Entry) {
	t.figures.Entries++
	for i := range e.Lines {
		t.event(&e.Lines[i], e.Received)
	}
}

func (t *Tally) event(l *Line, received time.Time) {
	t.figures.Events++
	denied := l.Outcome == "DENIED"
	if day := int(received.Sub(t.start) / (24 * time.Hour)); day >= 0 && day < len(t.figures.Days) {
		d := &t.figures.Days[day]
		if d.Kinds == nil {
			d.Kinds = map[string]int64{}
		}
		d.Kinds[l.Kind]++
		if denied {
			d.Denied++
		}
	}
	if l.Reading == Unreadable {
		t.figures.Unreadable++
	}
	t.action(l)
	if denied {
		t.figures.Denied++
		bounded(t.denials, [2]string{l.Action, l.Reason}, [2]string{otherRow, ""})
	}
	t.decision(l)
	switch {
	case l.Kind != "LOGIN":
	case l.Outcome == "OK":
		t.figures.Logins++
	default:
		t.figures.LoginsRefused++
	}
}

func (t *Tally) action(l *Line) {
	key := [2]string{l.Action, l.Kind}
	if t.actions[key] == nil {
		if len(t.actions) >= maxRows {
			key = [2]string{otherRow, ""}
		}
		if t.actions[key] == nil {
			t.actions[key] = &ActionFigure{Action: key[0], Kind: key[1]}
		}
	}
	switch f := t.actions[key]; l.Outcome {
	case "OK":
		f.OK++
	case "DENIED":
		f.Denied++
	case "INVALID":
		f.Invalid++
	default:
		f.Failed++
	}
}

func (t *Tally) decision(l *Line) {
	if l.Kind != "DECISION" || l.Outcome != "OK" {
		return
	}
	switch l.Detail["decision"] {
	case "ALLOW":
		t.figures.Decisions.Allow++
	case "DENY":
		t.figures.Decisions.Deny++
	default:
		t.figures.Decisions.Unreadable++
		return
	}
	bounded(t.reasons, l.Detail["reason"], otherRow)
}

// bounded counts under a key, or under another one where there are too many keys.
func bounded[K comparable](counts map[K]int64, key, other K) {
	if _, known := counts[key]; !known && len(counts) >= maxRows {
		key = other
	}
	counts[key]++
}

// Certificate counts an erasure that has a certificate.
func (t *Tally) Certificate(s *certificate.Statement) {
	e := &t.figures.Erasures
	e.Count++
	t.verdicts[string(s.Verdict)]++
	t.durations[durationOf(s.IssuedTime.Sub(s.RequestedTime.Time))]++
	if len(e.Rows) >= maxRows {
		return
	}
	row := ErasureRow{Erasure: s.Erasure[strings.LastIndexByte(s.Erasure, '/')+1:], RequestedTime: s.RequestedTime.Time,
		IssuedTime: s.IssuedTime.Time, Verdict: string(s.Verdict)}
	for _, system := range s.Systems {
		for _, d := range system.Datasets {
			row.Erased, row.Kept = row.Erased+d.Erased+d.Anonymised, row.Kept+d.Kept
		}
	}
	e.Rows = append(e.Rows, row)
}

// Figures gives what was counted.
func (t *Tally) Figures() *Figures {
	f := t.figures
	f.Actions, f.Denials = []ActionFigure{}, []DenialFigure{}
	for _, a := range t.actions {
		f.Actions = append(f.Actions, *a)
	}
	slices.SortFunc(f.Actions, func(a, b ActionFigure) int {
		return cmp.Or(cmp.Compare(a.Action, b.Action), cmp.Compare(a.Kind, b.Kind))
	})
	for key, n := range t.denials {
		f.Denials = append(f.Denials, DenialFigure{key[0], key[1], n})
	}
	slices.SortFunc(f.Denials, func(a, b DenialFigure) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Action, b.Action), cmp.Compare(a.Reason, b.Reason))
	})
	f.Decisions.Reasons, f.Erasures.Verdicts = ranked(t.reasons), ranked(t.verdicts)
	f.Erasures.Durations = []Figure{}
	for _, class := range Durations() {
		f.Erasures.Durations = append(f.Erasures.Durations, Figure{class, t.durations[class]})
	}
	if f.Erasures.Rows == nil {
		f.Erasures.Rows = []ErasureRow{}
	}
	return &f
}

// ranked sorts counts, the largest first.
func ranked(counts map[string]int64) []Figure {
	out := []Figure{}
	for name, n := range counts {
		out = append(out, Figure{name, n})
	}
	slices.SortFunc(out, func(a, b Figure) int { return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Name, b.Name)) })
	return out
}
