package erasure

import (
	"context"
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
