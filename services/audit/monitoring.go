package audit

import (
	"context"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/services/audit/internal/monitor"
	"github.com/privacyops/privacyops/services/audit/internal/rpc"
	"github.com/privacyops/privacyops/services/audit/internal/store"
	"github.com/privacyops/privacyops/services/audit/internal/webhook"
)

// monitoring is what notices things in the log, and tells of them.
type monitoring struct {
	monitor *monitor.Monitor
	sender  *webhook.Sender
	rpc     *rpc.Monitoring
	alerts  metric.Int64Counter
	tries   metric.Int64Counter
	// replayed is how many destructions of keys were done again at the start, because a database was restored.
	replayed int
}

func (s *Service) openMonitoring(ctx context.Context) error {
	m := &s.monitoring
	if m.replayed > 0 {
		if err := s.outbox.RecordAlone(ctx, outbox.Event{Action: "ledger.replay", Kind: outbox.Delete,
			Detail: map[string]string{"count": strconv.Itoa(m.replayed)}}); err != nil {
			return err
		}
	}
	if err := m.measure(s.cfg.Telemetry.Meter.Meter(scope)); err != nil {
		return err
	}
	var hooks []webhook.Webhook
	if s.cfg.Webhooks != "" {
		var err error
		if hooks, err = webhook.ReadFile(s.cfg.Webhooks); err != nil {
			return err
		}
	}
	alerts := store.NewMonitor(s.cfg.DB, s.outbox)
	m.rpc = rpc.NewMonitoring(alerts, s.cfg.Clock, s.cfg.Keyring, clock.DefaultZone())
	var err error
	m.sender, err = webhook.NewSender(webhook.Config{Webhooks: hooks, Deliveries: alerts, Clock: s.cfg.Clock,
		Allowed: s.cfg.WebhooksAllow, Tried: m.tried, Logger: s.cfg.Telemetry.Log})
	if err != nil {
		return err
	}
	m.monitor, err = monitor.New(ctx, monitor.Config{Feed: s.feed, Crowds: s.feed.Crowds(), Store: alerts, Rules: monitor.Rules(),
		Clock: s.cfg.Clock, NewID: s.cfg.NewID, Lag: s.publicationLag, To: func(a monitor.Alert) []string { return webhook.To(hooks, a) },
		Raised: m.raised, Logger: s.cfg.Telemetry.Log})
	return err
}

func (m *monitoring) register(r grpc.ServiceRegistrar) { m.rpc.Register(r) }

func (m *monitoring) run(ctx context.Context, group *errgroup.Group) {
	group.Go(func() error { m.monitor.Run(ctx); return nil })
	group.Go(func() error { m.sender.Run(ctx); return nil })
}

func (m *monitoring) measure(meter metric.Meter) (err error) {
	if m.alerts, err = meter.Int64Counter("audit.alerts", metric.WithDescription("Alerts raised")); err != nil {
		return err
	}
	for _, r := range monitor.Rules() { // so that each is there before it is first raised
		m.alerts.Add(context.Background(), 0, labels(r.Name, r.Severity))
	}
	m.tries, err = meter.Int64Counter("audit.alert.deliveries", metric.WithDescription("Attempts to deliver an alert to a webhook, by how it stands afterwards"))
	if err != nil {
		return err
	}
	for _, state := range []monitor.DeliveryState{monitor.Pending, monitor.Delivered, monitor.Dead} {
		m.tries.Add(context.Background(), 0, metric.WithAttributes(attribute.String("state", string(state))))
	}
	return nil
}

func labels(rule string, severity monitor.Severity) metric.MeasurementOption {
	return metric.WithAttributes(attribute.String("rule", rule), attribute.String("severity", severity.String()))
}

// raised is told of new alerts.
func (m *monitoring) raised(ctx context.Context, alerts []monitor.Alert) {
	for _, a := range alerts {
		m.alerts.Add(ctx, 1, labels(a.Rule, a.Severity))
	}
	m.sender.Wake()
}

// tried is told of attempts to deliver one.
func (m *monitoring) tried(ctx context.Context, d monitor.Delivery) {
	m.tries.Add(ctx, 1, metric.WithAttributes(attribute.String("state", string(d.State))))
}
