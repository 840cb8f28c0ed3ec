package rpc

import (
	"context"

	"github.com/privacyops/privacyops/libs/idempotency"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// CreateSystem registers a system that holds personal data of the controller.
func (s *registerServer) CreateSystem(ctx context.Context, req *pb.CreateSystemRequest) (*pb.System, error) {
	controller, err := parseController("parent", req.GetParent())
	if err != nil {
		return nil, err
	}
	system := systemOf(req.GetSystem())
	system.Controller, system.ID, system.Version = controller, consent.SystemID(req.GetSystemId()), 1
	name := systemName(controller, system.ID)
	if err := checkNew("system", name, req.GetSystem()); err != nil {
		return nil, err
	}
	outbox.About(ctx, name)
	once := idempotency.Request{Controller: string(controller), Method: pb.Register_CreateSystem_FullMethodName, ID: req.GetRequestId(), Body: req}
	return idempotency.Once(ctx, s.Replies, once, &pb.System{}, func(ctx context.Context, tx sqldb.Tx) (*pb.System, error) {
		rev, err := s.Store.Advance(ctx, tx, controller)
		if err != nil {
			return nil, err
		}
		system.CreateTime = s.now()
		system.UpdateTime = system.CreateTime
		if err := s.Store.CreateSystem(ctx, tx, system); err != nil {
			return nil, err
		}
		change := consent.Change{Controller: controller, Revision: rev, Kind: consent.OfSystem, System: system.ID}
		after := systemMessage(system)
		return after, s.record(ctx, tx, change, outbox.Event{Resource: name, Detail: versionDetail(system.Version), After: after})
	})
}
