package rpc

import (
	"context"

	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// GetController reads one controller.
func (s *registerServer) GetController(ctx context.Context, req *pb.GetControllerRequest) (*pb.Controller, error) {
	id, err := parseController("name", req.GetName())
	if err != nil {
		return nil, err
	}
	outbox.About(ctx, controllerName(id))
	c, err := read(ctx, s.handlers, func(ctx context.Context, q sqldb.Querier) (consent.Controller, error) {
		return s.Store.Controller(ctx, q, id)
	})
	if err != nil {
		return nil, err
	}
	return controllerMessage(c), nil
}
