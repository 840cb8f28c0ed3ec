package rpc

import (
	"context"
	"time"

	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/idempotency"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
	"github.com/privacyops/privacyops/services/erasure/internal/erasure"
)

// CreateErasure takes a request in. A second request for the same person on the same ground, while the first is under way, is
// the first one.
func (s *Server) CreateErasure(ctx context.Context, req *erasurev1.CreateErasureRequest) (*erasurev1.Erasure, error) {
	c := parseParent(req.GetParent())
	register, err := s.Registers.Register(ctx, c)
	if err != nil {
		return nil, err
	}
	e, ids, err := s.newErasure(ctx, c, register, req)
	if err != nil {
		return nil, err
	}
	once := idempotency.Request{Controller: string(c), Method: erasurev1.Erasures_CreateErasure_FullMethodName, ID: req.GetRequestId(), Body: req}
	return idempotency.Once(ctx, s.Replies, once, &erasurev1.Erasure{}, func(ctx context.Context, tx sqldb.Tx) (*erasurev1.Erasure, error) {
		active, err := s.Store.Active(ctx, tx, c, e.SubjectRef, e.Ground)
		if err != nil {
			return nil, err
		}
		if active != nil {
			outbox.About(ctx, active.Name(), active.SubjectRefs...)
			return erasureMessage(active), nil
		}
		if err := s.Store.Insert(ctx, tx, e, ids); err != nil {
			return nil, err
		}
		after, err := s.Store.Recorded(ctx, tx, c, e.ID)
		if err != nil {
			return nil, err
		}
		_, err = s.Outbox.Record(ctx, tx, outbox.Event{Resource: e.Name(), SubjectRefs: e.SubjectRefs, After: after,
			Detail: map[string]string{"ground": string(e.Ground), "channel": e.Channel}})
		return erasureMessage(e), err
	})
}

func (s *Server) newErasure(ctx context.Context, c erasure.ControllerID, register erasure.Register, req *erasurev1.CreateErasureRequest) (*erasure.Erasure, []erasure.Identifier, error) {
	now := s.Clock.Now()
	received := now
	if t := req.GetReceivedAt(); t != nil {
		received = t.AsTime()
	}
	if received.After(now.Add(time.Minute)) || received.Year() < 2018 {
		return nil, nil, fault.BadField("receivedAt", "must be a time between 2018 and now")
	}
	zone, err := time.LoadLocation(register.TimeZone)
	if err != nil {
		zone = clock.DefaultZone()
	}
	channel := req.GetChannel()
	if channel == erasurev1.Erasure_CHANNEL_UNSPECIFIED {
		channel = erasurev1.Erasure_API
	}
	ids := identifiers(req.GetSubject(), req.GetSubjects())
	refs := s.pseudonyms(c, ids)
	return &erasure.Erasure{Controller: c, ID: erasure.ID(s.NewID()), State: erasure.Planning,
		Ground: erasure.Ground(req.GetGround().String()), Channel: channel.String(), SubjectRef: refs[0], SubjectRefs: refs,
		Requester: access.CallerFrom(ctx).Ref, RequiredApprovals: max(1, register.RequiredApprovals), GracePeriod: register.GracePeriod,
		ReceiveTime: received, DueTime: clock.RespondBy(received, zone).End, CreateTime: now, UpdateTime: now}, ids, nil
}
