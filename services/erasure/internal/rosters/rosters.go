// Package rosters is what the erasure service knows of extracts of the national roster: what came of each, and how one that was
// held is settled. Reading an extract and comparing it with the last one is package roster's.
package rosters

import (
	"time"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/services/erasure/internal/roster"
)

// States of an import.
const (
	Applied   = "APPLIED"
	Held      = "HELD"
	Discarded = "DISCARDED"
)

// Key makes the pseudonym of a user name.
type Key func(roster.UserID) roster.Pseudonym

// Decider compares an extract with what is known.
type Decider func(previous roster.State) roster.Outcome

// Import is what came of one extract. The people in it are not in it.
type Import struct {
	Controller  string    `json:"-"`
	ID          string    `json:"-"`
	State       string    `json:"-"`
	Institution string    `json:"-"`
	Present     int       `json:"present"`
	Arrived     int       `json:"arrived"`
	Left        int       `json:"left"`
	Returned    int       `json:"returned"`
	HeldReason  string    `json:"heldReason,omitempty"`
	Warnings    []string  `json:"warnings,omitempty"`
	SHA256      string    `json:"sha256"`
	CreateTime  time.Time `json:"createTime"`
}

// Name is the import's resource name.
func (i *Import) Name() string { return "controllers/" + i.Controller + "/rosters/" + i.ID }

// Take notes what was decided about the extract.
func (i *Import) Take(out roster.Outcome) {
	i.State = string(out.Decision)
	i.Present, i.Arrived, i.Left, i.Returned = out.Present, len(out.Arrived), len(out.Left), len(out.Returned)
	if out.HeldReason != "" {
		i.HeldReason = string(out.HeldReason)
	}
}

// Settlement is what a person decided about a held extract.
type Settlement struct {
	Controller, ID string
	// State is Applied or Discarded.
	State string
	Key   Key
	// Decide compares the extract with what is known now; nil where it is discarded.
	Decide func(roster.State, roster.Extract) roster.Outcome
}

// Check refuses what cannot be settled in this way.
func (s Settlement) Check(i *Import) error {
	switch {
	case i.State != Held:
		return fault.Newf(fault.Precondition, "ROSTER_SETTLED", "This extract is %s already.", i.State)
	case s.State == Applied && !roster.HeldReason(i.HeldReason).Confirmable():
		return fault.Newf(fault.Precondition, "ROSTER_NOT_CONFIRMABLE",
			"An extract that was held as %s cannot be confirmed. Discard it and fetch a new one.", i.HeldReason)
	}
	return nil
}

// Overtaken is the fault of a held extract that cannot be applied any more.
func Overtaken(reason roster.HeldReason) error {
	return fault.Newf(fault.Precondition, "ROSTER_OVERTAKEN", "The extract can no longer be applied (%s). Discard it and fetch a new one.", reason)
}
