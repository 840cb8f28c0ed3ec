package rpc

import (
	"context"
	"strings"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/outbox"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

// GetAuditEventProof proves that an event is in the log; for a decision that was reported with others the leaf holds them all. For a new event it waits until a checkpoint covers it, and fails
// with UNAVAILABLE and the reason PROOF_PENDING if that takes too long.
func (s *Server) GetAuditEventProof(ctx context.Context, req *auditv1.GetAuditEventProofRequest) (*auditv1.Proof, error) {
	parts := strings.Split(req.GetName(), "/") // controllers/{controller}/auditEvents/{event}
	if len(parts) != 4 {
		return nil, fault.BadField("name", "must be controllers/{controller}/auditEvents/{event}")
	}
	outbox.About(ctx, req.GetName())
	proof, err := s.cfg.Prover.Proof(ctx, audit.ControllerID(parts[1]), audit.EventID(parts[3]))
	if err != nil {
		return nil, translate(err)
	}
	key := proof.Key
	if key == "" {
		key = s.cfg.Log.Public()
	}
	return &auditv1.Proof{
		Leaf: proof.Leaf, Index: int64(proof.Index), TreeSize: int64(proof.TreeSize), Hashes: proof.Hashes,
		Checkpoint: string(proof.Checkpoint), LogKey: key, ShardPosition: int64(proof.First),
	}, nil
}
