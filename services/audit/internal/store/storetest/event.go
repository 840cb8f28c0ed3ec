package storetest

import (
	"encoding/binary"
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

// Decisions returns a valid event that stands for count decisions; different n make different events and different decisions.
// Who asked, the person, the activity and the answer vary from one decision to the next.
func Decisions(controller audit.ControllerID, n, count int) audit.Event {
	e := Event(controller, n)
	e.Service, e.Actor = "consent", audit.Actor{Kind: audit.ActorService, Ref: "consent"}
	e.Action, e.Kind, e.Resource = audit.DecisionAction, audit.KindDecision, ""
	e.SubjectRefs, e.TraceParent, e.Detail = nil, "", nil
	e.Batch = &audit.Batch{
		Actors: []audit.Actor{
			{Kind: audit.ActorCaller, Ref: "p-4f1c", Roles: []string{"platform"}},
			{Kind: audit.ActorCaller, Ref: "p-77aa", Roles: []string{"controller", "dpo"}},
		},
		Texts: []string{"marks", "CONSENT_GIVEN", "sports", "NO_LEGAL_BASIS", "municipality"},
	}
	for i := range count {
		e.Batch.Decisions = append(e.Batch.Decisions, decision(n, i))
	}
	return e
}

func decision(n, i int) audit.Decision {
	d := audit.Decision{
		ID: DecisionID(n, i), Actor: uint32(i % 2), Offset: int64(i) * 250, Reason: 3,
		SubjectRefs: []audit.SubjectRef{audit.SubjectRef(fmt.Sprintf("s-%d", (n+i)%3)), audit.SubjectRef(fmt.Sprintf("s-one-%d", i))},
		Activity:    uint32(i % 3 / 2 * 2), Version: int64(i % 4),
	}
	if i%2 == 0 {
		d.Trace = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, uint64(n)), uint64(i)+1)
	}
	if i%3 == 0 {
		d.Allowed, d.Reason, d.Consent = true, 1, DecisionID(n, 1000+i)
	}
	if i%4 == 1 {
		d.Recipient = 5
	}
	return d
}

// DecisionID returns the id of a decision of Decisions, a UUIDv7 that a clock gave which went on by 20 ms from one to the next.
func DecisionID(n, i int) []byte {
	id := binary.BigEndian.AppendUint64(nil, uint64(Base.UnixMilli()+int64(n)*1000+int64(i)*20)<<16|0x7000)
	return binary.BigEndian.AppendUint64(id, 0x8000_0000_0000_0000|uint64(n)<<16|uint64(i))
}
