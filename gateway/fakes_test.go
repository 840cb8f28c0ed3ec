package gateway_test

import (
	"context"
	"fmt"
	"sync"

	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	authv1 "github.com/privacyops/privacyops/proto/gen/privacyops/auth/v1"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
	exportv1 "github.com/privacyops/privacyops/proto/gen/privacyops/export/v1"
)

// heard remembers the metadata that a fake was called with.
type heard struct {
	mu    sync.Mutex
	calls []metadata.MD
}

func (h *heard) note(ctx context.Context) {
	md, _ := metadata.FromIncomingContext(ctx)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.calls = append(h.calls, md)
}

func (h *heard) all() []metadata.MD {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]metadata.MD(nil), h.calls...)
}

// fakeConsent echoes, unless err is set.
type fakeConsent struct {
	consentv1.UnimplementedRegisterServer
	consentv1.UnimplementedLegalBasisServer
	consentv1.UnimplementedConsentsServer
	consentv1.UnimplementedDocumentsServer
	heard

	err   error
	check func(context.Context, *consentv1.CheckLegalBasisRequest) (*consentv1.Decision, error)
	watch func(*consentv1.WatchLegalBasisRequest, grpc.ServerStreamingServer[consentv1.LegalBasisChange]) error
	// document is what every document is.
	document *httpbody.HttpBody
}

func (f *fakeConsent) register(r grpc.ServiceRegistrar) {
	consentv1.RegisterRegisterServer(r, f)
	consentv1.RegisterLegalBasisServer(r, f)
	consentv1.RegisterConsentsServer(r, f)
	consentv1.RegisterDocumentsServer(r, f)
}

func (f *fakeConsent) GetController(ctx context.Context, req *consentv1.GetControllerRequest) (*consentv1.Controller, error) {
	f.note(ctx)
	return &consentv1.Controller{Name: req.GetName(), DisplayName: "Skolen"}, f.err
}

func (f *fakeConsent) CreateController(ctx context.Context, req *consentv1.CreateControllerRequest) (*consentv1.Controller, error) {
	f.note(ctx)
	c := req.GetController()
	c.Name = "controllers/" + req.GetControllerId()
	return c, f.err
}

func (f *fakeConsent) UpdateController(ctx context.Context, req *consentv1.UpdateControllerRequest) (*consentv1.Controller, error) {
	f.note(ctx)
	c := req.GetController()
	c.Contact = "mask:" + joined(req.GetUpdateMask().GetPaths())
	return c, f.err
}

func (f *fakeConsent) ListActivities(ctx context.Context, _ *consentv1.ListActivitiesRequest) (*consentv1.ListActivitiesResponse, error) {
	f.note(ctx)
	return &consentv1.ListActivitiesResponse{}, f.err
}

func (f *fakeConsent) CheckLegalBasis(ctx context.Context, req *consentv1.CheckLegalBasisRequest) (*consentv1.Decision, error) {
	f.note(ctx)
	if f.check != nil {
		return f.check(ctx, req)
	}
	return &consentv1.Decision{Decision: consentv1.Decision_ALLOW, Activity: req.GetActivity()}, f.err
}

func (f *fakeConsent) BatchCheckLegalBasis(ctx context.Context, req *consentv1.BatchCheckLegalBasisRequest) (*consentv1.BatchCheckLegalBasisResponse, error) {
	resp := &consentv1.BatchCheckLegalBasisResponse{}
	for _, ask := range req.GetChecks() {
		d, err := f.CheckLegalBasis(ctx, ask)
		if err != nil {
			return nil, err
		}
		resp.Decisions = append(resp.Decisions, d)
	}
	return resp, nil
}

func (f *fakeConsent) WatchLegalBasis(req *consentv1.WatchLegalBasisRequest, stream grpc.ServerStreamingServer[consentv1.LegalBasisChange]) error {
	f.note(stream.Context())
	return f.watch(req, stream)
}

func joined(parts []string) (out string) {
	for _, p := range parts {
		out += p + ";"
	}
	return out
}

// fakeExports has one export, and streams its package.
type fakeExports struct {
	exportv1.UnimplementedExportsServer
	heard

	get     func(*exportv1.GetExportRequest) (*exportv1.Export, error)
	watch   func(*exportv1.WatchExportRequest, grpc.ServerStreamingServer[exportv1.Export]) error
	content []byte
	readErr error
	reads   []*exportv1.ReadPackageRequest
}

func (f *fakeExports) register(r grpc.ServiceRegistrar) { exportv1.RegisterExportsServer(r, f) }

func (f *fakeExports) GetExport(ctx context.Context, req *exportv1.GetExportRequest) (*exportv1.Export, error) {
	f.note(ctx)
	return f.get(req)
}

func (f *fakeExports) WatchExport(req *exportv1.WatchExportRequest, stream grpc.ServerStreamingServer[exportv1.Export]) error {
	f.note(stream.Context())
	return f.watch(req, stream)
}

func (f *fakeExports) ReadPackage(req *exportv1.ReadPackageRequest, stream grpc.ServerStreamingServer[exportv1.PackageChunk]) error {
	f.note(stream.Context())
	f.mu.Lock()
	f.reads = append(f.reads, req)
	f.mu.Unlock()
	for rest := f.content[req.GetOffset():]; len(rest) > 0; {
		n := min(len(rest), 1000)
		if err := stream.Send(&exportv1.PackageChunk{Data: rest[:n]}); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return f.readErr
}

// fakeErasures answers with what is set.
type fakeErasures struct {
	erasurev1.UnimplementedErasuresServer
	erasurev1.UnimplementedRostersServer
	heard

	err         error
	certificate *httpbody.HttpBody
	roster      func(grpc.ClientStreamingServer[erasurev1.ImportRosterRequest, erasurev1.Roster]) error
}

func (f *fakeErasures) register(r grpc.ServiceRegistrar) {
	erasurev1.RegisterErasuresServer(r, f)
	erasurev1.RegisterRostersServer(r, f)
}

func (f *fakeErasures) GetErasure(ctx context.Context, req *erasurev1.GetErasureRequest) (*erasurev1.Erasure, error) {
	f.note(ctx)
	return &erasurev1.Erasure{Name: req.GetName()}, f.err
}

// CreateErasure makes a new one each time, also of a repeated call.
func (f *fakeErasures) CreateErasure(ctx context.Context, req *erasurev1.CreateErasureRequest) (*erasurev1.Erasure, error) {
	f.note(ctx)
	n := len(f.all())
	return &erasurev1.Erasure{Name: fmt.Sprintf("%s/erasures/%d", req.GetParent(), n), SubjectRef: fmt.Sprintf("sub_%d", n), State: erasurev1.Erasure_PLANNING}, f.err
}

func (f *fakeErasures) ApproveErasure(ctx context.Context, req *erasurev1.ApproveErasureRequest) (*erasurev1.Erasure, error) {
	f.note(ctx)
	return &erasurev1.Erasure{Name: req.GetName(), State: erasurev1.Erasure_GRACE}, f.err
}

func (f *fakeErasures) GetCertificate(ctx context.Context, _ *erasurev1.GetCertificateRequest) (*httpbody.HttpBody, error) {
	f.note(ctx)
	return f.certificate, f.err
}

func (f *fakeErasures) ImportRoster(stream grpc.ClientStreamingServer[erasurev1.ImportRosterRequest, erasurev1.Roster]) error {
	f.note(stream.Context())
	return f.roster(stream)
}

// fakeAudit remembers the events that were reported.
type fakeAudit struct {
	auditv1.UnimplementedAuditLogServer
	auditv1.UnimplementedAuditIngestServer
	heard

	events    []*auditv1.ReportedEvent
	appendErr error
	tiles     []*auditv1.GetTileRequest
}

func (f *fakeAudit) register(r grpc.ServiceRegistrar) {
	auditv1.RegisterAuditLogServer(r, f)
	auditv1.RegisterAuditIngestServer(r, f)
}

func (f *fakeAudit) AppendAuditEvents(ctx context.Context, req *auditv1.AppendAuditEventsRequest) (*auditv1.AppendAuditEventsResponse, error) {
	f.note(ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.events = append(f.events, req.GetEvents()...)
	return &auditv1.AppendAuditEventsResponse{}, f.appendErr
}

func (f *fakeAudit) reported() []*auditv1.ReportedEvent {
	f.mu.Lock()
	defer f.mu.Unlock()
	var calls []*auditv1.ReportedEvent
	for _, e := range f.events {
		if e.GetKind() != authv1.Rule_LOGIN { // a token's first call is one more event, at some time
			calls = append(calls, e)
		}
	}
	return calls
}

func (f *fakeAudit) GetCheckpoint(ctx context.Context, _ *auditv1.GetCheckpointRequest) (*httpbody.HttpBody, error) {
	f.note(ctx)
	return &httpbody.HttpBody{ContentType: "text/plain; charset=utf-8", Data: []byte("example.org/log\n3\nabc=\n\n— note \n")}, nil
}

func (f *fakeAudit) GetTile(ctx context.Context, req *auditv1.GetTileRequest) (*httpbody.HttpBody, error) {
	f.note(ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tiles = append(f.tiles, req)
	return &httpbody.HttpBody{ContentType: "application/octet-stream", Data: []byte{0, 1, 2, 255}}, nil
}
