package rpc

import (
	"context"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// UpdateActivity makes a new version with the fields that the mask names.
func (s *registerServer) UpdateActivity(ctx context.Context, req *pb.UpdateActivityRequest) (*pb.Activity, error) {
	controller, id, err := parseActivity("activity.name", req.GetActivity().GetName())
	if err != nil {
		return nil, err
	}
	outbox.About(ctx, activityName(controller, id))
	return write(ctx, s.handlers, controller, func(ctx context.Context, tx sqldb.Tx, rev consent.Revision) (*pb.Activity, error) {
		present, err := s.Store.Activity(ctx, tx, controller, id)
		if err != nil {
			return nil, err
		}
		next, err := changedActivity(present, req)
		if err != nil {
			return nil, err
		}
		return s.addVersion(ctx, tx, activityMessage(present), next, rev)
	})
}

// changedActivity is the activity after the change, one version later.
func changedActivity(present consent.Activity, req *pb.UpdateActivityRequest) (consent.Activity, error) {
	if err := consent.MatchETag(req.GetActivity().GetEtag(), present.ETag()); err != nil {
		return present, err
	}
	if present.Archived {
		return present, fault.New(fault.Precondition, "ACTIVITY_ARCHIVED", "The activity has ended and does not change any more. Register a new one.")
	}
	message := activityMessage(present)
	if err := merge("activity", message, req.GetActivity(), req.GetUpdateMask()); err != nil {
		return present, err
	}
	next := activityOf(message)
	next.Controller, next.ID, next.Version, next.CreateTime = present.Controller, present.ID, present.Version+1, present.CreateTime
	return next, next.Check()
}
