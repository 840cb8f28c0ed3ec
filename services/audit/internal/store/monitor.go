package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
	"github.com/privacyops/privacyops/services/audit/internal/monitor"
)

// Monitor implements monitor.Store, monitor.Alerts and monitor.Deliveries. It is safe for concurrent use.
type Monitor struct {
	db       *sqldb.DB
	recorder Recorder
}

var (
	_ monitor.Store      = (*Monitor)(nil)
	_ monitor.Alerts     = (*Monitor)(nil)
	_ monitor.Deliveries = (*Monitor)(nil)
)

// NewMonitor returns a store on db, whose schema is up to date.
func NewMonitor(db *sqldb.DB, recorder Recorder) *Monitor { return &Monitor{db, recorder} }

// Load implements monitor.Store.
func (s *Monitor) Load(ctx context.Context, now time.Time) (*monitor.Memory, error) {
	m := &monitor.Memory{Groups: map[monitor.Group]monitor.Standing{}, Heads: map[audit.ControllerID]uint64{}, Heard: map[string]time.Time{}}
	err := s.db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
		var cursor, since int64
		err := tx.QueryRow(ctx, `INSERT INTO monitor_head (id, cursor, since) VALUES (1, 0, $1)
			ON CONFLICT (id) DO UPDATE SET cursor = monitor_head.cursor RETURNING cursor, since`, sqldb.Micros(now)).Scan(&cursor, &since)
		if err != nil {
			return err
		}
		m.Cursor, m.Since = monitor.Position(cursor), sqldb.Time(since)
		return loadRest(ctx, tx, m)
	})
	if err != nil {
		return nil, fmt.Errorf("store: reading what the monitor knows: %w", err)
	}
	return m, nil
}

func loadRest(ctx context.Context, tx sqldb.Tx, m *monitor.Memory) error {
	_, err := collect(ctx, tx, func(r sqldb.Rows) (_ struct{}, err error) {
		var g monitor.Group
		var text string
		var st monitor.Standing
		if err = r.Scan(&g.Rule, (*string)(&g.Controller), &g.Who, &text); err == nil {
			err = json.Unmarshal([]byte(text), &st)
		}
		m.Groups[g] = st
		return struct{}{}, err
	}, `SELECT rule, controller, who, standing FROM monitor_group`)
	if err != nil {
		return err
	}
	_, err = collect(ctx, tx, func(r sqldb.Rows) (_ struct{}, err error) {
		var c string
		var sequence int64
		err = r.Scan(&c, &sequence)
		m.Heads[audit.ControllerID(c)] = uint64(sequence)
		return struct{}{}, err
	}, `SELECT controller, sequence FROM monitor_number`)
	if err != nil {
		return err
	}
	_, err = collect(ctx, tx, func(r sqldb.Rows) (_ struct{}, err error) {
		var service string
		var at int64
		err = r.Scan(&service, &at)
		m.Heard[service] = sqldb.Time(at)
		return struct{}{}, err
	}, `SELECT service, heard_at FROM monitor_heard`)
	return err
}

// Keep implements monitor.Store.
func (s *Monitor) Keep(ctx context.Context, step monitor.Step, to func(monitor.Alert) []string, published map[monitor.Published]time.Duration) error {
	err := s.db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
		if _, err := tx.Exec(ctx, `UPDATE monitor_head SET cursor = $1 WHERE id = 1`, int64(step.Cursor)); err != nil {
			return err
		}
		if err := keepMemory(ctx, tx, step, published); err != nil {
			return err
		}
		return keepAlerts(ctx, tx, step, to)
	})
	if err != nil {
		return fmt.Errorf("store: keeping a step of the monitor: %w", err)
	}
	return nil
}

func keepMemory(ctx context.Context, tx sqldb.Tx, step monitor.Step, published map[monitor.Published]time.Duration) error {
	for g, st := range step.Groups {
		text, err := json.Marshal(st)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO monitor_group (rule, controller, who, standing) VALUES ($1, $2, $3, $4)
			ON CONFLICT (rule, controller, who) DO UPDATE SET standing = excluded.standing`, g.Rule, string(g.Controller), g.Who, string(text)); err != nil {
			return err
		}
	}
	for c, sequence := range step.Heads {
		if _, err := tx.Exec(ctx, `INSERT INTO monitor_number (controller, sequence) VALUES ($1, $2)
			ON CONFLICT (controller) DO UPDATE SET sequence = excluded.sequence`, string(c), int64(sequence)); err != nil {
			return err
		}
	}
	for p, longest := range published {
		if _, err := tx.Exec(ctx, `INSERT INTO monitor_published (controller, hour, longest) VALUES ($1, $2, $3)
			ON CONFLICT (controller, hour) DO UPDATE SET longest = CASE WHEN excluded.longest > monitor_published.longest
				THEN excluded.longest ELSE monitor_published.longest END`, string(p.Controller), p.Hour, longest.Microseconds()); err != nil {
			return err
		}
	}
	return nil
}

func keepAlerts(ctx context.Context, tx sqldb.Tx, step monitor.Step, to func(monitor.Alert) []string) error {
	for _, a := range step.Raised {
		if err := insertAlert(ctx, tx, a); err != nil {
			return err
		}
		for _, webhook := range to(a) {
			if _, err := tx.Exec(ctx, `INSERT INTO alert_delivery (alert, webhook, state, attempts, next_at, reason) VALUES ($1, $2, $3, 0, $4, '')`,
				string(a.ID), webhook, string(monitor.Pending), sqldb.Micros(a.Raised)); err != nil {
				return err
			}
		}
	}
	for _, a := range step.Counted {
		events, err := json.Marshal(a.Events)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE alert SET last_at = $1, count = $2, events = $3 WHERE id = $4`,
			sqldb.Micros(a.Last), a.Count, string(events), string(a.ID)); err != nil {
			return err
		}
	}
	return nil
}

func insertAlert(ctx context.Context, tx sqldb.Tx, a monitor.Alert) error {
	events, err := json.Marshal(a.Events)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `INSERT INTO alert (id, controller, rule, severity, summary_da, summary_en, raised_at, last_at, count, events,
			acknowledged_at, acknowledged_by, note) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, '', '')`,
		string(a.ID), string(a.Controller), a.Rule, int64(a.Severity), a.Summary.Danish, a.Summary.English,
		sqldb.Micros(a.Raised), sqldb.Micros(a.Last), a.Count, string(events))
	return err
}

// Forget implements monitor.Store.
func (s *Monitor) Forget(ctx context.Context, groups []monitor.Group) error {
	if len(groups) == 0 {
		return nil
	}
	return s.db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
		for _, g := range groups {
			if _, err := tx.Exec(ctx, `DELETE FROM monitor_group WHERE rule = $1 AND controller = $2 AND who = $3`, g.Rule, string(g.Controller), g.Who); err != nil {
				return fmt.Errorf("store: forgetting groups: %w", err)
			}
		}
		return nil
	})
}

// Hear implements monitor.Store.
func (s *Monitor) Hear(ctx context.Context, heard map[string]time.Time) error {
	return s.db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM monitor_heard`); err != nil {
			return fmt.Errorf("store: noting signs of life: %w", err)
		}
		for service, at := range heard {
			if _, err := tx.Exec(ctx, `INSERT INTO monitor_heard (service, heard_at) VALUES ($1, $2)`, service, sqldb.Micros(at)); err != nil {
				return fmt.Errorf("store: noting signs of life: %w", err)
			}
		}
		return nil
	})
}

// errAlert translates the error of a query for one alert.
func errAlert(err error) error {
	if errors.Is(err, sqldb.ErrNoRows) {
		return monitor.ErrNotFound
	}
	return err
}
