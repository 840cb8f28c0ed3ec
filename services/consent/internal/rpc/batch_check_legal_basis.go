package rpc

import (
	"context"
	"strconv"

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
	questions, traces := make([]question, len(req.GetChecks())), server.Traces(ctx, len(req.GetChecks()))
	for i, check := range req.GetChecks() {
		if err := withParent(req.GetParent(), check); err != nil {
			return nil, inField(fieldOf(i), err)
		}
		if questions[i], err = s.question(controller, check); err != nil {
			return nil, inField(fieldOf(i), err)
		}
		if traces != nil {
			questions[i].trace = traces[i]
		}
	}
	decisions, err := s.answer(ctx, controller, questions)
	if err != nil {
		return nil, err
	}
	return &pb.BatchCheckLegalBasisResponse{Decisions: decisions}, nil
}

func fieldOf(check int) string { return "checks[" + strconv.Itoa(check) + "]" }

// withParent gives one question of a batch the batch's parent, and validates it: the contract leaves that to us because
// the parent may be left out.
func withParent(parent string, check *pb.CheckLegalBasisRequest) error {
	if p := check.GetParent(); p != "" && p != parent {
		return fault.BadField("parent", "is another controller than the batch's; leave it out")
	}
	check.Parent = parent
	return server.Validate(check)
}
