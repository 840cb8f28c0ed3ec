package rpc

import (
	"context"

	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
	"github.com/privacyops/privacyops/services/erasure/internal/erasure"
)

// CancelErasure calls an erasure back.
func (s *Server) CancelErasure(ctx context.Context, req *erasurev1.CancelErasureRequest) (*erasurev1.Erasure, error) {
	return s.decide(ctx, req.GetName(), func(e *erasure.Erasure) (bool, error) {
		return e.Cancel(req.GetReason(), s.Clock.Now())
	})
}
