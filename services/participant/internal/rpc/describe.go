package rpc

import (
	"context"

	participantv1 "github.com/privacyops/privacyops/proto/gen/privacyops/participant/v1"
	typev1 "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
	"github.com/privacyops/privacyops/services/participant/internal/participant"
)

// Describe says what the system holds.
func (s *Server) Describe(ctx context.Context, r *participantv1.DescribeRequest) (*participantv1.Description, error) {
	sys, err := s.find(r.GetParticipant())
	if err != nil {
		return nil, err
	}
	ctx, o := s.begin(ctx, "describe", sys)
	d, err := sys.Describe(ctx)
	if err := o.end(ctx, err); err != nil {
		return nil, err
	}
	out := &participantv1.Description{System: d.System, DataMapDigest: d.DataMapDigest,
		Accepts: typesOf(d.Accepts), Provides: typesOf(d.Provides)}
	for _, ds := range d.Datasets {
		out.Datasets = append(out.Datasets, datasetOf(ds))
	}
	return out, nil
}

func datasetOf(d participant.Dataset) *participantv1.Dataset {
	out := &participantv1.Dataset{
		Dataset: d.Name, Category: d.Category, Activity: d.Activity, SubjectProvided: d.SubjectProvided, Identity: d.Identity,
		Action: participantv1.Action(participantv1.Action_value[string(d.Erasure)]),
		Ground: d.Ground, Article: d.Article, Columns: d.Columns,
	}
	if d.Explanation != (participant.Explanation{}) {
		out.Explanation = &typev1.LocalizedText{Da: d.Explanation.DA, En: d.Explanation.EN}
	}
	return out
}
