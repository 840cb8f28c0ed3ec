package rpc

import (
	"context"

	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/idempotency"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// CreateActivity registers a processing activity: one purpose with one legal basis (GDPR art. 6(1), art. 30).
func (s *registerServer) CreateActivity(ctx context.Context, req *pb.CreateActivityRequest) (*pb.Activity, error) {
	controller, err := parseController("parent", req.GetParent())
	if err != nil {
		return nil, err
	}
	id := consent.ActivityID(req.GetActivityId())
	name := activityName(controller, id)
	if err := checkNew("activity", name, req.GetActivity()); err != nil {
		return nil, err
	}
	a := activityOf(req.GetActivity())
	a.Controller, a.ID, a.Version = controller, id, 1
	if err := a.Check(); err != nil {
		return nil, err
	}
	outbox.About(ctx, name)
	once := idempotency.Request{Controller: string(controller), Method: pb.Register_CreateActivity_FullMethodName, ID: req.GetRequestId(), Body: req}
	return idempotency.Once(ctx, s.Replies, once, &pb.Activity{}, func(ctx context.Context, tx sqldb.Tx) (*pb.Activity, error) {
		rev, err := s.Store.Advance(ctx, tx, controller)
		if err != nil {
			return nil, err
		}
		a.CreateTime = s.now()
		return s.addVersion(ctx, tx, nil, a, rev)
	})
}

// addVersion makes a the newest version of its activity, as an instruction of the caller, with its event. Before is the message of the
// version that it replaces; nil where there is none.
func (s *registerServer) addVersion(ctx context.Context, tx sqldb.Tx, before any, a consent.Activity, rev consent.Revision) (*pb.Activity, error) {
	c, err := s.Store.Controller(ctx, tx, a.Controller)
	if err != nil {
		return nil, err
	}
	if err := a.CheckUnder(c); err != nil {
		return nil, err
	}
	a.Author, a.UpdateTime = consent.ActorRef(access.CallerFrom(ctx).Ref), s.now()
	if err := s.Store.AddActivityVersion(ctx, tx, a); err != nil {
		return nil, err
	}
	detail := versionDetail(a.Version)
	detail["legal_basis"] = string(a.Basis)
	change := consent.Change{Controller: a.Controller, Revision: rev, Kind: consent.OfActivity, Activity: a.ID}
	after := activityMessage(a)
	return after, s.record(ctx, tx, change, outbox.Event{Resource: activityName(a.Controller, a.ID), Detail: detail, Before: before, After: after})
}
