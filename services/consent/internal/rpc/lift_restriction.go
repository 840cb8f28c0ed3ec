package rpc

import (
	"context"

	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// LiftRestriction ends a restriction. One that was lifted before stays as it is.
func (s *rightsServer) LiftRestriction(ctx context.Context, req *pb.LiftRestrictionRequest) (*pb.Restriction, error) {
	controller, id, err := parseRestriction("name", req.GetName())
	if err != nil {
		return nil, err
	}
	outbox.About(ctx, restrictionName(controller, id))
	return write(ctx, s.handlers, controller, func(ctx context.Context, tx sqldb.Tx, rev consent.Revision) (*pb.Restriction, error) {
		r, err := s.Store.Restriction(ctx, tx, controller, id)
		if err != nil {
			return nil, err
		}
		outbox.About(ctx, restrictionName(controller, id), texts(r.Subjects)...)
		lifted, changed := r.Lift(s.now(), rev)
		if !changed {
			return s.restrictionMessage(r), nil
		}
		if err := s.Store.LiftRestriction(ctx, tx, lifted); err != nil {
			return nil, err
		}
		change := consent.Change{Controller: controller, Revision: rev, Kind: consent.Lifting, Activity: r.Activity, Subjects: r.Subjects}
		return s.restrictionMessage(lifted), s.record(ctx, tx, change, s.restrictionEvent(&r, lifted))
	})
}
