package rpc

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/outbox"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	"github.com/privacyops/privacyops/services/audit/internal/keys"
)

// ApproveTermination notes the caller's approval, and with the second one destroys the controller's key.
func (s *Keeping) ApproveTermination(ctx context.Context, req *auditv1.ApproveTerminationRequest) (*auditv1.Termination, error) {
	if err := s.notes.RecordAlone(ctx, outbox.Event{Resource: req.GetName()}); err != nil {
		return nil, err
	}
	t, err := s.keeper.Terminate(ctx, terminated(req.GetName()), access.CallerFrom(ctx).Ref, keys.Cause{Resource: req.GetName(), Service: "audit"})
	if err != nil {
		return nil, translate(err)
	}
	out := &auditv1.Termination{Name: req.GetName(), State: auditv1.Termination_DESTROYED, Approvals: int32(t.Approvals), RequiredApprovals: keys.RequiredApprovals}
	if !t.Destroyed {
		out.State, out.ApprovalExpireTime = auditv1.Termination_AWAITING_APPROVAL, timestamppb.New(t.Expires)
	}
	return out, nil
}
