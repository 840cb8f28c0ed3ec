package rpc

import (
	"context"

	exportv1 "github.com/privacyops/privacyops/proto/gen/privacyops/export/v1"
)

// GetExport reads how an export stands.
func (s *Server) GetExport(ctx context.Context, req *exportv1.GetExportRequest) (*exportv1.Export, error) {
	w, err := s.find(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	return message(&w.Export), nil
}
