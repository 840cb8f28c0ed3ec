package rest

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"go.opentelemetry.io/otel/propagation"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/telemetry"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
)

// reportTime bounds how long a refusal waits for its event to be accepted.
const reportTime = 2 * time.Second

// notReached is the reason in the event of a call for another controller's resource. The caller is told NOT_FOUND.
const notReached = "CONTROLLER_NOT_REACHED"

var controllerID = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// denials reports the calls that the gateway refused to the audit service.
type denials struct {
	audit auditv1.AuditIngestClient
	clock clock.Clock
	newID func() string
	log   *slog.Logger
}

// report writes the event of a refused call. The call is refused in any case, so an event that is not accepted is logged and
// changes nothing.
func (d *denials) report(ctx context.Context, rule *access.Method, c access.Caller, controller string, why error) {
	if !c.HasToken() || rule.GetEvent() == "" {
		return
	}
	// The caller may be gone, which does not undo the attempt; and the event is the gateway's call, not the caller's.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), reportTime)
	defer cancel()
	ctx = metadata.NewOutgoingContext(ctx, metadata.MD{})
	_, err := d.audit.AppendAuditEvents(ctx, &auditv1.AppendAuditEventsRequest{
		Events: []*auditv1.ReportedEvent{d.event(ctx, rule, c, controller, why)}})
	if err != nil {
		d.log.ErrorContext(ctx, "a refused call left no audit event", "method", rule.FullName, "error_kind", fmt.Sprintf("%T", err))
	}
}

func (d *denials) event(ctx context.Context, rule *access.Method, c access.Caller, controller string, why error) *auditv1.ReportedEvent {
	f, reason := fault.From(why), ""
	if reason = f.Reason(); f.Kind() == fault.NotFound {
		reason = notReached
	}
	if !c.Reaches(controller) || !controllerID.MatchString(controller) {
		controller = "" // whose resource was tried is nobody's business in a log that the caller's controller reads
	}
	carrier := propagation.MapCarrier{}
	telemetry.Propagator().Inject(ctx, carrier)
	return &auditv1.ReportedEvent{
		Id: d.newID(), Service: "gateway", Controller: controller,
		Actor:  &auditv1.Actor{Kind: auditv1.Actor_CALLER, Ref: c.Ref, Roles: c.Roles},
		Action: rule.GetEvent(), Kind: rule.GetKind(), Outcome: auditv1.AuditEvent_DENIED, Reason: reason,
		Traceparent: carrier.Get("traceparent"), OccurTime: timestamppb.New(d.clock.Now()),
	}
}
