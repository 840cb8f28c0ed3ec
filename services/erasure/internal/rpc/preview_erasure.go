package rpc

import (
	"context"

	"github.com/privacyops/privacyops/libs/outbox"
	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
	"github.com/privacyops/privacyops/services/erasure/internal/erasure"
)

// PreviewErasure makes the plan that an erasure would have now, and changes nothing. A mandatory system that does not answer is
// a fault: a preview without it would promise too little.
func (s *Server) PreviewErasure(ctx context.Context, req *erasurev1.PreviewErasureRequest) (*erasurev1.Plan, error) {
	c := parseParent(req.GetParent())
	ids := identifiers(req.GetSubject(), req.GetSubjects())
	refs := s.pseudonyms(c, ids)
	outbox.About(ctx, req.GetParent(), refs...)
	register, err := s.Registers.Register(ctx, c)
	if err != nil {
		return nil, err
	}
	r, err := erasure.Resolve(ctx, s.Participants, c, register.Systems, ids)
	if err != nil {
		return nil, err
	}
	for _, system := range register.Systems {
		if f := r.Failures[system.ID]; f != nil && system.Mandatory {
			return nil, f.With("system", system.ID)
		}
	}
	plan := erasure.BuildPlan(erasure.PlanInput{Controller: c, SubjectRef: refs[0], Ground: erasure.Ground(req.GetGround().String()),
		Register: register, Findings: r.Findings, Failures: r.Failures, Now: s.Clock.Now()})
	outbox.Detail(ctx, "planHash", plan.Hash)
	return planMessage(&plan), nil
}
