package rpc

import (
	"context"
	"strconv"

	"github.com/privacyops/privacyops/libs/outbox"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// ListRestrictions lists the restrictions of one controller, newest first.
func (s *rightsServer) ListRestrictions(ctx context.Context, req *pb.ListRestrictionsRequest) (*pb.ListRestrictionsResponse, error) {
	controller, err := parseController("parent", req.GetParent())
	if err != nil {
		return nil, err
	}
	found, next, err := newestFirst(ctx, s.handlers, controller, pb.Rights_ListRestrictions_FullMethodName, req, s.Store.Restrictions,
		func(r consent.Restriction) consent.Revision { return r.CreateRevision })
	if err != nil {
		return nil, err
	}
	shown := make([]consent.SubjectRef, 0, len(found))
	for _, r := range found {
		shown = append(shown, r.Subjects...)
	}
	outbox.About(ctx, controllerName(controller), witnessed(shown)...)
	outbox.Detail(ctx, "shown", strconv.Itoa(len(found)))
	return &pb.ListRestrictionsResponse{Restrictions: messages(found, s.restrictionMessage), NextPageToken: next}, nil
}
