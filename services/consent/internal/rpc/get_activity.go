package rpc

import (
	"context"

	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// GetActivity reads one activity in its newest version.
func (s *registerServer) GetActivity(ctx context.Context, req *pb.GetActivityRequest) (*pb.Activity, error) {
	controller, id, err := parseActivity("name", req.GetName())
	if err != nil {
		return nil, err
	}
	outbox.About(ctx, activityName(controller, id))
	a, err := read(ctx, s.handlers, func(ctx context.Context, q sqldb.Querier) (consent.Activity, error) {
		return s.Store.Activity(ctx, q, controller, id)
	})
	if err != nil {
		return nil, err
	}
	return activityMessage(a), nil
}
