package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
	"github.com/privacyops/privacyops/services/audit/internal/monitor"
)

const alertColumns = `a.id, a.controller, a.rule, a.severity, a.summary_da, a.summary_en, a.raised_at, a.last_at, a.count, a.events,
	a.acknowledged_at, a.acknowledged_by, a.note`

type scanner interface{ Scan(dest ...any) error }

// scanAlert reads the columns above, and what a query has behind them into rest.
func scanAlert(r scanner, rest ...any) (a monitor.Alert, err error) {
	var severity, raised, last, acknowledged int64
	var events string
	err = r.Scan(append([]any{(*string)(&a.ID), (*string)(&a.Controller), &a.Rule, &severity, &a.Summary.Danish, &a.Summary.English,
		&raised, &last, &a.Count, &events, &acknowledged, &a.AcknowledgedBy, &a.Note}, rest...)...)
	if err != nil {
		return a, err
	}
	a.Severity, a.Raised, a.Last = monitor.Severity(severity), sqldb.Time(raised), sqldb.Time(last)
	if acknowledged > 0 {
		a.Acknowledged = sqldb.Time(acknowledged)
	}
	return a, json.Unmarshal([]byte(events), &a.Events)
}

// List implements monitor.Alerts.
func (s *Monitor) List(ctx context.Context, c audit.ControllerID, before monitor.AlertID, limit int) (out []monitor.Alert, err error) {
	query, args := `SELECT `+alertColumns+` FROM alert a WHERE a.controller = $1 ORDER BY a.id DESC LIMIT $2`, []any{string(c), limit}
	if before != "" {
		query = `SELECT ` + alertColumns + ` FROM alert a WHERE a.controller = $1 AND a.id < $2 ORDER BY a.id DESC LIMIT $3`
		args = []any{string(c), string(before), limit}
	}
	err = s.db.Read(ctx, func(ctx context.Context, q sqldb.Querier) error {
		out, err = withDeliveries(ctx, q, c, query, args...)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("store: listing alerts: %w", err)
	}
	return out, nil
}

func withDeliveries(ctx context.Context, q sqldb.Querier, c audit.ControllerID, query string, args ...any) ([]monitor.Alert, error) {
	alerts, err := collect(ctx, q, func(r sqldb.Rows) (monitor.Alert, error) { return scanAlert(r) }, query, args...)
	if err != nil {
		return nil, err
	}
	for i := range alerts {
		alerts[i].Deliveries, err = collect(ctx, q, scanDelivery, `SELECT d.alert, d.webhook, d.state, d.attempts, d.next_at, d.reason
			FROM alert_delivery d JOIN alert a ON a.id = d.alert WHERE a.controller = $1 AND a.id = $2 ORDER BY d.webhook`, string(c), string(alerts[i].ID))
		if err != nil {
			return nil, err
		}
	}
	return alerts, nil
}

func scanDelivery(r sqldb.Rows) (d monitor.Delivery, err error) {
	var attempts, next int64
	err = r.Scan((*string)(&d.Alert), &d.Webhook, (*string)(&d.State), &attempts, &next, &d.Reason)
	d.Attempts, d.Next = int(attempts), sqldb.Time(next)
	return d, err
}

// Acknowledge implements monitor.Alerts. The event of the call is written with it.
func (s *Monitor) Acknowledge(ctx context.Context, c audit.ControllerID, id monitor.AlertID, by, note string, now time.Time) (a monitor.Alert, err error) {
	err = s.db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
		n, err := tx.Exec(ctx, `UPDATE alert SET acknowledged_at = $1, acknowledged_by = $2, note = $3
			WHERE controller = $4 AND id = $5 AND acknowledged_at = 0`, sqldb.Micros(now), by, note, string(c), string(id))
		if err != nil {
			return err
		}
		found, err := withDeliveries(ctx, tx, c, `SELECT `+alertColumns+` FROM alert a WHERE a.controller = $1 AND a.id = $2`, string(c), string(id))
		switch {
		case err != nil:
			return err
		case len(found) == 0:
			return monitor.ErrNotFound
		}
		a = found[0]
		if n == 0 {
			return nil // somebody has it already; the call's event says that it was asked
		}
		before := a
		before.Acknowledged, before.AcknowledgedBy, before.Note = time.Time{}, "", "" // as the condition says
		_, err = s.recorder.Record(ctx, tx, outbox.Event{Resource: a.Name(), Before: before.Recorded(), After: a.Recorded()})
		return err
	})
	if err != nil {
		return a, fmt.Errorf("store: acknowledging an alert: %w", errAlert(err))
	}
	return a, nil
}

// Due implements monitor.Deliveries.
func (s *Monitor) Due(ctx context.Context, now time.Time, limit int) (out []monitor.Outgoing, err error) {
	err = s.db.Read(ctx, func(ctx context.Context, q sqldb.Querier) error {
		out, err = collect(ctx, q, func(r sqldb.Rows) (o monitor.Outgoing, err error) {
			var attempts, next int64
			o.Of, err = scanAlert(r, &o.Webhook, (*string)(&o.State), &attempts, &next, &o.Reason)
			o.Alert, o.Attempts, o.Next = o.Of.ID, int(attempts), sqldb.Time(next)
			return o, err
		}, `SELECT `+alertColumns+`, d.webhook, d.state, d.attempts, d.next_at, d.reason
			FROM alert_delivery d JOIN alert a ON a.id = d.alert WHERE d.state = 'PENDING' AND d.next_at <= $1 ORDER BY d.next_at LIMIT $2`,
			sqldb.Micros(now), limit)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("store: reading deliveries: %w", err)
	}
	return out, nil
}

// Settle implements monitor.Deliveries.
func (s *Monitor) Settle(ctx context.Context, d monitor.Delivery) error {
	return s.db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE alert_delivery SET state = $1, attempts = $2, next_at = $3, reason = $4 WHERE alert = $5 AND webhook = $6`,
			string(d.State), int64(d.Attempts), sqldb.Micros(d.Next), d.Reason, string(d.Alert), d.Webhook); err != nil {
			return fmt.Errorf("store: noting a delivery: %w", err)
		}
		return nil
	})
}
