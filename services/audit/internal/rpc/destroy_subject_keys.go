package rpc

import (
	"context"

	"github.com/privacyops/privacyops/libs/access"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	"github.com/privacyops/privacyops/services/audit/internal/keys"
)

// DestroySubjectKeys destroys the keys of one person. When it answers they are gone, and the log has the entry that says so; that one
// is the call's only event. After a failure it is called again.
func (s *Keys) DestroySubjectKeys(ctx context.Context, req *auditv1.DestroySubjectKeysRequest) (*auditv1.DestroySubjectKeysResponse, error) {
	if err := own("erasure", req.GetErasure(), req.GetParent()); err != nil {
		return nil, err
	}
	n, err := s.destroyer.Subjects(ctx, controllerOf(req.GetParent()), refsOf(req.GetSubjectRefs()),
		keys.Cause{Resource: req.GetErasure(), Service: access.CallerFrom(ctx).Service})
	if err != nil {
		return nil, translate(err)
	}
	return &auditv1.DestroySubjectKeysResponse{Destroyed: int32(n)}, nil
}
