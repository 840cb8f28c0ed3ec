package rpc

import (
	"context"

	"github.com/privacyops/privacyops/libs/idempotency"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// CreateRestriction restricts the processing of a person's data (GDPR art. 18(1)).
func (s *rightsServer) CreateRestriction(ctx context.Context, req *pb.CreateRestrictionRequest) (*pb.Restriction, error) {
	controller, err := parseController("parent", req.GetParent())
	if err != nil {
		return nil, err
	}
	r := consent.Restriction{Controller: controller, ID: consent.RestrictionID(s.NewID()), Activity: consent.ActivityID(req.GetActivity()),
		Subjects: s.refs(controller, req.GetSubject(), req.GetSubjects()), Ground: req.GetGround().String()}
	outbox.About(ctx, controllerName(controller), texts(r.Subjects)...)
	once := idempotency.Request{Controller: string(controller), Method: pb.Rights_CreateRestriction_FullMethodName, ID: req.GetRequestId(), Body: req}
	return idempotency.Once(ctx, s.Replies, once, &pb.Restriction{}, func(ctx context.Context, tx sqldb.Tx) (*pb.Restriction, error) {
		rev, err := s.Store.Advance(ctx, tx, controller)
		if err != nil {
			return nil, err
		}
		return s.restrict(ctx, tx, rev, r)
	})
}

func (s *rightsServer) restrict(ctx context.Context, tx sqldb.Tx, rev consent.Revision, r consent.Restriction) (*pb.Restriction, error) {
	a, err := s.activity(ctx, tx, r.Controller, r.Activity)
	if err != nil {
		return nil, err
	}
	if r.Subjects, err = s.withPersons(ctx, tx, r.Controller, r.Subjects); err != nil {
		return nil, err
	}
	if r, err = consent.Restrict(r, a, s.now(), rev); err != nil {
		return nil, err
	}
	if err := s.Store.AddRestriction(ctx, tx, r); err != nil {
		return nil, err
	}
	change := consent.Change{Controller: r.Controller, Revision: rev, Kind: consent.Restricting, Activity: r.Activity, Subjects: r.Subjects}
	return s.restrictionMessage(r), s.record(ctx, tx, change, s.restrictionEvent(nil, r))
}

func (h *handlers) restrictionEvent(before *consent.Restriction, r consent.Restriction) outbox.Event {
	e := outbox.Event{Resource: restrictionName(r.Controller, r.ID), SubjectRefs: texts(r.Subjects),
		Detail: map[string]string{"activity": string(r.Activity), "ground": r.Ground}, After: h.restrictionMessage(r)}
	if before != nil {
		e.Before = h.restrictionMessage(*before)
	}
	return e
}

func (h *handlers) restrictionMessage(r consent.Restriction) *pb.Restriction {
	m := &pb.Restriction{
		Name: restrictionName(r.Controller, r.ID), State: pb.Restriction_ACTIVE, Activity: string(r.Activity), SubjectRef: string(r.Subjects[0]),
		Ground:     pb.Restriction_Ground(pb.Restriction_Ground_value[r.Ground]),
		CreateTime: timestamp(r.CreateTime), LiftTime: timestamp(r.LiftTime),
		ConsistencyToken: h.tokens.Make(r.Controller, max(r.CreateRevision, r.LiftRevision)),
	}
	if r.LiftRevision != 0 {
		m.State = pb.Restriction_LIFTED
	}
	return m
}
