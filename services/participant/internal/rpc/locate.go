package rpc

import (
	"context"

	participantv1 "github.com/privacyops/privacyops/proto/gen/privacyops/participant/v1"
	typev1 "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
	"github.com/privacyops/privacyops/services/participant/internal/participant"
)

// Locate counts what the system holds about the person.
func (s *Server) Locate(ctx context.Context, r *participantv1.LocateRequest) (*participantv1.Location, error) {
	sys, err := s.findFor(r.GetParticipant(), r.GetController())
	if err != nil {
		return nil, err
	}
	ctx, o := s.begin(ctx, "locate", sys)
	out, err := locate(ctx, sys, subjectOf(r.GetController(), r.GetIdentifiers()), o)
	if err := o.end(ctx, err); err != nil {
		return nil, err
	}
	return out, nil
}

func locate(ctx context.Context, p participant.Participant, who participant.Subject, o *observed) (*participantv1.Location, error) {
	d, err := p.Describe(ctx)
	if err != nil {
		return nil, err
	}
	l, err := p.Locate(ctx, who)
	if err != nil {
		return nil, err
	}
	out := &participantv1.Location{DataMapDigest: d.DataMapDigest, Counts: countsOf(l.Counts), SharedIdentifiers: sharedOf(l.Shared)}
	for _, id := range l.Further {
		out.FurtherIdentifiers = append(out.FurtherIdentifiers, &typev1.Subject{Type: typeOf(id.Type), Value: id.Value})
	}
	for _, c := range l.Counts {
		o.counted(c.Dataset, c.Rows)
	}
	return out, nil
}

// sharedOf lists shared identifiers by type; of one type seen in several places the larger number counts.
func sharedOf(shared []participant.SharedIdentifier) []*participantv1.SharedIdentifier {
	var out []*participantv1.SharedIdentifier
	byType := map[typev1.Subject_Type]*participantv1.SharedIdentifier{}
	for _, s := range shared {
		t := typeOf(s.Type)
		if byType[t] == nil {
			byType[t] = &participantv1.SharedIdentifier{Type: t}
			out = append(out, byType[t])
		}
		byType[t].People = max(byType[t].People, s.People)
	}
	return out
}
