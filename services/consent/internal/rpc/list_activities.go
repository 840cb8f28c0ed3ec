package rpc

import (
	"context"

	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/page"
	"github.com/privacyops/privacyops/libs/sqldb"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// ListActivities lists the activities of one controller by id.
func (s *registerServer) ListActivities(ctx context.Context, req *pb.ListActivitiesRequest) (*pb.ListActivitiesResponse, error) {
	controller, err := parseController("parent", req.GetParent())
	if err != nil {
		return nil, err
	}
	l, err := s.listing(page.Binding{Controller: string(controller), Method: pb.Register_ListActivities_FullMethodName},
		req.GetPageSize(), req.GetPageToken())
	if err != nil {
		return nil, err
	}
	outbox.About(ctx, controllerName(controller))
	found, err := read(ctx, s.handlers, func(ctx context.Context, q sqldb.Querier) ([]consent.Activity, error) {
		if _, err := s.Store.Revision(ctx, q, controller); err != nil {
			return nil, err
		}
		return s.Store.Activities(ctx, q, controller, consent.ActivityID(l.after), l.size+1)
	})
	if err != nil {
		return nil, err
	}
	found, next, err := cut(l, found, func(a consent.Activity) string { return string(a.ID) })
	if err != nil {
		return nil, err
	}
	return &pb.ListActivitiesResponse{Activities: messages(found, activityMessage), NextPageToken: next}, nil
}

// messages makes the message of each item.
func messages[T, M any](items []T, message func(T) M) []M {
	out := make([]M, len(items))
	for i, item := range items {
		out[i] = message(item)
	}
	return out
}
