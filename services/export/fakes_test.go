package export

import (
	"context"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	participantv1 "github.com/privacyops/privacyops/proto/gen/privacyops/participant/v1"
	typev1 "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
)

// system is a fake participant.
type system struct {
	name      string
	mandatory bool

	mu        sync.Mutex
	down      error
	cut       bool // ends its stream without saying that it is complete
	located   [][]*typev1.Subject
	further   []*typev1.Subject
	shared    []*participantv1.SharedIdentifier
	datasets  []*participantv1.Dataset
	records   map[string][]string
	omissions []*participantv1.Omission
	asked     []*participantv1.ExportRequest
	// during is called in the middle of a stream.
	during func()
	// generate gives records instead of those above.
	generate func(yield func(*participantv1.Record) bool)

	participantv1.ParticipantClient
}

func learning() *system {
	return &system{name: "learning", mandatory: true,
		datasets: []*participantv1.Dataset{
			{Dataset: "profile", Category: "identity", Activity: "teaching", SubjectProvided: true, Columns: []string{"name", "note"}},
			{Dataset: "usage", Category: "usage", Activity: "operation", Columns: []string{"at", "seconds"}},
			{Dataset: "essays", Category: "assignments", Activity: "extras", SubjectProvided: true, Columns: []string{"title"}},
		},
		records: map[string][]string{
			"profile": {`{"name":"` + canary + ` Åse","note":"=HYPERLINK(\"http://x\")"}`},
			"usage":   {`{"at":"2026-01-01","seconds":-5}`, `{"at":"2026-01-02","seconds":7,"place":{"lat":1}}`},
			"essays":  {`{"title":"` + canary + ` on \"hens\"; chickens"}`},
		},
		omissions: []*participantv1.Omission{{Dataset: "usage", Column: "teacher", Count: 2, Ground: "Names other people.", Article: "GDPR art. 15(4)"}},
		further:   []*typev1.Subject{{Type: typev1.Subject_EMAIL, Value: canary + "@example.org"}},
	}
}

func support() *system {
	return &system{name: "support",
		datasets: []*participantv1.Dataset{{Dataset: "tickets", Category: "contact", Activity: "operation"}},
		records:  map[string][]string{"tickets": {`{"subject":"` + canary + `"}`}},
		shared:   []*participantv1.SharedIdentifier{{Type: typev1.Subject_PHONE, People: 3}},
	}
}

func (x *system) set(f func(x *system)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	f(x)
}

func (x *system) fail(err error) { x.set(func(x *system) { x.down = err }) }

func (x *system) Describe(context.Context, *participantv1.DescribeRequest, ...grpc.CallOption) (*participantv1.Description, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return &participantv1.Description{System: x.name, DataMapDigest: strings.Repeat("a", 64), Datasets: x.datasets}, x.down
}

func (x *system) Locate(_ context.Context, req *participantv1.LocateRequest, _ ...grpc.CallOption) (*participantv1.Location, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.down != nil {
		return nil, x.down
	}
	x.located = append(x.located, req.GetIdentifiers())
	l := &participantv1.Location{FurtherIdentifiers: x.further, SharedIdentifiers: x.shared, DataMapDigest: strings.Repeat("a", 64)}
	for _, d := range x.datasets {
		l.Counts = append(l.Counts, &participantv1.DatasetCount{Dataset: d.GetDataset(), Count: int64(len(x.records[d.GetDataset()]))})
	}
	return l, nil
}

func (x *system) Export(ctx context.Context, req *participantv1.ExportRequest, _ ...grpc.CallOption) (grpc.ServerStreamingClient[participantv1.ExportChunk], error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.down != nil {
		return nil, x.down
	}
	x.asked = append(x.asked, req)
	chunks, stop := make(chan *participantv1.ExportChunk), ctx.Done()
	send := func(c *participantv1.ExportChunk) bool {
		select {
		case chunks <- c:
			return true
		case <-stop:
			return false
		}
	}
	go x.stream(req, send, chunks)
	return &exportStream{ctx: ctx, chunks: chunks}, nil
}

func (x *system) stream(req *participantv1.ExportRequest, send func(*participantv1.ExportChunk) bool, chunks chan *participantv1.ExportChunk) {
	defer close(chunks)
	x.mu.Lock()
	records, generate, during, cut := x.records, x.generate, x.during, x.cut
	last := &participantv1.ExportChunk{Omissions: x.omissions, Complete: true}
	x.mu.Unlock()
	if generate != nil {
		generate(func(r *participantv1.Record) bool {
			return send(&participantv1.ExportChunk{Records: []*participantv1.Record{r}})
		})
	}
	for _, d := range slices.Sorted(maps.Keys(records)) {
		if len(req.GetDatasets()) > 0 && !slices.Contains(req.GetDatasets(), d) {
			continue
		}
		for _, r := range records[d] {
			if !send(&participantv1.ExportChunk{Records: []*participantv1.Record{{Dataset: d, Json: []byte(r)}}}) {
				return
			}
		}
		if during != nil {
			during()
		}
	}
	if !cut {
		send(last)
	}
}

type exportStream struct {
	grpc.ClientStream
	ctx    context.Context
	chunks chan *participantv1.ExportChunk
}

func (s *exportStream) Recv() (*participantv1.ExportChunk, error) {
	select {
	case c, ok := <-s.chunks:
		if !ok {
			return nil, io.EOF
		}
		return c, nil
	case <-s.ctx.Done():
		return nil, status.FromContextError(s.ctx.Err()).Err()
	}
}

// registerConn answers as consentd's RegisterReader.
type registerConn struct {
	mu   sync.Mutex
	snap *consentv1.Snapshot
	err  error
	grpc.ClientConnInterface
}

func (r *registerConn) set(s *consentv1.Snapshot) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.snap = s
}

func (r *registerConn) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

func (r *registerConn) Invoke(_ context.Context, method string, args, reply any, _ ...grpc.CallOption) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case method != consentv1.RegisterReader_GetSnapshot_FullMethodName:
		return status.Error(codes.Unimplemented, method)
	case r.err != nil:
		return r.err
	case args.(*consentv1.GetSnapshotRequest).GetParent() != "controllers/north":
		return status.Error(codes.NotFound, "no such controller")
	}
	proto.Merge(reply.(proto.Message), r.snap)
	return nil
}

func snapshot(systems []*system) *consentv1.Snapshot {
	s := &consentv1.Snapshot{
		Controller: &consentv1.Controller{Name: "controllers/north", DisplayName: "Nordskolen", Jurisdiction: "DK",
			TimeZone: "Europe/Copenhagen", Language: "da", Contact: "kontor@nordskolen.example",
			Dpo: &consentv1.ContactPerson{Name: "DPO", Email: "dpo@nordskolen.example"}},
		Activities: []*consentv1.Activity{
			{Name: "controllers/north/activities/teaching", Purpose: "Undervisning", LegalBasis: typev1.LegalBasis_CONTRACT, Locations: []string{"DK", "US"}},
			{Name: "controllers/north/activities/operation", Purpose: "Drift", LegalBasis: typev1.LegalBasis_PUBLIC_TASK},
			{Name: "controllers/north/activities/extras", Purpose: "Skriveværksted", LegalBasis: typev1.LegalBasis_CONSENT},
		},
	}
	for _, x := range systems {
		s.Systems = append(s.Systems, &consentv1.System{Name: "controllers/north/systems/" + x.name, DisplayName: "System " + x.name,
			Participant: x.name, Mandatory: x.mandatory, Location: "DK"})
	}
	return s
}

// auditConn takes events as auditd does.
type auditConn struct {
	mu     sync.Mutex
	events []*auditv1.ReportedEvent
	grpc.ClientConnInterface
}

func (a *auditConn) Invoke(_ context.Context, _ string, args, _ any, _ ...grpc.CallOption) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.events = append(a.events, args.(*auditv1.AppendAuditEventsRequest).GetEvents()...)
	return nil
}
