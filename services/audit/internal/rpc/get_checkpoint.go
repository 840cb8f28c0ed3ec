package rpc

import (
	"context"

	"google.golang.org/genproto/googleapis/api/httpbody"

	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
)

// GetCheckpoint gives the latest checkpoint of a shard, a signed note (C2SP tlog-checkpoint).
func (s *Server) GetCheckpoint(ctx context.Context, req *auditv1.GetCheckpointRequest) (*httpbody.HttpBody, error) {
	raw, err := s.cfg.Log.Checkpoint(ctx, int(req.GetYear()))
	if err != nil {
		return nil, translate(err)
	}
	return &httpbody.HttpBody{ContentType: "text/plain; charset=utf-8", Data: raw}, nil
}
