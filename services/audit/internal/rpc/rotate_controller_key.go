package rpc

import (
	"context"

	"github.com/privacyops/privacyops/libs/outbox"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
)

// RotateControllerKey replaces the key over a controller's keys. A controller without a key is no error: the answer says how many there were.
func (s *Keeping) RotateControllerKey(ctx context.Context, req *auditv1.RotateControllerKeyRequest) (*auditv1.RotateControllerKeyResponse, error) {
	if err := s.notes.RecordAlone(ctx, outbox.Event{Resource: req.GetParent() + "/auditKey"}); err != nil {
		return nil, err
	}
	n, err := s.keeper.Rotate(ctx, controllerOf(req.GetParent()))
	if err != nil {
		return nil, translate(err)
	}
	return &auditv1.RotateControllerKeyResponse{Rewrapped: int32(n)}, nil
}
