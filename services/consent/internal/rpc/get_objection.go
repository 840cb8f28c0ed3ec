package rpc

import (
	"context"

	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// GetObjection reads one objection, with what the person says.
func (s *rightsServer) GetObjection(ctx context.Context, req *pb.GetObjectionRequest) (*pb.Objection, error) {
	controller, id, err := parseObjection("name", req.GetName())
	if err != nil {
		return nil, err
	}
	outbox.About(ctx, objectionName(controller, id))
	o, err := read(ctx, s.handlers, func(ctx context.Context, q sqldb.Querier) (consent.Objection, error) {
		return s.Store.Objection(ctx, q, controller, id)
	})
	if err != nil {
		return nil, err
	}
	outbox.About(ctx, objectionName(controller, id), texts(o.Subjects)...)
	return s.openedObjection(o)
}
