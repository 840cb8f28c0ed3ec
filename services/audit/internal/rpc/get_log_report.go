package rpc

import (
	"context"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/outbox"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	authv1 "github.com/privacyops/privacyops/proto/gen/privacyops/auth/v1"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
	"github.com/privacyops/privacyops/services/audit/internal/monitor"
)

// GetLogReport gives the status report of one day. A day that has not ended is reported as far as it has come.
func (s *Monitoring) GetLogReport(ctx context.Context, req *auditv1.GetLogReportRequest) (*auditv1.LogReport, error) {
	outbox.About(ctx, req.GetParent())
	today := clock.DateOf(s.clock.Now(), s.zone)
	date := today.AddDays(-1)
	if req.GetDate() != "" {
		var err error
		if date, err = clock.ParseDate(req.GetDate()); err != nil || today.Before(date) {
			return nil, fault.BadField("date", "must be a day of the calendar that has begun, such as 2026-11-21")
		}
	}
	start, end := midnight(date, s.zone), midnight(date.AddDays(1), s.zone)
	r, err := s.alerts.Report(ctx, audit.ControllerID(strings.TrimPrefix(req.GetParent(), "controllers/")), start, end)
	if err != nil {
		return nil, err
	}
	out := reportMessage(r)
	out.Parent, out.Date, out.StartTime, out.EndTime = req.GetParent(), date.String(), timestamppb.New(start), timestamppb.New(end)
	return out, nil
}

// midnight is when a day begins.
func midnight(d clock.Date, zone *time.Location) time.Time {
	return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, zone)
}

func reportMessage(r monitor.Report) *auditv1.LogReport {
	out := &auditv1.LogReport{FirstSequence: int64(r.First), LastSequence: int64(r.Last), EventCount: r.Events(),
		Verifications: r.Verifications, FailedVerifications: r.FailedVerifications, LongestPublicationMs: r.Longest.Milliseconds()}
	for _, c := range r.Counts {
		out.Counts = append(out.Counts, &auditv1.LogReport_Count{Kind: authv1.Rule_EventKind(authv1.Rule_EventKind_value[string(c.Kind)]),
			Action: c.Action, Outcome: string(c.Outcome), Count: c.Count})
		if c.Kind == audit.KindLogin {
			out.LoginCount += c.Count
		}
	}
	for _, a := range r.Alerts {
		out.Alerts = append(out.Alerts, alertMessage(a))
	}
	return out
}
