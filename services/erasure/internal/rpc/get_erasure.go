package rpc

import (
	"context"

	"github.com/privacyops/privacyops/libs/outbox"
	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
	"github.com/privacyops/privacyops/services/erasure/internal/erasure"
)

// GetErasure reads how an erasure stands.
func (s *Server) GetErasure(ctx context.Context, req *erasurev1.GetErasureRequest) (*erasurev1.Erasure, error) {
	e, err := s.read(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	return erasureMessage(e), nil
}

// read finds the erasure that a call is about, and says so for the call's audit event.
func (s *Server) read(ctx context.Context, name string) (*erasure.Erasure, error) {
	c, id := parseName(name)
	e, err := s.Store.Get(ctx, erasure.ControllerID(c), erasure.ID(id))
	if err != nil {
		return nil, found(err)
	}
	outbox.About(ctx, e.Name(), e.Named()...)
	return e, nil
}
