package rpc

import (
	"context"
	"strings"

	"github.com/privacyops/privacyops/libs/fault"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
)

// AcknowledgeAlert notes that a person has taken care of an alert. One that is acknowledged stays as it is.
func (s *Monitoring) AcknowledgeAlert(ctx context.Context, req *auditv1.AcknowledgeAlertRequest) (*auditv1.Alert, error) {
	parts := strings.Split(req.GetName(), "/") // controllers/{controller}/alerts/{alert}
	if len(parts) != 4 {
		return nil, fault.BadField("name", "must be controllers/{controller}/alerts/{alert}")
	}
	return s.acknowledge(ctx, parts[1], parts[3], req.GetName(), req.GetNote())
}
