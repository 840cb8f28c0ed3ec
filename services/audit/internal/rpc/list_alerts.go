package rpc

import (
	"context"
	"strings"

	"github.com/privacyops/privacyops/libs/outbox"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
)

// ListAlerts lists a controller's alerts, newest first.
func (s *Monitoring) ListAlerts(ctx context.Context, req *auditv1.ListAlertsRequest) (*auditv1.ListAlertsResponse, error) {
	outbox.About(ctx, req.GetParent())
	return s.list(ctx, strings.TrimPrefix(req.GetParent(), "controllers/"), auditv1.AuditMonitoring_ListAlerts_FullMethodName,
		req.GetPageSize(), req.GetPageToken())
}
