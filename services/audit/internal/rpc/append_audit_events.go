package rpc

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/fault"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

// AppendAuditEvents accepts events durably. It fails with PERMISSION_DENIED when an event is not the caller's own,
// INVALID_ARGUMENT when one breaks a rule (then none is accepted), and ALREADY_EXISTS when an id was used before for
// something else (then the others are accepted).
func (s *Server) AppendAuditEvents(ctx context.Context, req *auditv1.AppendAuditEventsRequest) (*auditv1.AppendAuditEventsResponse, error) {
	events := make([]audit.Event, len(req.GetEvents()))
	for i, e := range req.GetEvents() {
		if e.GetService() != access.CallerFrom(ctx).Service {
			return nil, fault.New(fault.Denied, "FOREIGN_SERVICE", "A service reports its own events only.")
		}
		events[i] = eventOf(e)
	}
	receipts, err := s.cfg.Recorder.Accept(ctx, events)
	var invalid *audit.InvalidEventError
	if errors.As(err, &invalid) {
		return nil, fault.BadField(fmt.Sprintf("events[%d].%s", invalid.Position, invalid.Err.Field), invalid.Err.Problem)
	}
	if err != nil {
		return nil, translate(err)
	}
	s.watchClocks(ctx, events, receipts)
	for i, r := range receipts {
		if r.Status == audit.Conflict {
			return nil, fault.Newf(fault.Exists, "EVENT_ID_REUSED", "events[%d].id was used before for another event.", i).With("event", string(r.ID))
		}
	}
	return &auditv1.AppendAuditEventsResponse{}, nil
}

// watchClocks measures how the reporting service's clock stands to ours (logging duty L.2: one source of time). The last
// event of a report is the one that waited least.
func (s *Server) watchClocks(ctx context.Context, events []audit.Event, receipts []audit.Receipt) {
	last := len(events) - 1
	if last < 0 || receipts[last].Status != audit.Accepted {
		return
	}
	ahead := events[last].OccurredTime.Sub(receipts[last].ReceivedTime)
	s.ahead.Record(ctx, ahead.Seconds(), metric.WithAttributes(attribute.String("service", events[last].Service)))
}

// eventOf translates a reported event. What has no counterpart becomes a value that audit.Event.Validate refuses.
func eventOf(e *auditv1.ReportedEvent) audit.Event {
	out := audit.Event{
		ID: audit.EventID(e.GetId()), Controller: audit.ControllerID(e.GetController()), Service: e.GetService(),
		Actor:  audit.Actor{Kind: audit.ActorKind(e.GetActor().GetKind().String()), Ref: e.GetActor().GetRef()},
		Action: e.GetAction(), Kind: audit.Kind(e.GetKind().String()), Resource: e.GetResource(),
		Outcome: audit.Outcome(e.GetOutcome().String()), Reason: e.GetReason(), TraceParent: e.GetTraceparent(),
		Detail: e.GetDetail(),
	}
	if e.GetOccurTime().CheckValid() == nil {
		out.OccurredTime = e.GetOccurTime().AsTime()
	}
	for _, role := range e.GetActor().GetRoles() {
		out.Actor.Roles = append(out.Actor.Roles, strings.ToLower(role.String()))
	}
	for _, ref := range e.GetSubjectRefs() {
		out.SubjectRefs = append(out.SubjectRefs, audit.SubjectRef(ref))
	}
	return out
}
