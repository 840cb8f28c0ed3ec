package rpc

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/page"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	typev1 "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
	"github.com/privacyops/privacyops/services/audit/internal/monitor"
)

// Monitoring implements the service AuditMonitoring.
type Monitoring struct {
	auditv1.UnsafeAuditMonitoringServer
	alerts  monitor.Alerts
	clock   clock.Clock
	pageKey []byte
	zone    *time.Location
}

var _ auditv1.AuditMonitoringServer = (*Monitoring)(nil)

// NewMonitoring returns a server. Days are those of zone: the audit service knows no controller's own.
func NewMonitoring(alerts monitor.Alerts, c clock.Clock, k *keyring.Keyring, zone *time.Location) *Monitoring {
	return &Monitoring{alerts: alerts, clock: c, pageKey: k.Derive("audit/alerts/page"), zone: zone}
}

// Register puts the service on a server.
func (s *Monitoring) Register(r grpc.ServiceRegistrar) { auditv1.RegisterAuditMonitoringServer(r, s) }

// list gives a page of alerts; controller is empty for the suite's.
func (s *Monitoring) list(ctx context.Context, controller, method string, size int32, token string) (*auditv1.ListAlertsResponse, error) {
	limit, err := page.Size(size)
	if err != nil {
		return nil, fault.BadField("page_size", err.Error())
	}
	binding := page.Binding{Controller: controller, Method: method}
	before, err := page.Decode(s.pageKey, binding, token)
	if err != nil {
		return nil, fault.BadField("page_token", page.ErrInvalid.Error())
	}
	alerts, err := s.alerts.List(ctx, audit.ControllerID(controller), monitor.AlertID(before), limit+1)
	if err != nil {
		return nil, err
	}
	out := &auditv1.ListAlertsResponse{}
	if len(alerts) > limit {
		alerts = alerts[:limit]
		if out.NextPageToken, err = page.Encode(s.pageKey, binding, []byte(alerts[limit-1].ID)); err != nil {
			return nil, err
		}
	}
	for _, a := range alerts {
		out.Alerts = append(out.Alerts, alertMessage(a))
	}
	return out, nil
}

// acknowledge notes that the caller looks after an alert.
func (s *Monitoring) acknowledge(ctx context.Context, controller, id, name, note string) (*auditv1.Alert, error) {
	outbox.About(ctx, name)
	a, err := s.alerts.Acknowledge(ctx, audit.ControllerID(controller), monitor.AlertID(id), access.CallerFrom(ctx).Ref, note, s.clock.Now())
	if errors.Is(err, monitor.ErrNotFound) {
		return nil, fault.Missing().Because(err)
	}
	if err != nil {
		return nil, err
	}
	return alertMessage(a), nil
}

func alertMessage(a monitor.Alert) *auditv1.Alert {
	out := &auditv1.Alert{
		Name: a.Name(), Rule: a.Rule, Severity: auditv1.Alert_Severity(auditv1.Alert_Severity_value[a.Severity.String()]), State: auditv1.Alert_OPEN,
		Summary:   &typev1.LocalizedText{Da: a.Summary.Danish, En: a.Summary.English},
		RaiseTime: timestamppb.New(a.Raised), LastTime: timestamppb.New(a.Last), Count: a.Count,
	}
	for _, id := range a.Events {
		out.Events = append(out.Events, a.EventName(id))
	}
	if !a.Acknowledged.IsZero() {
		out.State, out.AcknowledgeTime = auditv1.Alert_ACKNOWLEDGED, timestamppb.New(a.Acknowledged)
		out.AcknowledgedBy, out.Note = a.AcknowledgedBy, a.Note
	}
	for _, d := range a.Deliveries {
		m := &auditv1.Delivery{Webhook: d.Webhook, State: auditv1.Delivery_State(auditv1.Delivery_State_value[string(d.State)]),
			Attempts: int32(d.Attempts), Reason: d.Reason}
		if d.State == monitor.Pending {
			m.NextAttemptTime = timestamppb.New(d.Next)
		}
		out.Deliveries = append(out.Deliveries, m)
	}
	return out
}
