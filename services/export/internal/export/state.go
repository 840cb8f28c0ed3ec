package export

import (
	"fmt"
	"slices"
)

// State is where an export stands.
type State string

// The states of an export.
const (
	Pending    State = "PENDING"
	Locating   State = "LOCATING"
	Collecting State = "COLLECTING"
	Packaging  State = "PACKAGING"
	Ready      State = "READY"
	Partial    State = "PARTIAL"
	Failed     State = "FAILED"
	Cancelled  State = "CANCELLED"
	Expired    State = "EXPIRED"
)

// transitions says which states may follow which. What is not here does not happen.
var transitions = map[State][]State{
	Pending: {Locating, Failed, Cancelled},
	// To PARTIAL from the first two: a further attempt came to nothing, and the package of the one before stands.
	Locating:   {Collecting, Partial, Failed, Cancelled},
	Collecting: {Packaging, Partial, Failed, Cancelled},
	// Back to COLLECTING: whoever packed it is gone, and half a package is none.
	Packaging: {Ready, Partial, Collecting, Failed, Cancelled},
	Ready:     {Expired},
	// Back to LOCATING: the systems that were missing answer again.
	Partial:   {Locating, Cancelled, Expired},
	Failed:    {},
	Cancelled: {},
	Expired:   {},
}

// States lists every state.
func States() []State {
	return []State{Pending, Locating, Collecting, Packaging, Ready, Partial, Failed, Cancelled, Expired}
}

// Next lists the states that may follow s.
func (s State) Next() []State { return slices.Clone(transitions[s]) }

// Valid reports whether s is a state.
func (s State) Valid() bool {
	_, ok := transitions[s]
	return ok
}

// move changes the state of e, along the table only.
func (e *Export) move(to State) error {
	if !slices.Contains(transitions[e.State], to) {
		return fmt.Errorf("export: %s does not follow %s", to, e.State)
	}
	e.State = to
	return nil
}
