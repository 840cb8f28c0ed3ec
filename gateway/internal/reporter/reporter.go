// Package reporter tells the audit service of what the gateway itself sees and no service does: log-ins, and tokens that were
// refused. It never keeps a call waiting: events go through a bounded queue and are sent until they are accepted. What does not fit
// is dropped and counted (metric gateway.audit.dropped); an event that must not be lost is not for this room.
package reporter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/telemetry"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	authv1 "github.com/privacyops/privacyops/proto/gen/privacyops/auth/v1"
)

const (
	// queued bounds the events that wait: a few megabytes.
	queued = 4096
	// batch is how many events are sent at once, and batchBytes how large they may be together: the audit service takes messages up to
	// 1 MiB, and no event has more than some 60 KiB.
	batch      = 100
	batchBytes = 512 << 10
	// sendTime bounds one attempt, and pause and longPause how long is waited after a failed one.
	sendTime  = 5 * time.Second
	pause     = 200 * time.Millisecond
	longPause = 5 * time.Second
)

// Config is what a reporter is made of. Every field is required.
type Config struct {
	Audit auditv1.AuditIngestClient
	Clock clock.Clock
	NewID func() string
	Log   *slog.Logger
	Meter metric.Meter
	// Verifier knows the ids of log-ins.
	Verifier *access.Verifier
}

// Reporter sends events. It is safe for concurrent use.
type Reporter struct {
	cfg     Config
	queue   chan *auditv1.ReportedEvent
	dropped metric.Int64Counter
	doors   access.Doors
}

// New makes a reporter. It sends nothing until [Reporter.Run].
func New(cfg Config) (*Reporter, error) {
	if cfg.Audit == nil || cfg.Clock == nil || cfg.NewID == nil || cfg.Log == nil || cfg.Meter == nil || cfg.Verifier == nil {
		return nil, errors.New("reporter: every field of the configuration is required")
	}
	dropped, err := cfg.Meter.Int64Counter("gateway.audit.dropped",
		metric.WithDescription("Events that the gateway could not hold until the audit service took them"))
	if err != nil {
		return nil, fmt.Errorf("reporter: %w", err)
	}
	return &Reporter{cfg: cfg, queue: make(chan *auditv1.ReportedEvent, queued), dropped: dropped}, nil
}

// Report takes an event that the audit service will be told of. Service, time and trace are filled in, and an id where it has none. It
// says whether there was room.
func (r *Reporter) Report(ctx context.Context, e *auditv1.ReportedEvent) bool {
	if e.GetId() == "" {
		e.Id = r.cfg.NewID()
	}
	carrier := propagation.MapCarrier{}
	telemetry.Propagator().Inject(ctx, carrier)
	e.Service, e.Traceparent, e.OccurTime = "gateway", carrier.Get("traceparent"), timestamppb.New(r.cfg.Clock.Now())
	select {
	case r.queue <- e:
		return true
	default:
		r.drop(ctx, e)
		return false
	}
}

// drop counts events that are lost.
func (r *Reporter) drop(ctx context.Context, events ...*auditv1.ReportedEvent) {
	for _, e := range events {
		r.dropped.Add(ctx, 1, metric.WithAttributes(attribute.String("action", e.GetAction())))
	}
}

// Verified is told of every token that was good. The first time it is the log-in of its holder, in the log of each controller that the
// token is for; a token for all of them logs in at the suite. Where there was no room for that it is tried again with the next call: the
// events have the same ids then, and count once.
func (r *Reporter) Verified(ctx context.Context, c access.Caller, token string) {
	if !r.doors.First(token) {
		return
	}
	controllers := c.Controllers
	if c.AllControllers {
		controllers = []string{""}
	}
	for _, controller := range controllers {
		if !r.Report(ctx, &auditv1.ReportedEvent{Id: r.cfg.Verifier.LoginID(token, "gateway", controller), Controller: controller,
			Actor:  &auditv1.Actor{Kind: auditv1.Actor_CALLER, Ref: c.Ref, Roles: c.Roles},
			Action: access.LoginAction, Kind: authv1.Rule_LOGIN, Outcome: auditv1.AuditEvent_OK}) {
			r.doors.Forget(token)
			return
		}
	}
}

// Refused is told of every call without a good token. One event a minute and reason says how many there were since the last.
func (r *Reporter) Refused(ctx context.Context, why error) {
	reason := fault.From(why).Reason()
	count, due := r.doors.Refusal(reason, r.cfg.Clock.Now())
	if !due {
		return
	}
	r.Report(ctx, &auditv1.ReportedEvent{Actor: &auditv1.Actor{Kind: auditv1.Actor_ANONYMOUS}, Action: access.RefuseAction, Kind: authv1.Rule_LOGIN,
		Outcome: auditv1.AuditEvent_DENIED, Reason: reason, Detail: map[string]string{"count": fmt.Sprint(count)}})
}

// Run sends events until ctx ends, and then what is left in one last attempt.
func (r *Reporter) Run(ctx context.Context) error {
	wait := pause
	for {
		events := r.next(ctx)
		for len(events) > 0 {
			if events = r.send(ctx, events); len(events) == 0 {
				wait = pause
				break
			}
			if ctx.Err() != nil {
				r.lose(ctx, events)
				return nil //nolint:nilerr // the end is no failure; what was lost is counted
			}
			sleep(ctx, wait)
			wait = min(2*wait, longPause)
		}
		if ctx.Err() != nil && len(r.queue) == 0 {
			return nil
		}
	}
}

// lose counts what cannot be sent any more: these events, and those that still wait.
func (r *Reporter) lose(ctx context.Context, events []*auditv1.ReportedEvent) {
	r.drop(ctx, events...)
	for {
		select {
		case e := <-r.queue:
			r.drop(ctx, e)
		default:
			return
		}
	}
}

// next waits for events; none once ctx has ended and the queue is empty.
func (r *Reporter) next(ctx context.Context) (events []*auditv1.ReportedEvent) {
	size := 0
	select {
	case e := <-r.queue:
		events, size = append(events, e), proto.Size(e)
	case <-ctx.Done():
	}
	for len(events) < batch && size < batchBytes {
		select {
		case e := <-r.queue:
			events, size = append(events, e), size+proto.Size(e)
		default:
			return events
		}
	}
	return events
}

// send reports events together and gives those that are to be sent again. When the audit service refuses them as they are, it has taken
// none: they are sent one by one, so that only what is refused is lost.
func (r *Reporter) send(ctx context.Context, events []*auditv1.ReportedEvent) (again []*auditv1.ReportedEvent) {
	ctx = metadata.NewOutgoingContext(context.WithoutCancel(ctx), metadata.MD{})
	code := r.append(ctx, events)
	switch {
	case told(code):
		return nil
	case !refused(code):
		r.waits(ctx, code)
		return events
	}
	for i, e := range events {
		if len(events) > 1 {
			code = r.append(ctx, events[i:i+1])
		}
		switch {
		case told(code):
		case refused(code):
			r.cfg.Log.ErrorContext(ctx, "the audit service does not take an event of the gateway", "event", e.GetAction(), "code", code.String())
			r.drop(ctx, e)
		default:
			r.waits(ctx, code)
			return events[i:]
		}
	}
	return nil
}

// append makes one report.
func (r *Reporter) append(ctx context.Context, events []*auditv1.ReportedEvent) codes.Code {
	ctx, cancel := context.WithTimeout(ctx, sendTime)
	defer cancel()
	_, err := r.cfg.Audit.AppendAuditEvents(ctx, &auditv1.AppendAuditEventsRequest{Events: events})
	return status.Code(err)
}

func (r *Reporter) waits(ctx context.Context, code codes.Code) {
	r.cfg.Log.WarnContext(ctx, "the gateway's events wait: the audit service does not take them", "code", code.String())
}

// told reports whether the audit service has all events of a report. ALREADY_EXISTS says that it has, and one of them under another
// time: another gateway, or this one before it was started anew, has told of that log-in.
func told(code codes.Code) bool { return code == codes.OK || code == codes.AlreadyExists }

// refused reports whether the audit service will never take a report as it is.
func refused(code codes.Code) bool {
	return code == codes.InvalidArgument || code == codes.PermissionDenied
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
