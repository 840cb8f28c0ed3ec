package monitor

import (
	"strings"
	"time"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

// Position is a place in the stream of entries; those after it have greater ones. 0 is before the first.
type Position uint64

// Entry is an entry of the log as the monitor reads it. What it says about people may be sealed; the monitor does not need it.
type Entry struct {
	audit.Entry
	Position Position
}

// Observation is what rules look at: an event, or a signal, which has no id.
type Observation struct {
	ID         audit.EventID
	Controller audit.ControllerID
	Service    string
	// Actor is the reference of who acted.
	Actor   string
	Action  string
	Kind    audit.Kind
	Outcome audit.Outcome
	Reason  string
	// Detail of the event; of one that names people it is sealed and not here.
	Detail map[string]string
	// Time of receipt.
	Time time.Time
}

// Signals: the actions of observations that no service reports.
const (
	// SignalGap: a number of a controller is missing, so an entry is.
	SignalGap = "log.gap"
	// SignalLag: an accepted event has waited too long to be published.
	SignalLag = "log.lag"
	// SignalLate: a service handed events over that had waited for long.
	SignalLate = "log.late"
	// SignalSilent: a service that used to report does not.
	SignalSilent = "log.silent"
	// SignalSkew: a service's clock is wrong.
	SignalSkew = "log.skew"
)

// maxSkew is how far a reporting service's clock may be from ours (logging duty L.2).
const maxSkew = time.Minute

// Observe gives what an entry shows: its event, and that its reporter's clock runs ahead where the event came before it happened.
func Observe(e Entry) []Observation {
	out := []Observation{{ID: e.ID, Controller: e.Controller, Service: e.Service, Actor: e.Actor.Ref, Action: e.Action, Kind: e.Kind,
		Outcome: e.Outcome, Reason: e.Reason, Detail: e.Detail, Time: e.ReceivedTime}}
	if e.OccurredTime.Sub(e.ReceivedTime) > maxSkew {
		out = append(out, Observation{ID: e.ID, Controller: e.Controller, Service: e.Service, Action: SignalSkew, Outcome: audit.OutcomeFailed,
			Reason: "CLOCK_AHEAD", Time: e.ReceivedTime})
	}
	return out
}

// own reports whether an observation is about looking after alerts, which must not raise any. A refused attempt at it is no
// such thing.
func (o Observation) own() bool {
	return strings.HasPrefix(o.Action, "alert.") && o.Outcome == audit.OutcomeOK
}
