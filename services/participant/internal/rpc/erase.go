package rpc

import (
	"context"

	participantv1 "github.com/privacyops/privacyops/proto/gen/privacyops/participant/v1"
	"github.com/privacyops/privacyops/services/participant/internal/participant"
)

// Erase erases, anonymises or keeps, dataset by dataset (GDPR art. 17).
func (s *Server) Erase(ctx context.Context, r *participantv1.EraseRequest) (*participantv1.EraseResult, error) {
	sys, err := s.findFor(r.GetParticipant(), r.GetController())
	if err != nil {
		return nil, err
	}
	ctx, o := s.begin(ctx, "erase", sys)
	result, err := sys.Erase(ctx, participant.EraseRequest{
		Request: r.GetRequest(), FencingToken: r.GetFencingToken(), DataMapDigest: r.GetDataMapDigest(),
		Subject: subjectOf(r.GetController(), r.GetIdentifiers()), Datasets: r.GetDatasets(),
	})
	for _, d := range result.Datasets {
		o.counted(d.Dataset, d.Erased+d.Anonymised)
	}
	if err := o.end(ctx, err); err != nil {
		return nil, err
	}
	out := &participantv1.EraseResult{}
	for _, d := range result.Datasets {
		out.Datasets = append(out.Datasets, &participantv1.DatasetResult{Dataset: d.Dataset, Located: d.Located,
			Erased: d.Erased, Anonymised: d.Anonymised, Kept: d.Kept, Unchanged: d.Unchanged})
	}
	return out, nil
}
