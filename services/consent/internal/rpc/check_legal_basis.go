package rpc

import (
	"context"

	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
)

// CheckLegalBasis decides one question. The decision is on disk before it is given.
func (s *basisServer) CheckLegalBasis(ctx context.Context, req *pb.CheckLegalBasisRequest) (*pb.Decision, error) {
	controller, err := parseController("parent", req.GetParent())
	if err != nil {
		return nil, err
	}
	q, err := s.question(controller, req)
	if err != nil {
		return nil, err
	}
	decisions, err := s.answer(ctx, controller, []question{q})
	if err != nil {
		return nil, err
	}
	return decisions[0], nil
}
