package rpc

import (
	"context"

	"github.com/privacyops/privacyops/libs/access"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	"github.com/privacyops/privacyops/services/audit/internal/keys"
)

// DestroyControllerKey destroys the key over all of a controller's keys, and these. When it answers they are gone, and the log has the
// entry that says so; that one is the call's only event.
func (s *Keys) DestroyControllerKey(ctx context.Context, req *auditv1.DestroyControllerKeyRequest) (*auditv1.DestroyControllerKeyResponse, error) {
	if err := own("termination", req.GetTermination(), req.GetParent()); err != nil {
		return nil, err
	}
	done, err := s.destroyer.Controller(ctx, controllerOf(req.GetParent()),
		keys.Cause{Resource: req.GetTermination(), Service: access.CallerFrom(ctx).Service})
	if err != nil {
		return nil, translate(err)
	}
	return &auditv1.DestroyControllerKeyResponse{Destroyed: done}, nil
}
