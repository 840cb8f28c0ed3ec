package rpc

import (
	"context"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/page"
	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
)

// ListErasures lists erasures, newest first.
func (s *Server) ListErasures(ctx context.Context, req *erasurev1.ListErasuresRequest) (*erasurev1.ListErasuresResponse, error) {
	c := parseParent(req.GetParent())
	outbox.About(ctx, req.GetParent())
	size, err := page.Size(req.GetPageSize())
	if err != nil {
		return nil, fault.BadField("pageSize", "must not be negative").Because(err)
	}
	key, binding := s.Keyring.Derive("page"), page.Binding{Controller: string(c), Method: erasurev1.Erasures_ListErasures_FullMethodName}
	before, err := page.Decode(key, binding, req.GetPageToken())
	if err != nil {
		return nil, fault.BadField("pageToken", "does not belong to this list; start again without one").Because(err)
	}
	list, err := s.Store.List(ctx, c, string(before), size+1)
	if err != nil {
		return nil, err
	}
	resp := &erasurev1.ListErasuresResponse{}
	if len(list) > size {
		list = list[:size]
		if resp.NextPageToken, err = page.Encode(key, binding, []byte(list[size-1].ID)); err != nil {
			return nil, err
		}
	}
	for _, e := range list {
		resp.Erasures = append(resp.Erasures, erasureMessage(e))
	}
	return resp, nil
}
