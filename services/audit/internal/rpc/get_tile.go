package rpc

import (
	"context"

	"google.golang.org/genproto/googleapis/api/httpbody"

	"github.com/privacyops/privacyops/libs/fault"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
)

// GetTile gives a tile of hashes (C2SP tlog-tiles). A tile that the latest checkpoint does not cover is NOT_FOUND.
func (s *Server) GetTile(ctx context.Context, req *auditv1.GetTileRequest) (*httpbody.HttpBody, error) {
	if req.GetWidth() > 255 {
		return nil, fault.BadField("width", "must be from 1 to 255, or 0 for a full tile")
	}
	raw, err := s.cfg.Log.Tile(ctx, int(req.GetYear()), uint64(req.GetLevel()), req.GetIndex(), uint8(req.GetWidth()))
	if err != nil {
		return nil, translate(err)
	}
	return &httpbody.HttpBody{ContentType: "application/octet-stream", Data: raw}, nil
}
