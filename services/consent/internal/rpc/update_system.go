package rpc

import (
	"context"

	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// UpdateSystem changes the fields that the mask names.
func (s *registerServer) UpdateSystem(ctx context.Context, req *pb.UpdateSystemRequest) (*pb.System, error) {
	controller, id, err := parseSystem("system.name", req.GetSystem().GetName())
	if err != nil {
		return nil, err
	}
	outbox.About(ctx, systemName(controller, id))
	return write(ctx, s.handlers, controller, func(ctx context.Context, tx sqldb.Tx, rev consent.Revision) (*pb.System, error) {
		present, err := s.Store.System(ctx, tx, controller, id)
		if err != nil {
			return nil, err
		}
		next, err := changedSystem(present, req)
		if err != nil {
			return nil, err
		}
		next.UpdateTime = s.now()
		if err := s.Store.UpdateSystem(ctx, tx, next); err != nil {
			return nil, err
		}
		change := consent.Change{Controller: controller, Revision: rev, Kind: consent.OfSystem, System: id}
		after := systemMessage(next)
		return after, s.record(ctx, tx, change, outbox.Event{Resource: systemName(controller, id), Detail: versionDetail(next.Version),
			Before: systemMessage(present), After: after})
	})
}

// changedSystem is the system after the change, one version later.
func changedSystem(present consent.System, req *pb.UpdateSystemRequest) (consent.System, error) {
	if err := consent.MatchETag(req.GetSystem().GetEtag(), present.ETag()); err != nil {
		return present, err
	}
	message := systemMessage(present)
	if err := merge("system", message, req.GetSystem(), req.GetUpdateMask()); err != nil {
		return present, err
	}
	next := systemOf(message)
	next.Controller, next.ID, next.Version, next.CreateTime = present.Controller, present.ID, present.Version+1, present.CreateTime
	return next, nil
}
