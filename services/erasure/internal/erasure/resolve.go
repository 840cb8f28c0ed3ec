package erasure

import (
	"context"
	"fmt"
	"slices"

	"github.com/privacyops/privacyops/libs/fault"
)

// maxRounds bounds the resolution of identifiers; maxIdentifiers bounds what it may find. Both are far above what a person has.
const (
	maxRounds      = 8
	maxIdentifiers = 100
)

// Resolution is what the systems answered.
type Resolution struct {
	// Identifiers are all identifiers of the person that became known, the given ones first.
	Identifiers []Identifier
	// Findings are the answers, one for each system that gave one.
	Findings []Finding
	// Failures are the systems that gave none, with the fault.
	Failures map[string]*fault.Error
}

// Resolve asks every system what it holds, in rounds: an identifier that one system adds may be known to another, so all are
// asked again until nothing new comes. Identifiers that belong to several people are never followed; systems report them.
func Resolve(ctx context.Context, ps Participants, c ControllerID, systems []System, given []Identifier) (Resolution, error) {
	r := Resolution{Identifiers: slices.Clone(given)}
	for round := 0; ; round++ {
		if round == maxRounds || len(r.Identifiers) > maxIdentifiers {
			return r, fault.Newf(fault.Precondition, "IDENTIFIERS_DO_NOT_SETTLE",
				"The systems keep adding identifiers for this person (%d after %d rounds). Check the data maps for identifiers that many people share.",
				len(r.Identifiers), round)
		}
		known := len(r.Identifiers)
		r.Findings, r.Failures = nil, map[string]*fault.Error{}
		for _, s := range systems {
			r.ask(ctx, ps, c, s)
			if err := ctx.Err(); err != nil {
				return r, err
			}
		}
		if len(r.Identifiers) == known {
			return r, nil
		}
	}
}

func (r *Resolution) ask(ctx context.Context, ps Participants, c ControllerID, s System) {
	p, err := ps.Participant(s.Participant)
	if err != nil {
		r.Failures[s.ID] = fault.From(err)
		return
	}
	description, err := p.Describe(ctx)
	if err == nil {
		err = description.check()
	}
	if err != nil {
		r.Failures[s.ID] = fault.From(err)
		return
	}
	location, err := p.Locate(ctx, c, r.Identifiers)
	if err == nil {
		err = location.check(description)
	}
	if err != nil {
		r.Failures[s.ID] = fault.From(err)
		return
	}
	r.Findings = append(r.Findings, Finding{System: s, Description: description, Counts: location.Counts, Shared: location.Shared})
	for _, id := range location.Further {
		if !slices.Contains(r.Identifiers, id) {
			r.Identifiers = append(r.Identifiers, id)
		}
	}
}

// nonsense is the fault of an answer that cannot be true.
func nonsense(what string) error {
	return fault.New(fault.Unavailable, "PARTICIPANT_NONSENSE", "The system's answer cannot be true: "+what+". Its operator must look at it; it is asked again.")
}

func (d Description) check() error {
	seen := map[string]bool{}
	for _, set := range d.Datasets {
		switch {
		case set.Name == "" || seen[set.Name]:
			return nonsense("a dataset without a name, or named twice")
		case set.Action != Erase && set.Action != Anonymise && set.Action != Keep:
			return nonsense("a dataset without an action")
		case set.Action == Keep && (set.Ground == "" || set.Article == ""):
			return nonsense("a dataset is kept without ground or article")
		}
		seen[set.Name] = true
	}
	if len(d.DataMapDigest) != 64 {
		return nonsense("no digest of its data map")
	}
	return nil
}

func (l Location) check(d Description) error {
	if l.DataMapDigest != "" && l.DataMapDigest != d.DataMapDigest {
		return nonsense("its data map changed between two answers")
	}
	names := map[string]bool{}
	for _, set := range d.Datasets {
		names[set.Name] = true
		if _, ok := l.Counts[set.Name]; !ok {
			return nonsense("a dataset was not counted")
		}
	}
	for name, n := range l.Counts {
		if n < 0 || !names[name] {
			return nonsense("a negative count, or one of an unknown dataset")
		}
	}
	for _, id := range l.Further {
		if id.Type == "" || id.Value == "" {
			return nonsense("an empty identifier")
		}
	}
	return nil
}

// checkOutcome compares what a system says it has done with what it was told.
func checkOutcome(order EraseOrder, outcome []DatasetOutcome) error {
	seen := map[string]bool{}
	for _, o := range outcome {
		if seen[o.Dataset] || min(o.Located, o.Erased, o.Anonymised, o.Kept, o.Unchanged) < 0 {
			return nonsense("a dataset counted twice, or a negative count")
		}
		seen[o.Dataset] = true
		if slices.Contains(order.Datasets, o.Dataset) && o.Erased+o.Anonymised+o.Kept+o.Unchanged < o.Located {
			return nonsense(fmt.Sprintf("in %s fewer rows were dealt with than were found", o.Dataset))
		}
	}
	for _, d := range order.Datasets {
		if !seen[d] {
			return nonsense("an approved dataset is missing")
		}
	}
	return nil
}
