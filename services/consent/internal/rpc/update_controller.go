package rpc

import (
	"context"
	"strconv"

	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// UpdateController changes the fields that the mask names.
func (s *registerServer) UpdateController(ctx context.Context, req *pb.UpdateControllerRequest) (*pb.Controller, error) {
	id, err := parseController("controller.name", req.GetController().GetName())
	if err != nil {
		return nil, err
	}
	outbox.About(ctx, controllerName(id))
	return write(ctx, s.handlers, id, func(ctx context.Context, tx sqldb.Tx, rev consent.Revision) (*pb.Controller, error) {
		present, err := s.Store.Controller(ctx, tx, id)
		if err != nil {
			return nil, err
		}
		next, err := changedController(present, req)
		if err != nil {
			return nil, err
		}
		if err := s.checkOver(ctx, tx, next); err != nil {
			return nil, err
		}
		next.UpdateTime = s.now()
		if err := s.Store.UpdateController(ctx, tx, next); err != nil {
			return nil, err
		}
		change := consent.Change{Controller: id, Revision: rev, Kind: consent.OfController}
		after := controllerMessage(next)
		return after, s.record(ctx, tx, change, outbox.Event{Resource: controllerName(id), Detail: versionDetail(next.Version),
			Before: controllerMessage(present), After: after})
	})
}

// checkOver applies the controller's rules to all its activities.
func (s *registerServer) checkOver(ctx context.Context, tx sqldb.Tx, c consent.Controller) error {
	activities, err := s.Store.Activities(ctx, tx, c.ID, "", everything)
	if err != nil {
		return err
	}
	return c.CheckOver(activities)
}

// changedController is the controller after the change, one version later.
func changedController(present consent.Controller, req *pb.UpdateControllerRequest) (consent.Controller, error) {
	if err := consent.MatchETag(req.GetController().GetEtag(), present.ETag()); err != nil {
		return present, err
	}
	message := controllerMessage(present)
	if err := merge("controller", message, req.GetController(), req.GetUpdateMask()); err != nil {
		return present, err
	}
	next := controllerOf(message)
	next.ID, next.Version, next.CreateTime = present.ID, present.Version+1, present.CreateTime
	return next, next.Check()
}

func versionDetail(version int64) map[string]string {
	return map[string]string{"version": strconv.FormatInt(version, 10)}
}
