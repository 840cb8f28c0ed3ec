package rpc

import (
	"context"

	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// GetRestriction reads one restriction.
func (s *rightsServer) GetRestriction(ctx context.Context, req *pb.GetRestrictionRequest) (*pb.Restriction, error) {
	controller, id, err := parseRestriction("name", req.GetName())
	if err != nil {
		return nil, err
	}
	outbox.About(ctx, restrictionName(controller, id))
	r, err := read(ctx, s.handlers, func(ctx context.Context, q sqldb.Querier) (consent.Restriction, error) {
		return s.Store.Restriction(ctx, q, controller, id)
	})
	if err != nil {
		return nil, err
	}
	outbox.About(ctx, restrictionName(controller, id), texts(r.Subjects)...)
	return s.restrictionMessage(r), nil
}
