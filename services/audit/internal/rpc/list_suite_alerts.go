package rpc

import (
	"context"

	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
)

// ListSuiteAlerts lists the alerts that concern no single controller, newest first.
func (s *Monitoring) ListSuiteAlerts(ctx context.Context, req *auditv1.ListSuiteAlertsRequest) (*auditv1.ListAlertsResponse, error) {
	return s.list(ctx, "", auditv1.AuditMonitoring_ListSuiteAlerts_FullMethodName, req.GetPageSize(), req.GetPageToken())
}
