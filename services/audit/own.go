package audit

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/metric"
	"google.golang.org/grpc"

	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/outbox"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

// ownClient reports this service's own events to itself, without a network in between.
type ownClient struct {
	server auditv1.AuditIngestServer
}

// AppendAuditEvents implements auditv1.AuditIngestClient.
func (c ownClient) AppendAuditEvents(ctx context.Context, req *auditv1.AppendAuditEventsRequest, _ ...grpc.CallOption) (*auditv1.AppendAuditEventsResponse, error) {
	return c.server.AppendAuditEvents(access.WithCaller(ctx, access.Caller{Service: name}), req)
}

// verifyAtIntervals compares log and index, at once and then at intervals; after that the shards whose time is over are dropped: nothing is
// removed of a log that was not just found sound. Each comparison is itself an event, so that the
// log shows when it was found sound (logging duty L.5).
func (s *Service) verifyAtIntervals(ctx context.Context) {
	tick := time.NewTicker(s.cfg.VerifyInterval)
	defer tick.Stop()
	for {
		if s.verify(ctx) {
			s.retain(ctx)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (s *Service) verify(ctx context.Context) (sound bool) {
	report, err := s.verifier.Verify(ctx)
	log := s.cfg.Telemetry.Log
	switch {
	case ctx.Err() != nil:
		return false
	case err != nil:
		log.ErrorContext(ctx, "the log could not be verified", "error_kind", fmt.Sprintf("%T", err))
	case report.Finding != nil:
		log.ErrorContext(ctx, "the log and its index contradict each other", "index", report.Finding.Index, "reason", report.Finding.Problem)
	}
	if err := s.outbox.RecordAlone(ctx, verification(report, err)); err != nil {
		log.ErrorContext(ctx, "a verification left no audit event", "error_kind", fmt.Sprintf("%T", err))
	}
	return err == nil && report.Finding == nil
}

// retain drops the shards whose time is over. What fails is tried again after the next verification.
func (s *Service) retain(ctx context.Context) {
	dropped, err := s.retention.Run(ctx)
	if dropped > 0 {
		s.cfg.Telemetry.Log.InfoContext(ctx, "the retention period of years of the log is over; they were dropped", "count", dropped)
	}
	if err != nil && ctx.Err() == nil {
		s.cfg.Telemetry.Log.ErrorContext(ctx, "a year of the log could not be dropped; trying again", "error_kind", fmt.Sprintf("%T", err))
	}
}

// verification is the event of a comparison.
func verification(report audit.Report, err error) outbox.Event {
	e := outbox.Event{Action: "audit.verify", Kind: outbox.AuditRead, Detail: map[string]string{"checked": strconv.FormatUint(report.Checked, 10)}}
	switch {
	case err != nil:
		e.Outcome, e.Reason = outbox.Failed, "VERIFICATION_FAILED"
	case report.Finding != nil:
		e.Outcome, e.Reason = outbox.Failed, "LOG_CONTRADICTED"
		e.Detail["index"] = strconv.FormatUint(report.Finding.Index, 10)
	}
	return e
}

// measure publishes how far the index lags behind the log (what was accepted and cannot be found yet), and how long the oldest event
// waits to be public. Where nobody can say how long there is no figure.
func (s *Service) measure(meter metric.Meter) error {
	waiting, err := meter.Int64ObservableGauge("audit.queue.size", metric.WithDescription("Accepted events that the log has and its index does not yet"))
	if err != nil {
		return err
	}
	age, err := meter.Float64ObservableGauge("audit.queue.age", metric.WithUnit("s"), metric.WithDescription("How long the oldest of them has waited"))
	if err != nil {
		return err
	}
	lag, err := meter.Float64ObservableGauge("audit.publication.lag", metric.WithUnit("s"),
		metric.WithDescription("How long the oldest event that has come in has waited to be in the log, in its index and under a checkpoint"))
	if err != nil {
		return err
	}
	s.measuring, err = meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		count, oldest := s.follower.Backlog()
		o.ObserveInt64(waiting, int64(count))
		waited := 0.0
		if count > 0 {
			waited = s.cfg.Clock.Now().Sub(oldest).Seconds()
		}
		o.ObserveFloat64(age, waited)
		if late, err := s.publicationLag(ctx); err == nil {
			o.ObserveFloat64(lag, late.Seconds())
		}
		return nil
	}, waiting, age, lag)
	return err
}
