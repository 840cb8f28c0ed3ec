package storetest

import (
	"fmt"
	"time"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

// Base is the time around which the suite's events lie.
var Base = time.Date(2026, 3, 29, 0, 30, 0, 0, time.UTC)

// Event returns a valid event of a controller; different n make different events.
func Event(controller audit.ControllerID, n int) audit.Event {
	return audit.Event{
		ID:         audit.EventID(fmt.Sprintf("019f0000-0000-7000-8000-%012x", n)),
		Controller: controller,
		Service:    "erasure",
		Actor:      audit.Actor{Kind: audit.ActorCaller, Ref: "p-4f1c", Roles: []string{"dpo"}},
		Action:     "erasure.approve",
		Kind:       audit.KindModify,
		Resource:   fmt.Sprintf("controllers/%s/erasures/e-%d", controller, n),
		SubjectRefs: []audit.SubjectRef{
			audit.SubjectRef(fmt.Sprintf("s-%d", n%3)), "s-all",
		},
		Outcome:      audit.OutcomeOK,
		TraceParent:  fmt.Sprintf("00-%032x-%016x-01", n+1, n+1),
		OccurredTime: Base.Add(time.Duration(n) * time.Second),
		Detail:       map[string]string{"count": fmt.Sprint(n)},
	}
}

// Events returns n events of a controller, numbered from first.
func Events(controller audit.ControllerID, first, n int) []audit.Event {
	out := make([]audit.Event, n)
	for i := range out {
		out[i] = Event(controller, first+i)
	}
	return out
}
