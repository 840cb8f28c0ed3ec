package rpc

import (
	"context"

	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/outbox"
	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
	"github.com/privacyops/privacyops/services/erasure/internal/erasure"
)

// ApproveErasure adds the caller's approval of exactly one plan.
func (s *Server) ApproveErasure(ctx context.Context, req *erasurev1.ApproveErasureRequest) (*erasurev1.Erasure, error) {
	return s.decide(ctx, req.GetName(), func(e *erasure.Erasure) (bool, error) {
		err := e.Approve(access.CallerFrom(ctx).Ref, req.GetPlanHash(), s.Clock.Now())
		return err == nil, err
	})
}

// decide applies what a person decided about an erasure.
func (s *Server) decide(ctx context.Context, name string, fn func(*erasure.Erasure) (bool, error)) (*erasurev1.Erasure, error) {
	c, id := parseName(name)
	outbox.About(ctx, name)
	e, err := s.Store.Change(ctx, erasure.ControllerID(c), erasure.ID(id), outbox.Event{Resource: name}, fn)
	if err != nil {
		return nil, found(err)
	}
	return erasureMessage(e), nil
}
