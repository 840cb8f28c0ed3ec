package rpc

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"google.golang.org/grpc/metadata"

	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/outbox"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
	"github.com/privacyops/privacyops/services/audit/internal/monitor"
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
	s.hear(ctx, events)
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

// hear takes a report as a sign of life of the service that says when it has sent it.
func (s *Server) hear(ctx context.Context, events []audit.Event) {
	values := metadata.ValueFromIncomingContext(ctx, outbox.SentHeader)
	if len(values) != 1 {
		return
	}
	micros, err := strconv.ParseInt(values[0], 10, 64)
	if err != nil {
		return
	}
	sign := monitor.Sign{Service: access.CallerFrom(ctx).Service, Sent: time.UnixMicro(micros).UTC()}
	for _, e := range events {
		if sign.Oldest.IsZero() || e.OccurredTime.Before(sign.Oldest) {
			sign.Oldest = e.OccurredTime
		}
	}
	s.cfg.Heard(sign)
}

// watchClocks measures how the reporting service's clock stands to ours (logging duty L.2: one source of time). The last
// event of a report is the one that waited least.
func (s *Server) watchClocks(ctx context.Context, events []audit.Event, receipts []audit.Receipt) {
	last := len(events) - 1
	if last < 0 || receipts[last].Status != audit.Accepted {
		return
	}
	ahead := events[last].OccurredTime.Sub(receipts[last].ReceivedTime)
	service := events[last].Service
	set, ok := s.services.Load(service)
	if !ok {
		set, _ = s.services.LoadOrStore(service, metric.WithAttributeSet(attribute.NewSet(attribute.String("service", service))))
	}
	s.ahead.Record(ctx, ahead.Seconds(), set.(metric.RecordOption)) //nolint:forcetypeassert // nothing else is stored
}

// eventOf translates a reported event. What has no counterpart becomes a value that audit.Event.Validate refuses.
func eventOf(e *auditv1.ReportedEvent) audit.Event {
	out := audit.Event{
		ID: audit.EventID(e.GetId()), Controller: audit.ControllerID(e.GetController()), Service: e.GetService(),
		Actor:  actorOf(e.GetActor()),
		Action: e.GetAction(), Kind: audit.Kind(e.GetKind().String()), Resource: e.GetResource(),
		Outcome: audit.Outcome(e.GetOutcome().String()), Reason: e.GetReason(), TraceParent: e.GetTraceparent(),
		Detail: e.GetDetail(), BeforeDigest: e.GetBeforeDigest(), AfterDigest: e.GetAfterDigest(), Batch: batchOf(e.GetDecisions()),
	}
	if e.GetOccurTime().CheckValid() == nil {
		out.OccurredTime = e.GetOccurTime().AsTime()
	}
	out.SubjectRefs = refsOf(e.GetSubjectRefs())
	return out
}

func actorOf(a *auditv1.Actor) audit.Actor {
	out := audit.Actor{Kind: audit.ActorKind(a.GetKind().String()), Ref: a.GetRef()}
	for _, role := range a.GetRoles() {
		out.Roles = append(out.Roles, strings.ToLower(role.String()))
	}
	return out
}

func refsOf(refs []string) []audit.SubjectRef {
	if len(refs) == 0 {
		return nil
	}
	out := make([]audit.SubjectRef, len(refs))
	for i, ref := range refs {
		out[i] = audit.SubjectRef(ref)
	}
	return out
}

// batchOf translates decisions; nil stays nil.
func batchOf(b *auditv1.DecisionBatch) *audit.Batch {
	if b == nil {
		return nil
	}
	out := &audit.Batch{Texts: b.GetTexts(), Decisions: make([]audit.Decision, len(b.GetDecisions()))}
	for _, a := range b.GetActors() {
		out.Actors = append(out.Actors, actorOf(a))
	}
	for i, d := range b.GetDecisions() {
		out.Decisions[i] = audit.Decision{
			ID: d.GetId(), Actor: d.GetActor(), Offset: d.GetOffsetMicros(), Trace: d.GetTraceId(), SubjectRefs: refsOf(d.GetSubjectRefs()),
			Activity: d.GetActivity(), Version: d.GetVersion(), Allowed: d.GetAllowed(), Reason: d.GetReason(),
			Recipient: d.GetRecipient(), Consent: d.GetConsent(),
		}
	}
	return out
}
