package rpc

import (
	"context"

	"github.com/privacyops/privacyops/libs/idempotency"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// CreateController takes a school or municipality into the register.
func (s *registerServer) CreateController(ctx context.Context, req *pb.CreateControllerRequest) (*pb.Controller, error) {
	id := consent.ControllerID(req.GetControllerId())
	if err := checkNew("controller", controllerName(id), req.GetController()); err != nil {
		return nil, err
	}
	c := controllerOf(req.GetController())
	c.ID, c.Version = id, 1
	c.CreateTime = s.now()
	c.UpdateTime = c.CreateTime
	if err := c.Check(); err != nil {
		return nil, err
	}
	outbox.About(ctx, controllerName(id))
	once := idempotency.Request{Controller: string(id), Method: pb.Register_CreateController_FullMethodName, ID: req.GetRequestId(), Body: req}
	return idempotency.Once(ctx, s.Replies, once, &pb.Controller{}, func(ctx context.Context, tx sqldb.Tx) (*pb.Controller, error) {
		if err := s.Store.CreateController(ctx, tx, c); err != nil {
			return nil, err
		}
		change := consent.Change{Controller: id, Revision: 1, Kind: consent.OfController} // a new controller is at revision 1
		after := controllerMessage(c)
		return after, s.record(ctx, tx, change, outbox.Event{Resource: controllerName(id), Detail: versionDetail(c.Version), After: after})
	})
}
