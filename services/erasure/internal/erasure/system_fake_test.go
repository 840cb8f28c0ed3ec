package erasure

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/privacyops/privacyops/libs/fault"
)

// mishap is what goes wrong in one call of a system.
type mishap string

const (
	fine     mishap = ""
	down     mishap = "down"
	lost     mishap = "lost"     // done, and the answer never arrives
	absurd   mishap = "absurd"   // an answer that cannot be true
	lying    mishap = "lying"    // says that it has erased, and has not
	skipping mishap = "skipping" // leaves one row, and counts it as erased
	slow     mishap = "slow"
	blind    mishap = "blind"     // counts nothing though it holds rows
	endless  mishap = "endless"   // knows a further identifier each time
	overrun  mishap = "overtaken" // while it answers, another worker takes the erasure and goes on
)

// set is one dataset of a system, with the rows that it really holds.
type set struct {
	Dataset
	rows int64
}

// system is a participant with a ground truth.
type system struct {
	world *world
	System
	sets    []*set
	digest  string
	further []Identifier
	shared  []SharedIdentifier

	next     []mishap // for the next calls, one each
	ledger   map[string][]DatasetOutcome
	approved map[string][]string
	fences   map[string]int64
	told     map[string]bool // requests whose result has been handed over
	last     string          // the request asked for last
	asked    int
	gone     map[string]int64 // rows really erased or anonymised
}

func (x *system) mishap() mishap {
	if len(x.next) == 0 {
		return fine
	}
	m := x.next[0]
	x.next = x.next[1:]
	switch m {
	case slow:
		x.world.clock.Advance(20 * time.Second)
		return fine
	case overrun:
		x.world.overtake()
		return fine
	default:
		return m
	}
}

func unreachable() error {
	return fault.New(fault.Unavailable, "PARTICIPANT_UNREACHABLE", "The system cannot be reached.")
}

func (x *system) Describe(context.Context) (Description, error) {
	d := Description{DataMapDigest: x.digest}
	for _, s := range x.sets {
		d.Datasets = append(d.Datasets, s.Dataset)
	}
	switch x.mishap() {
	case down, lost:
		return Description{}, unreachable()
	case absurd:
		d.DataMapDigest = "none"
	default:
	}
	return d, nil
}

func (x *system) Locate(context.Context, ControllerID, []Identifier) (Location, error) {
	l := Location{Counts: map[string]int64{}, Further: x.further, Shared: x.shared, DataMapDigest: x.digest}
	m := x.mishap()
	for _, s := range x.sets {
		if l.Counts[s.Name] = s.rows; m == blind {
			l.Counts[s.Name] = 0
		}
	}
	switch m {
	case down, lost:
		return Location{}, unreachable()
	case absurd:
		l.Counts["unheard of"] = 1
	case endless:
		x.asked++
		l.Further = append(slices.Clone(l.Further), Identifier{"EMAIL", fmt.Sprintf("%s-%d@example.org", x.ID, x.asked)})
		x.next = append([]mishap{fine, endless}, x.next...) // and so on, after the next Describe
		if x.asked > 20 {
			x.next = nil
		}
	default:
	}
	return l, nil
}

func (x *system) Erase(_ context.Context, _ ControllerID, o EraseOrder) ([]DatasetOutcome, error) {
	m := x.mishap()
	x.world.judge(x, o)
	x.last = o.Request
	if m == down {
		return nil, unreachable()
	}
	if o.FencingToken < x.fences[o.Request] {
		return nil, fault.New(fault.Aborted, "FENCED", "Another worker has taken over.")
	}
	if o.DataMapDigest != x.digest {
		return nil, fault.New(fault.Precondition, "DATA_MAP_CHANGED", "The data map has changed since.")
	}
	x.fences[o.Request] = o.FencingToken
	if _, known := x.ledger[o.Request]; !known {
		x.approved[o.Request] = o.Datasets
		x.ledger[o.Request] = x.erase(o.Datasets, m)
	}
	result := slices.Clone(x.ledger[o.Request])
	switch m {
	case lost:
		return nil, unreachable()
	case absurd:
		if len(result) == 0 {
			return nil, unreachable()
		}
		result[0].Erased = -1
	default:
		x.told[o.Request] = true
	}
	return result, nil
}

// erase does the work, as far as the mishap lets it.
func (x *system) erase(datasets []string, m mishap) (out []DatasetOutcome) {
	for _, s := range x.sets {
		o := DatasetOutcome{Dataset: s.Name, Located: s.rows}
		done := s.rows
		switch {
		case !slices.Contains(datasets, s.Name):
			o.Kept = s.rows
			out = append(out, o)
			continue
		case m == lying:
			done = 0
		case m == skipping:
			done = max(0, s.rows-1)
		}
		if s.Action == Anonymise {
			o.Anonymised = s.rows
		} else {
			o.Erased = s.rows
		}
		s.rows -= done
		x.gone[s.Name] += done
		out = append(out, o)
	}
	return out
}

func (x *system) Verify(_ context.Context, _ ControllerID, request string, _ []Identifier) ([]Remainder, error) {
	m := x.mishap()
	switch m {
	case down, lost:
		return nil, unreachable()
	case absurd:
		return []Remainder{{Dataset: "profile", Count: -1}}, nil
	default:
	}
	var out []Remainder
	for _, s := range x.sets {
		if s.rows > 0 && x.goes(s, request) {
			out = append(out, Remainder{Dataset: s.Name, Table: "t", Count: s.rows, FoundBy: "LINK"})
		}
	}
	return out, nil
}

// goes reports whether a dataset should be gone: as was approved, or, before anything was, as its own data map says.
func (x *system) goes(s *set, request string) bool {
	if approved, ok := x.approved[request]; ok {
		return slices.Contains(approved, s.Name)
	}
	return s.Action != Keep
}

// left counts the rows that the plan says should go and that are there.
func (x *system) left(p Plan) (n int64) {
	for _, s := range x.sets {
		if i, ok := p.item(x.ID, s.Name); ok && i.Action != Keep {
			n += s.rows
		}
	}
	return n
}

func newSystem(id string, order int, sets ...*set) *system {
	return &system{System: System{ID: id, Participant: id, Mandatory: true, Order: order}, sets: sets, digest: strings.Repeat("a", 64),
		ledger: map[string][]DatasetOutcome{}, approved: map[string][]string{}, fences: map[string]int64{}, told: map[string]bool{}, gone: map[string]int64{}}
}

func (x *system) optional() *system { x.Mandatory = false; return x }

func rows(name, activity string, a Action, n int64) *set {
	s := &set{Dataset: Dataset{Name: name, Activity: activity, Action: a}, rows: n}
	if a == Keep {
		s.Ground, s.Article = "BOOKKEEPING", "17(3)(b)"
	}
	return s
}
