package rpc

import (
	"context"

	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
)

// GetEvidence tells how far the gathering is.
func (s *Evidence) GetEvidence(ctx context.Context, req *auditv1.GetEvidenceRequest) (*auditv1.Evidence, error) {
	e, err := s.find(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	return evidenceMessage(e), nil
}
