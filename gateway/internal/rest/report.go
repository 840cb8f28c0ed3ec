package rest

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"time"

	"go.opentelemetry.io/otel/propagation"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/telemetry"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	authv1 "github.com/privacyops/privacyops/proto/gen/privacyops/auth/v1"
)

// reportTime bounds how long an answer waits for its event to be accepted.
const reportTime = 2 * time.Second

// notReached is the reason in the event of a call for another controller's resource. The caller is told NOT_FOUND.
const notReached = "CONTROLLER_NOT_REACHED"

var controllerID = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// reports tells the audit service of the calls that the gateway answered by itself, because no service ever hears of them.
type reports struct {
	audit auditv1.AuditIngestClient
	clock clock.Clock
	newID func() string
	log   *slog.Logger
}

// denied writes the event of a refused call. The call is refused in any case, so an event that is not accepted is logged and
// changes nothing.
func (r *reports) denied(ctx context.Context, rule *access.Method, c access.Caller, controller string, why error) {
	if !c.HasToken() || rule.GetEvent() == "" {
		return
	}
	if !c.Reaches(controller) || !controllerID.MatchString(controller) {
		controller = "" // whose resource was tried is nobody's business in a log that the caller's controller reads
	}
	e := r.event(ctx, rule, c, controller)
	f := fault.From(why)
	e.Outcome, e.Reason = auditv1.AuditEvent_DENIED, f.Reason()
	if f.Kind() == fault.NotFound {
		e.Reason = notReached
	}
	if err := r.send(ctx, e); err != nil {
		r.log.ErrorContext(ctx, "a refused call left no audit event", "method", rule.FullName, "error_kind", fmt.Sprintf("%T", err))
	}
}

// storm writes the event of a caller of whom many calls were refused. It does not wait: the call is refused as it is.
func (r *reports) storm(ctx context.Context, c access.Caller) {
	e := &auditv1.ReportedEvent{
		Id: r.newID(), Service: "gateway", Actor: &auditv1.Actor{Kind: auditv1.Actor_CALLER, Ref: c.Ref, Roles: c.Roles},
		Action: "rate_limit.storm", Kind: authv1.Rule_ADMIN, Outcome: auditv1.AuditEvent_DENIED, Reason: "RATE_LIMITED",
		OccurTime: timestamppb.New(r.clock.Now()),
	}
	go func() {
		if err := r.send(ctx, e); err != nil {
			r.log.ErrorContext(ctx, "a storm of calls left no audit event", "error_kind", fmt.Sprintf("%T", err))
		}
	}()
}

// replayed writes the event of a call that is answered from memory, with the detail that a service would give it. The answer
// must not be given where there is an error: a decision without its event is none.
func (r *reports) replayed(ctx context.Context, rule *access.Method, c access.Caller, controller string, reply proto.Message) error {
	e := r.event(ctx, rule, c, controller)
	e.Outcome, e.Detail = auditv1.AuditEvent_OK, map[string]string{"replay": "true"}
	e.Resource = textField(reply, "name")
	if ref := textField(reply, "subject_ref"); ref != "" {
		e.SubjectRefs = []string{ref} // the event of the first call lists everybody
	}
	return r.send(ctx, e)
}

func (r *reports) event(ctx context.Context, rule *access.Method, c access.Caller, controller string) *auditv1.ReportedEvent {
	carrier := propagation.MapCarrier{}
	telemetry.Propagator().Inject(ctx, carrier)
	return &auditv1.ReportedEvent{
		Id: r.newID(), Service: "gateway", Controller: controller,
		Actor:  &auditv1.Actor{Kind: auditv1.Actor_CALLER, Ref: c.Ref, Roles: c.Roles},
		Action: rule.GetEvent(), Kind: rule.GetKind(),
		Traceparent: carrier.Get("traceparent"), OccurTime: timestamppb.New(r.clock.Now()),
	}
}

// send waits until the event is accepted. The caller may be gone, which does not undo what it did; and the event is the
// gateway's call, not the caller's.
func (r *reports) send(ctx context.Context, e *auditv1.ReportedEvent) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), reportTime)
	defer cancel()
	ctx = metadata.NewOutgoingContext(ctx, metadata.MD{})
	_, err := r.audit.AppendAuditEvents(ctx, &auditv1.AppendAuditEventsRequest{Events: []*auditv1.ReportedEvent{e}})
	return err
}

// textField reads a field of text; empty where the message has none of that name.
func textField(m proto.Message, name protoreflect.Name) string {
	f := m.ProtoReflect().Descriptor().Fields().ByName(name)
	if f == nil || f.Kind() != protoreflect.StringKind || f.IsList() {
		return ""
	}
	return m.ProtoReflect().Get(f).String()
}
