package rpc

import (
	"context"

	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
	"github.com/privacyops/privacyops/services/erasure/internal/erasure"
)

// RejectErasure declines an erasure.
func (s *Server) RejectErasure(ctx context.Context, req *erasurev1.RejectErasureRequest) (*erasurev1.Erasure, error) {
	return s.decide(ctx, req.GetName(), func(e *erasure.Erasure) (bool, error) {
		return e.Reject(req.GetReason(), s.Clock.Now())
	})
}
