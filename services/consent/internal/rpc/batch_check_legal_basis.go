package rpc

import (
	"context"
	"strconv"

	"google.golang.org/protobuf/proto"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/server"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
)

// BatchCheckLegalBasis decides up to 1,000 questions of one controller on one snapshot. One question that is not valid
// refuses them all, before any is decided.
func (s *basisServer) BatchCheckLegalBasis(ctx context.Context, req *pb.BatchCheckLegalBasisRequest) (*pb.BatchCheckLegalBasisResponse, error) {
	controller, err := parseController("parent", req.GetParent())
	if err != nil {
		return nil, err
	}
	questions := make([]question, len(req.GetChecks()))
	for i, check := range req.GetChecks() {
		field := "checks[" + strconv.Itoa(i) + "]"
		check, err := withParent(field, req.GetParent(), check)
		if err != nil {
			return nil, err
		}
		if questions[i], err = s.question(controller, check); err != nil {
			return nil, inField(field, err)
		}
	}
	decisions, err := s.answer(ctx, controller, questions)
	if err != nil {
		return nil, err
	}
	return &pb.BatchCheckLegalBasisResponse{Decisions: decisions}, nil
}

// withParent gives one question of a batch the batch's parent, and validates it: the contract leaves that to us because
// the parent may be left out.
func withParent(field, parent string, check *pb.CheckLegalBasisRequest) (*pb.CheckLegalBasisRequest, error) {
	if p := check.GetParent(); p != "" && p != parent {
		return nil, fault.BadField(field+".parent", "is another controller than the batch's; leave it out")
	}
	check = proto.CloneOf(check)
	check.Parent = parent
	return check, inField(field, server.Validate(check))
}
