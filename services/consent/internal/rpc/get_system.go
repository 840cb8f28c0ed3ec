package rpc

import (
	"context"

	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// GetSystem reads one system.
func (s *registerServer) GetSystem(ctx context.Context, req *pb.GetSystemRequest) (*pb.System, error) {
	controller, id, err := parseSystem("name", req.GetName())
	if err != nil {
		return nil, err
	}
	outbox.About(ctx, systemName(controller, id))
	system, err := read(ctx, s.handlers, func(ctx context.Context, q sqldb.Querier) (consent.System, error) {
		return s.Store.System(ctx, q, controller, id)
	})
	if err != nil {
		return nil, err
	}
	return systemMessage(system), nil
}
