package rpc

import (
	"context"

	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/page"
	"github.com/privacyops/privacyops/libs/sqldb"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// ListSystems lists the systems of one controller by id.
func (s *registerServer) ListSystems(ctx context.Context, req *pb.ListSystemsRequest) (*pb.ListSystemsResponse, error) {
	controller, err := parseController("parent", req.GetParent())
	if err != nil {
		return nil, err
	}
	l, err := s.listing(page.Binding{Controller: string(controller), Method: pb.Register_ListSystems_FullMethodName},
		req.GetPageSize(), req.GetPageToken())
	if err != nil {
		return nil, err
	}
	outbox.About(ctx, controllerName(controller))
	found, err := read(ctx, s.handlers, func(ctx context.Context, q sqldb.Querier) ([]consent.System, error) {
		if _, err := s.Store.Revision(ctx, q, controller); err != nil {
			return nil, err
		}
		return s.Store.Systems(ctx, q, controller, consent.SystemID(l.after), l.size+1)
	})
	if err != nil {
		return nil, err
	}
	found, next, err := cut(l, found, func(s consent.System) string { return string(s.ID) })
	if err != nil {
		return nil, err
	}
	return &pb.ListSystemsResponse{Systems: messages(found, systemMessage), NextPageToken: next}, nil
}
