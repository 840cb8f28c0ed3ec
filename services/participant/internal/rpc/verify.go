package rpc

import (
	"context"

	participantv1 "github.com/privacyops/privacyops/proto/gen/privacyops/participant/v1"
	"github.com/privacyops/privacyops/services/participant/internal/participant"
)

// Verify says what is still there.
func (s *Server) Verify(ctx context.Context, r *participantv1.VerifyRequest) (*participantv1.VerifyResult, error) {
	sys, err := s.findFor(r.GetParticipant(), r.GetController())
	if err != nil {
		return nil, err
	}
	ctx, o := s.begin(ctx, "verify", sys)
	result, err := sys.Verify(ctx, participant.VerifyRequest{
		Request: r.GetRequest(), Subject: subjectOf(r.GetController(), r.GetIdentifiers())})
	for _, f := range result.Findings {
		if !f.Kept {
			o.counted(f.Dataset, f.Rows)
		}
	}
	if err := o.end(ctx, err); err != nil {
		return nil, err
	}
	return verified(result), nil
}

// verified tells leftovers from what was kept. Several ways may find the same kept rows, so that of a dataset the largest
// number counts and not the sum.
func verified(result participant.VerifyResult) *participantv1.VerifyResult {
	out := &participantv1.VerifyResult{}
	kept := map[string]*participantv1.DatasetCount{}
	for _, f := range result.Findings {
		if !f.Kept {
			out.Remaining = append(out.Remaining, &participantv1.Remainder{Dataset: f.Dataset, Table: f.Table,
				Count: f.Rows, FoundBy: string(f.Method), Column: f.Column})
			continue
		}
		if kept[f.Dataset] == nil {
			kept[f.Dataset] = &participantv1.DatasetCount{Dataset: f.Dataset}
			out.Kept = append(out.Kept, kept[f.Dataset])
		}
		kept[f.Dataset].Count = max(kept[f.Dataset].Count, f.Rows)
	}
	return out
}
