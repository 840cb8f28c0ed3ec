package rpc

import (
	"context"
	"errors"
	"strings"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/page"
	"github.com/privacyops/privacyops/services/export/internal/export"

	exportv1 "github.com/privacyops/privacyops/proto/gen/privacyops/export/v1"
)

// ListExports lists exports, newest first: their ids sort by the time they were made.
func (s *Server) ListExports(ctx context.Context, req *exportv1.ListExportsRequest) (*exportv1.ListExportsResponse, error) {
	controller := strings.TrimPrefix(req.GetParent(), "controllers/")
	binding := page.Binding{Controller: controller, Method: exportv1.Exports_ListExports_FullMethodName}
	size, err := page.Size(req.GetPageSize())
	if err != nil {
		return nil, fault.BadField("page_size", err.Error())
	}
	cursor, err := page.Decode(s.pageKey, binding, req.GetPageToken())
	if errors.Is(err, page.ErrInvalid) {
		return nil, fault.BadField("page_token", err.Error())
	}
	if err != nil {
		return nil, err
	}
	found, err := s.Store.List(ctx, export.ControllerID(controller), export.ID(cursor), size+1)
	if err != nil {
		return nil, err
	}
	outbox.About(ctx, req.GetParent())
	out := &exportv1.ListExportsResponse{}
	for _, w := range found[:min(len(found), size)] {
		out.Exports = append(out.Exports, message(&w.Export))
	}
	if len(found) > size {
		out.NextPageToken, err = page.Encode(s.pageKey, binding, []byte(found[size-1].ID))
	}
	return out, err
}
