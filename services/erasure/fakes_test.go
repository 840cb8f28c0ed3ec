package erasure_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/privacyops/privacyops/libs/server"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	participantv1 "github.com/privacyops/privacyops/proto/gen/privacyops/participant/v1"
	typev1 "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
)

// auditLog takes events as auditd does, and proves them with x/mod's tlog, which the product does not verify with.
type auditLog struct {
	auditv1.UnimplementedAuditLogServer
	auditv1.UnimplementedAuditIngestServer
	auditv1.UnimplementedAuditKeysServer
	signer note.Signer
	key    string

	mu     sync.Mutex
	events []*auditv1.ReportedEvent
	leaves [][]byte
	hashes []tlog.Hash
	places map[string]int64
	// destroyed is whose keys were destroyed, and after how many events.
	destroyed map[string]int
}

func (l *auditLog) DestroySubjectKeys(_ context.Context, req *auditv1.DestroySubjectKeysRequest) (*auditv1.DestroySubjectKeysResponse, error) {
	if err := server.Validate(req); err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, ref := range req.GetSubjectRefs() {
		l.destroyed[ref] = len(l.events)
	}
	return &auditv1.DestroySubjectKeysResponse{}, nil
}

func (l *auditLog) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		out[i] = l.hashes[x]
	}
	return out, nil
}

func (l *auditLog) AppendAuditEvents(_ context.Context, req *auditv1.AppendAuditEventsRequest) (*auditv1.AppendAuditEventsResponse, error) {
	if err := server.Validate(req); err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range req.GetEvents() {
		if _, known := l.places[e.GetId()]; known {
			continue
		}
		leaf, err := json.Marshal(map[string]any{"id": e.GetId(), "action": e.GetAction(), "detail": e.GetDetail()})
		if err != nil {
			return nil, err
		}
		n := int64(len(l.leaves))
		hashes, err := tlog.StoredHashes(n, leaf, l)
		if err != nil {
			return nil, err
		}
		l.places[e.GetId()], l.leaves, l.hashes = n, append(l.leaves, leaf), append(l.hashes, hashes...)
		l.events = append(l.events, e)
	}
	return &auditv1.AppendAuditEventsResponse{}, nil
}

func (l *auditLog) GetAuditEventProof(_ context.Context, req *auditv1.GetAuditEventProofRequest) (*auditv1.Proof, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, ok := l.places[req.GetName()[strings.LastIndex(req.GetName(), "/")+1:]]
	if !ok {
		return nil, status.Error(codes.NotFound, "not yet")
	}
	size := int64(len(l.leaves))
	proof, err := tlog.ProveRecord(size, n, l)
	if err != nil {
		return nil, err
	}
	root, err := tlog.TreeHash(size, l)
	if err != nil {
		return nil, err
	}
	checkpoint, err := note.Sign(&note.Note{Text: fmt.Sprintf("%s\n%d\n%s\n", l.signer.Name(), size, root)}, l.signer)
	if err != nil {
		return nil, err
	}
	out := &auditv1.Proof{Leaf: l.leaves[n], Index: n, TreeSize: size, Checkpoint: string(checkpoint), LogKey: l.key}
	for _, h := range proof {
		out.Hashes = append(out.Hashes, h[:])
	}
	return out, nil
}

// register answers as consentd does.
type register struct {
	consentv1.UnimplementedRegisterReaderServer
	consentv1.UnimplementedErasedServer
	mu       sync.Mutex
	snapshot *consentv1.Snapshot
	erased   []*consentv1.RecordErasureRequest
}

func newRegister() *register {
	name := "controllers/north/"
	return &register{snapshot: &consentv1.Snapshot{
		Controller: &consentv1.Controller{Name: "controllers/north", RequiredApprovals: 1, GracePeriod: durationpb.New(0), TimeZone: "Europe/Copenhagen"},
		Activities: []*consentv1.Activity{
			{Name: name + "activities/teaching", LegalBasis: typev1.LegalBasis_PUBLIC_TASK},
			{Name: name + "activities/marks", LegalBasis: typev1.LegalBasis_PUBLIC_TASK, Retention: &consentv1.Retention{Protected: true, Ground: "Archives Act § 8"}},
		},
		Systems: []*consentv1.System{
			{Name: name + "systems/lms", Participant: "lms", Mandatory: true, Order: 9},
			{Name: name + "systems/desk", Participant: "desk", Mandatory: true, Order: 1},
		},
	}}
}

func (r *register) GetSnapshot(_ context.Context, req *consentv1.GetSnapshotRequest) (*consentv1.Snapshot, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if req.GetParent() != r.snapshot.GetController().GetName() {
		return nil, status.Error(codes.NotFound, "there is no such controller")
	}
	return r.snapshot, nil
}

func (r *register) RecordErasure(_ context.Context, req *consentv1.RecordErasureRequest) (*emptypb.Empty, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.erased = append(r.erased, req)
	return &emptypb.Empty{}, nil
}

// participant speaks for two systems of the school, which hold rows about some people.
type participant struct {
	participantv1.UnimplementedParticipantServer
	mu      sync.Mutex
	sets    map[string][]*participantv1.Dataset // by system
	rows    map[string]int64                    // by system/dataset/user name
	results map[string]*participantv1.EraseResult
	// trouble, where it is set, answers in place of a system: by method, or for all of a system.
	trouble map[string]func() error
	// holding, where it is not nil, keeps orders to erase waiting until it is closed.
	holding chan struct{}
	// bad makes answers that cannot be true.
	bad bool
}

func newParticipant() *participant {
	return &participant{results: map[string]*participantv1.EraseResult{}, trouble: map[string]func() error{}, rows: map[string]int64{
		"lms/profil og billede/" + pupil: 1, "lms/clicks/" + pupil: 40, "lms/marks/" + pupil: 3, "desk/tickets/" + pupil: 2, "desk/poll/" + pupil: 1},
		sets: map[string][]*participantv1.Dataset{
			"lms": {{Dataset: "profil og billede", Activity: "teaching", Action: participantv1.Action_ERASE},
				{Dataset: "clicks", Activity: "teaching", Action: participantv1.Action_ANONYMISE},
				{Dataset: "marks", Activity: "marks", Action: participantv1.Action_ERASE}},
			"desk": {{Dataset: "tickets", Activity: "teaching", Action: participantv1.Action_ERASE},
				{Dataset: "poll", Activity: "unheard-of", Action: participantv1.Action_ERASE}},
		}}
}

func (p *participant) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

// fails makes a system (or one of its methods, "lms/Erase") answer with a code; OK heals it.
func (p *participant) fails(what string, code codes.Code) {
	p.set(func() { p.trouble[what] = func() error { return status.Error(code, "it is "+pupil+"'s fault") } })
}

func (p *participant) troubled(system, method string) error {
	for _, key := range []string{system, system + "/" + method} {
		if f := p.trouble[key]; f != nil && f() != nil {
			return f()
		}
	}
	return nil
}

func digest(system string) string {
	sum := sha256.Sum256([]byte(system))
	return fmt.Sprintf("%x", sum)
}

func user(ids []*typev1.Subject) string { return ids[0].GetValue() }

func (p *participant) Describe(_ context.Context, r *participantv1.DescribeRequest) (*participantv1.Description, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return &participantv1.Description{DataMapDigest: digest(r.GetParticipant()), Datasets: p.sets[r.GetParticipant()]}, p.troubled(r.GetParticipant(), "Describe")
}

func (p *participant) Locate(_ context.Context, r *participantv1.LocateRequest) (*participantv1.Location, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := &participantv1.Location{DataMapDigest: digest(r.GetParticipant())}
	for _, d := range p.sets[r.GetParticipant()] {
		n := p.rows[r.GetParticipant()+"/"+d.GetDataset()+"/"+user(r.GetIdentifiers())]
		if p.bad {
			n = -1
		}
		out.Counts = append(out.Counts, &participantv1.DatasetCount{Dataset: d.GetDataset(), Count: n})
	}
	if r.GetParticipant() == "lms" && user(r.GetIdentifiers()) == pupil {
		out.FurtherIdentifiers = []*typev1.Subject{{Type: typev1.Subject_EMAIL, Value: pupilMail}}
		out.SharedIdentifiers = []*participantv1.SharedIdentifier{{Type: typev1.Subject_PHONE, People: 2}}
	}
	return out, p.troubled(r.GetParticipant(), "Locate")
}

func (p *participant) Erase(ctx context.Context, r *participantv1.EraseRequest) (*participantv1.EraseResult, error) {
	p.mu.Lock()
	holding := p.holding
	p.mu.Unlock()
	if holding != nil {
		select {
		case <-holding:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.troubled(r.GetParticipant(), "Erase"); err != nil {
		return nil, err
	}
	key := r.GetParticipant() + r.GetRequest()
	if p.results[key] == nil {
		p.results[key] = p.erase(r)
	}
	if p.bad {
		return &participantv1.EraseResult{}, nil
	}
	return p.results[key], nil
}

func (p *participant) erase(r *participantv1.EraseRequest) *participantv1.EraseResult {
	out := &participantv1.EraseResult{}
	for _, d := range p.sets[r.GetParticipant()] {
		row := r.GetParticipant() + "/" + d.GetDataset() + "/" + user(r.GetIdentifiers())
		o := &participantv1.DatasetResult{Dataset: d.GetDataset(), Located: p.rows[row]}
		switch {
		case !slices.Contains(r.GetDatasets(), d.GetDataset()):
			o.Kept = o.GetLocated()
		case d.GetAction() == participantv1.Action_ANONYMISE:
			o.Anonymised = o.GetLocated()
			delete(p.rows, row)
		default:
			o.Erased = o.GetLocated()
			delete(p.rows, row)
		}
		out.Datasets = append(out.Datasets, o)
	}
	return out
}

func (p *participant) Verify(_ context.Context, r *participantv1.VerifyRequest) (*participantv1.VerifyResult, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := &participantv1.VerifyResult{}
	for _, d := range p.sets[r.GetParticipant()] {
		if n := p.rows[r.GetParticipant()+"/"+d.GetDataset()+"/"+user(r.GetIdentifiers())]; n > 0 && d.GetDataset() != "marks" {
			out.Remaining = append(out.Remaining, &participantv1.Remainder{Dataset: d.GetDataset(), Table: "t", Count: n, FoundBy: "RECORD"})
		}
	}
	if p.bad {
		out.Remaining = append(out.Remaining, &participantv1.Remainder{Dataset: "unheard of", Count: 1})
	}
	return out, p.troubled(r.GetParticipant(), "Verify")
}

// left lists the rows that are there.
func (p *participant) left() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Sorted(maps.Keys(p.rows))
}
