// Package clients speaks to the other services for the erasure's domain: participants, the register, the audit log.
package clients

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/server"
	participantv1 "github.com/privacyops/privacyops/proto/gen/privacyops/participant/v1"
	typev1 "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
	"github.com/privacyops/privacyops/services/erasure/internal/erasure"
)

// Timeouts of calls to participants. Erasing is work; the others are questions.
const (
	askTimeout   = 15 * time.Second
	eraseTimeout = 4 * time.Minute
)

// Participants finds participants by name: connections by the names under which they are configured.
type Participants map[string]grpc.ClientConnInterface

var _ erasure.Participants = Participants{}

// Participant implements erasure.Participants.
func (p Participants) Participant(name string) (erasure.Participant, error) {
	conn, ok := p[name]
	if !ok {
		return nil, fault.Newf(fault.Unavailable, "PARTICIPANT_UNKNOWN",
			"No participant %q is configured. Configure its address, or correct the system in the register.", name)
	}
	return &participant{name: name, client: participantv1.NewParticipantClient(conn)}, nil
}

type participant struct {
	name   string
	client participantv1.ParticipantClient
}

// explain makes a public fault of a failed call: what a participant says of itself stays inside, what kind of failure it was does not.
func explain(err error) error {
	f := fault.From(server.Fault(err))
	switch code := status.Code(err); {
	case f.Reason() == "FENCED", f.Reason() == "DATA_MAP_CHANGED", f.Reason() == "REQUEST_REUSED", f.Reason() == "UNSETTLED", f.Reason() == "CONSTRAINT_VIOLATED":
		return f
	case code == codes.DeadlineExceeded:
		return fault.New(fault.Unavailable, "PARTICIPANT_TIMEOUT", "The system did not answer in time. It is asked again.").Because(err)
	case code == codes.Unavailable:
		return fault.New(fault.Unavailable, "PARTICIPANT_UNREACHABLE", "The system cannot be reached. It is asked again.").Because(err)
	case code == codes.NotFound:
		return fault.New(fault.Unavailable, "PARTICIPANT_FOREIGN",
			"The participant does not speak for this controller. Correct the system in the register, or the participant's configuration.").Because(err)
	default:
		return fault.Newf(fault.Unavailable, "PARTICIPANT_FAILED", "The system answered with an error (%s). It is asked again.", code).Because(err)
	}
}

// Describe implements erasure.Participant.
func (p *participant) Describe(ctx context.Context) (erasure.Description, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	d, err := p.client.Describe(ctx, &participantv1.DescribeRequest{Participant: p.name})
	if err != nil {
		return erasure.Description{}, explain(err)
	}
	out := erasure.Description{DataMapDigest: d.GetDataMapDigest()}
	for _, s := range d.GetDatasets() {
		out.Datasets = append(out.Datasets, erasure.Dataset{Name: s.GetDataset(), Activity: s.GetActivity(),
			Action: erasure.Action(s.GetAction().String()), Ground: s.GetGround(), Article: s.GetArticle(),
			Explanation: erasure.Text{DA: s.GetExplanation().GetDa(), EN: s.GetExplanation().GetEn()},
			Identity:    s.GetIdentity()})
	}
	return out, nil
}

// Locate implements erasure.Participant.
func (p *participant) Locate(ctx context.Context, c erasure.ControllerID, ids []erasure.Identifier) (erasure.Location, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	l, err := p.client.Locate(ctx, &participantv1.LocateRequest{Participant: p.name, Controller: string(c), Identifiers: subjects(ids)})
	if err != nil {
		return erasure.Location{}, explain(err)
	}
	out := erasure.Location{Counts: map[string]int64{}, DataMapDigest: l.GetDataMapDigest()}
	for _, n := range l.GetCounts() {
		if _, twice := out.Counts[n.GetDataset()]; twice {
			return erasure.Location{}, fault.New(fault.Unavailable, "PARTICIPANT_NONSENSE",
				"The system counted a dataset twice. Its operator must look at it; it is asked again.")
		}
		out.Counts[n.GetDataset()] = n.GetCount()
	}
	for _, s := range l.GetFurtherIdentifiers() {
		out.Further = append(out.Further, erasure.Identifier{Type: s.GetType().String(), Value: s.GetValue()})
	}
	for _, s := range l.GetSharedIdentifiers() {
		out.Shared = append(out.Shared, erasure.SharedIdentifier{Type: s.GetType().String(), People: s.GetPeople()})
	}
	return out, nil
}

// Erase implements erasure.Participant.
func (p *participant) Erase(ctx context.Context, c erasure.ControllerID, order erasure.EraseOrder) ([]erasure.DatasetOutcome, error) {
	ctx, cancel := context.WithTimeout(ctx, eraseTimeout)
	defer cancel()
	r, err := p.client.Erase(ctx, &participantv1.EraseRequest{Participant: p.name, Controller: string(c), Request: order.Request,
		FencingToken: order.FencingToken, Identifiers: subjects(order.Identifiers), DataMapDigest: order.DataMapDigest, Datasets: order.Datasets})
	if err != nil {
		return nil, explain(err)
	}
	out := make([]erasure.DatasetOutcome, 0, len(r.GetDatasets()))
	for _, d := range r.GetDatasets() {
		out = append(out, erasure.DatasetOutcome{Dataset: d.GetDataset(), Located: d.GetLocated(), Erased: d.GetErased(),
			Anonymised: d.GetAnonymised(), Kept: d.GetKept(), Unchanged: d.GetUnchanged()})
	}
	return out, nil
}

// Verify implements erasure.Participant.
func (p *participant) Verify(ctx context.Context, c erasure.ControllerID, request string, ids []erasure.Identifier) ([]erasure.Remainder, error) {
	ctx, cancel := context.WithTimeout(ctx, eraseTimeout)
	defer cancel()
	r, err := p.client.Verify(ctx, &participantv1.VerifyRequest{Participant: p.name, Controller: string(c), Request: request, Identifiers: subjects(ids)})
	if err != nil {
		return nil, explain(err)
	}
	out := make([]erasure.Remainder, 0, len(r.GetRemaining()))
	for _, m := range r.GetRemaining() {
		out = append(out, erasure.Remainder{Dataset: m.GetDataset(), Table: m.GetTable(), Column: m.GetColumn(), Count: m.GetCount(), FoundBy: m.GetFoundBy()})
	}
	return out, nil
}

func subjects(ids []erasure.Identifier) []*typev1.Subject {
	out := make([]*typev1.Subject, 0, len(ids))
	for _, id := range ids {
		out = append(out, &typev1.Subject{Type: typev1.Subject_Type(typev1.Subject_Type_value[id.Type]), Value: id.Value})
	}
	return out
}

var errEmpty = errors.New("clients: an answer without content")
