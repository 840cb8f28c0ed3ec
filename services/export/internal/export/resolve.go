package export

import (
	"context"
	"slices"
	"sync"
)

const (
	// maxRounds bounds the search for further identifiers. A chain longer than this (a user name that leads to an address that
	// leads to a number that …) is more likely a mistake in a system than one person.
	maxRounds = 6
	// askAtOnce is how many systems are asked at a time.
	askAtOnce = 8
)

// resolution is what the systems say about a person.
type resolution struct {
	// identifiers are all that are known, those asked with first.
	identifiers []Identifier
	// located holds each system's newest answer; failed those that gave none, with the reason.
	located map[SystemID]Location
	failed  map[SystemID]error
	rounds  int
	// complete says that the last round brought nothing new.
	complete bool
}

// resolve asks every system what it holds about the person, and again with every identifier that an answer added, until a
// round adds nothing: a user name may lead to an address by which another system knows the person. Identifiers that a system
// reports as shared are not among those it adds; they are never followed, because they lead to other people.
//
// A system that fails is not asked again, and its earlier answers do not count.
func resolve(ctx context.Context, systems []SystemID, known []Identifier,
	ask func(context.Context, SystemID, []Identifier) (Location, error),
) resolution {
	r := resolution{identifiers: known, located: map[SystemID]Location{}, failed: map[SystemID]error{}}
	for r.rounds < maxRounds && !r.complete && ctx.Err() == nil {
		r.rounds++
		left := slices.DeleteFunc(slices.Clone(systems), func(s SystemID) bool { return r.failed[s] != nil })
		r.complete = r.round(ctx, left, ask)
	}
	return r
}

// round asks each system once and reports whether nothing new came. Answers count in the order of systems, so that the
// result does not depend on who was faster.
func (r *resolution) round(ctx context.Context, systems []SystemID, ask func(context.Context, SystemID, []Identifier) (Location, error)) bool {
	answers, errs := make([]Location, len(systems)), make([]error, len(systems))
	known := slices.Clone(r.identifiers)
	var wait sync.WaitGroup
	slots := make(chan struct{}, askAtOnce)
	for i, s := range systems {
		wait.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			answers[i], errs[i] = ask(ctx, s, known)
		})
	}
	wait.Wait()

	total, overflow := 0, false
	for i, s := range systems {
		if errs[i] != nil {
			r.failed[s] = errs[i]
			delete(r.located, s)
			continue
		}
		r.located[s] = answers[i]
		merged, added, full := merge(r.identifiers, answers[i].Further)
		r.identifiers, total, overflow = merged, total+added, overflow || full
	}
	return total == 0 && !overflow
}

// omissions reports what the search did not follow.
func (r *resolution) omissions(systems []SystemID) []Omission {
	var out []Omission
	for _, s := range systems {
		for _, shared := range r.located[s].Shared {
			out = append(out, Omission{System: s, Column: shared.Type, Count: shared.People,
				Ground: GroundShared, Article: "GDPR art. 15(4)"})
		}
	}
	if !r.complete {
		out = append(out, Omission{Count: int64(len(r.identifiers)), Ground: GroundSearchLimit})
	}
	return out
}
