package store

import (
	"context"
	"fmt"
	"time"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
	"github.com/privacyops/privacyops/services/audit/internal/monitor"
)

// Report implements monitor.Alerts. Verifications are the suite's own events, which concern every controller alike.
func (s *Monitor) Report(ctx context.Context, c audit.ControllerID, start, end time.Time) (r monitor.Report, err error) {
	from, to := sqldb.Micros(start), sqldb.Micros(end)
	err = s.db.Read(ctx, func(ctx context.Context, q sqldb.Querier) error {
		var first, last, longest int64
		err := q.QueryRow(ctx, `SELECT COALESCE(MIN(controller_sequence), 0), COALESCE(MAX(controller_sequence), 0) FROM entry
			WHERE controller = $1 AND received_at >= $2 AND received_at < $3`, string(c), from, to).Scan(&first, &last)
		if err != nil {
			return err
		}
		r.First, r.Last = uint64(first), uint64(last)
		err = q.QueryRow(ctx, `SELECT COALESCE(MAX(longest), 0) FROM monitor_published WHERE controller = $1 AND hour >= $2 AND hour < $3`,
			string(c), start.Unix()/3600, (end.Unix()+3599)/3600).Scan(&longest)
		if err != nil {
			return err
		}
		r.Longest = time.Duration(longest) * time.Microsecond
		if r.Counts, err = collect(ctx, q, scanCount, `SELECT kind, action, outcome, SUM(CASE WHEN decisions > 0 THEN decisions ELSE 1 END) FROM entry
			WHERE controller = $1 AND received_at >= $2 AND received_at < $3 GROUP BY kind, action, outcome ORDER BY 4 DESC, 2, 3, 1`,
			string(c), from, to); err != nil {
			return err
		}
		if err := verifications(ctx, q, &r, from, to); err != nil {
			return err
		}
		r.Alerts, err = withDeliveries(ctx, q, c, `SELECT `+alertColumns+` FROM alert a
			WHERE a.controller = $1 AND a.raised_at >= $2 AND a.raised_at < $3 ORDER BY a.raised_at DESC, a.id DESC`, string(c), from, to)
		return err
	})
	if err != nil {
		return monitor.Report{}, fmt.Errorf("store: making a report: %w", err)
	}
	return r, nil
}

func verifications(ctx context.Context, q sqldb.Querier, r *monitor.Report, from, to int64) error {
	return q.QueryRow(ctx, `SELECT COALESCE(SUM(CASE WHEN outcome = 'OK' THEN 1 ELSE 0 END), 0), COALESCE(SUM(CASE WHEN outcome = 'OK' THEN 0 ELSE 1 END), 0)
		FROM entry WHERE controller = '' AND received_at >= $1 AND received_at < $2 AND action = 'audit.verify'`, from, to).
		Scan(&r.Verifications, &r.FailedVerifications)
}

func scanCount(rows sqldb.Rows) (c monitor.Count, err error) {
	err = rows.Scan((*string)(&c.Kind), &c.Action, (*string)(&c.Outcome), &c.Count)
	return c, err
}
