package rpc

import (
	"context"
	"strings"

	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
)

// AcknowledgeSuiteAlert is AcknowledgeAlert for alerts that concern no single controller.
func (s *Monitoring) AcknowledgeSuiteAlert(ctx context.Context, req *auditv1.AcknowledgeSuiteAlertRequest) (*auditv1.Alert, error) {
	return s.acknowledge(ctx, "", strings.TrimPrefix(req.GetName(), "alerts/"), req.GetName(), req.GetNote())
}
