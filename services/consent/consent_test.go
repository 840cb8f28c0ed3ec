package consent_test

import (
	"context"
	"io"
	"net"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/libs/server"
	"github.com/privacyops/privacyops/libs/telemetry"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	typepb "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
	"github.com/privacyops/privacyops/services/consent"
)

// auditd takes what the outbox hands over.
type auditd struct {
	auditv1.UnimplementedAuditIngestServer
	mu     sync.Mutex
	events []*auditv1.ReportedEvent
	known  map[string]bool
}

func (a *auditd) AppendAuditEvents(_ context.Context, req *auditv1.AppendAuditEventsRequest) (*auditv1.AppendAuditEventsResponse, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range req.GetEvents() {
		// An event that was handed over may come again, and counts once.
		if !a.known[e.GetId()] {
			a.known[e.GetId()], a.events = true, append(a.events, e)
		}
	}
	return &auditv1.AppendAuditEventsResponse{}, nil
}

func (a *auditd) find(action, controller string, outcome auditv1.AuditEvent_Outcome) (found []*auditv1.ReportedEvent) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range a.events {
		if e.GetAction() == action && e.GetController() == controller && e.GetOutcome() == outcome {
			found = append(found, e)
		}
	}
	return found
}

// installation is the service as it ships: behind mutual TLS, tokens, method rules and its own outbox.
type installation struct {
	t      testing.TB
	issuer *access.Issuer
	audit  *auditd
	certs  map[string]*grpc.ClientConn
	stop   func()
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	lis, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return lis
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func install(t testing.TB, change ...func(*consent.Config)) *installation {
	t.Helper()
	dir := t.TempDir()
	in := &installation{t: t, audit: &auditd{known: map[string]bool{}}, certs: map[string]*grpc.ClientConn{}}
	keys, err := keyring.New(make([]byte, keyring.KeySize))
	check(t, err)
	tel, err := telemetry.New(t.Context(), telemetry.Config{Service: consent.Name, Log: io.Discard})
	check(t, err)
	in.issuer, err = access.OpenIssuer(dir)
	check(t, err)
	public, err := access.NewFileKeys(access.JWKSPath(dir))
	check(t, err)
	verifier, err := access.NewVerifier(access.VerifierConfig{Issuer: access.DevelopmentIssuer, Audience: access.DevelopmentAudience,
		Keys: public, Keyring: keys, Clock: clock.System()})
	check(t, err)
	cfg := consent.Config{Database: "sqlite:" + filepath.Join(dir, "consent.db"), Keyring: keys, Clock: clock.System(),
		NewID: func() string { return uuid.Must(uuid.NewV7()).String() }, Telemetry: tel, Audit: in.serveAudit()}
	for _, f := range change {
		f(&cfg)
	}
	svc, err := consent.New(t.Context(), cfg)
	check(t, err)
	authority, err := server.NewAuthority(dir, time.Now())
	check(t, err)
	files, err := authority.Issue(consent.Name)
	check(t, err)
	srv, err := server.New(server.Config{Service: consent.Name, TLS: files, Verifier: verifier, Outbox: svc.Outbox(), Ready: svc.Ready, Telemetry: tel, Clock: clock.System()})
	check(t, err)
	svc.Register(srv)
	lis := listen(t)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { in.report(srv.Serve(ctx, lis)) })
	wg.Go(func() { in.report(svc.Run(ctx)) })
	for _, name := range []string{"gateway", "erasure", "export"} {
		files, err := authority.Issue(name)
		check(t, err)
		in.certs[name], err = server.Dial(server.Peer{Service: consent.Name, Address: lis.Addr().String()}, files, tel)
		check(t, err)
	}
	in.stop = sync.OnceFunc(func() {
		for _, c := range in.certs {
			in.report(c.Close())
		}
		cancel()
		wg.Wait()
		in.report(svc.Close())
	})
	t.Cleanup(in.stop)
	return in
}

func (in *installation) report(err error) {
	if err != nil {
		in.t.Error(err)
	}
}

// serveAudit starts auditd and connects to it.
func (in *installation) serveAudit() *grpc.ClientConn {
	lis, srv := listen(in.t), grpc.NewServer()
	auditv1.RegisterAuditIngestServer(srv, in.audit)
	go func() { _ = srv.Serve(lis) }()
	conn, err := grpc.NewClient(lis.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	check(in.t, err)
	in.t.Cleanup(func() { _ = conn.Close(); srv.Stop() })
	return conn
}

// as is a context that carries a token.
func (in *installation) as(role string, controllers ...string) context.Context {
	in.t.Helper()
	now := time.Now()
	token, err := in.issuer.Token(access.Claims{Subject: role + "@example.org", Roles: []string{role}, Controllers: controllers, Issued: now, Expires: now.Add(time.Hour)})
	check(in.t, err)
	return metadata.AppendToOutgoingContext(in.t.Context(), "authorization", "Bearer "+token)
}

func (in *installation) wantFault(err error, kind fault.Kind, reason string) {
	in.t.Helper()
	if f := fault.From(server.Fault(err)); err == nil || f.Kind() != kind || f.Reason() != reason {
		in.t.Errorf("got %v, want kind %d and reason %s", err, kind, reason)
	}
}

var ana = &typepb.Subject{Type: typepb.Subject_UNILOGIN, Value: "anna1234"}

// register makes a controller with an activity `photos` on consent, as the operator and the controller's officer do.
func (in *installation) register(c string) {
	in.t.Helper()
	conn := in.certs["gateway"]
	_, err := pb.NewRegisterClient(conn).CreateController(in.as("operator", "*"), &pb.CreateControllerRequest{ControllerId: c,
		Controller: &pb.Controller{DisplayName: c, Jurisdiction: "DK"}})
	check(in.t, err)
	_, err = pb.NewRegisterClient(conn).CreateActivity(in.as("dpo", c), &pb.CreateActivityRequest{Parent: "controllers/" + c, ActivityId: "photos",
		Activity: &pb.Activity{Purpose: "Photos", LegalBasis: typepb.LegalBasis_CONSENT}})
	check(in.t, err)
}

func give(c string) *pb.GiveConsentRequest {
	return &pb.GiveConsentRequest{Parent: "controllers/" + c, Subject: ana, Activity: "photos", GivenBy: &pb.GivenBy{Capacity: pb.GivenBy_GUARDIAN}}
}

func ask(c string) *pb.CheckLegalBasisRequest {
	return &pb.CheckLegalBasisRequest{Parent: "controllers/" + c, Subject: ana, Activity: "photos"}
}

// Two schools on one installation: what one has, the other can neither see nor change, nor tell from what does not exist.
func TestTwoSchools(t *testing.T) {
	t.Parallel()
	in := install(t)
	in.register("school-a")
	in.register("school-b")
	conn := in.certs["gateway"]
	consents, basis, register := pb.NewConsentsClient(conn), pb.NewLegalBasisClient(conn), pb.NewRegisterClient(conn)
	given, err := consents.GiveConsent(in.as("platform", "school-a"), give("school-a"))
	check(t, err)
	d, err := basis.CheckLegalBasis(in.as("partner", "school-a"), ask("school-a"))
	check(t, err)
	if d.GetReason() != pb.Decision_CONSENT_HOLDS {
		t.Errorf("%v", d)
	}

	b := in.as("platform", "school-b")
	d, err = basis.CheckLegalBasis(b, ask("school-b"))
	check(t, err)
	if d.GetReason() != pb.Decision_NO_CONSENT {
		t.Errorf("the other school's consent counts: %v", d.GetReason())
	}
	absent := "controllers/school-b/consents/" + uuid.NewString()
	_, missing := consents.WithdrawConsent(b, &pb.WithdrawConsentRequest{Name: absent})
	in.wantFault(missing, fault.NotFound, "NOT_FOUND")
	foreign := "controllers/school-b/consents/" + filepath.Base(given.GetName())
	for name, call := range map[string]func() error{
		"withdraw by name": func() error {
			return last(consents.WithdrawConsent(b, &pb.WithdrawConsentRequest{Name: given.GetName()}))
		},
		"withdraw by id": func() error { return last(consents.WithdrawConsent(b, &pb.WithdrawConsentRequest{Name: foreign})) },
		"check":          func() error { return last(basis.CheckLegalBasis(b, ask("school-a"))) },
		"batch": func() error {
			return last(basis.BatchCheckLegalBasis(b, &pb.BatchCheckLegalBasisRequest{Parent: "controllers/school-a", Checks: []*pb.CheckLegalBasisRequest{ask("school-a")}}))
		},
		"give": func() error { return last(consents.GiveConsent(b, give("school-a"))) },
		"search": func() error {
			return last(consents.SearchConsents(b, &pb.SearchConsentsRequest{Parent: "controllers/school-a", Subject: ana}))
		},
		"get the controller": func() error {
			return last(register.GetController(b, &pb.GetControllerRequest{Name: "controllers/school-a"}))
		},
		"get the activity": func() error {
			return last(register.GetActivity(b, &pb.GetActivityRequest{Name: "controllers/school-a/activities/photos"}))
		},
		"a school nobody knows": func() error {
			return last(register.GetController(b, &pb.GetControllerRequest{Name: "controllers/school-x"}))
		},
	} {
		if err := call(); !proto.Equal(status.Convert(err).Proto(), status.Convert(missing).Proto()) {
			t.Errorf("%s: %v, want the same answer as for what does not exist", name, err)
		}
	}
	mixed := &pb.BatchCheckLegalBasisRequest{Parent: "controllers/school-b", Checks: []*pb.CheckLegalBasisRequest{ask("school-b"), ask("school-a")}}
	in.wantFault(last(basis.BatchCheckLegalBasis(b, mixed)), fault.Invalid, "INVALID_ARGUMENT")
	token := ask("school-b")
	token.Consistency = &pb.Consistency{Requirement: &pb.Consistency_Token{Token: given.GetConsistencyToken()}}
	in.wantFault(last(basis.CheckLegalBasis(b, token)), fault.Invalid, "TOKEN_INVALID")
	d, err = basis.CheckLegalBasis(in.as("partner", "school-a"), ask("school-a"))
	check(t, err)
	if d.GetReason() != pb.Decision_CONSENT_HOLDS {
		t.Errorf("the other school changed something: %v", d.GetReason())
	}
}

func last[T any](_ T, err error) error { return err }

// Who may call what, and what the audit service learns of it.
func TestRolesAndEvents(t *testing.T) {
	t.Parallel()
	in := install(t)
	in.register("school-a")
	conn := in.certs["gateway"]
	in.wantFault(last(pb.NewConsentsClient(conn).GiveConsent(in.as("partner", "school-a"), give("school-a"))), fault.Denied, "ROLE_REQUIRED")
	in.wantFault(last(pb.NewLegalBasisClient(conn).CheckLegalBasis(in.as("sre", "school-a"), ask("school-a"))), fault.Denied, "ROLE_REQUIRED")
	in.wantFault(last(pb.NewLegalBasisClient(conn).CheckLegalBasis(t.Context(), ask("school-a"))), fault.Unauthenticated, "TOKEN_INVALID")

	erasure := &pb.RecordErasureRequest{Parent: "controllers/school-a", SubjectRefs: []string{"sub_0123456789"}, Erasure: "controllers/school-a/erasures/" + uuid.NewString()}
	in.wantFault(last(pb.NewErasedClient(in.certs["export"]).RecordErasure(t.Context(), erasure)), fault.Denied, "ROLE_REQUIRED")
	check(t, last(pb.NewErasedClient(in.certs["erasure"]).RecordErasure(t.Context(), erasure)))
	snapshot := &pb.GetSnapshotRequest{Parent: "controllers/school-a"}
	in.wantFault(last(pb.NewRegisterReaderClient(conn).GetSnapshot(t.Context(), snapshot)), fault.Denied, "ROLE_REQUIRED")
	check(t, last(pb.NewRegisterReaderClient(in.certs["export"]).GetSnapshot(t.Context(), snapshot)))
	d, err := pb.NewLegalBasisClient(conn).CheckLegalBasis(in.as("partner", "school-a"), ask("school-a"))
	check(t, err)

	in.stop() // hands over what is left
	for _, want := range []struct {
		action  string
		outcome auditv1.AuditEvent_Outcome
	}{
		{"controller.create", auditv1.AuditEvent_OK}, {"activity.create", auditv1.AuditEvent_OK}, {"subject.erased", auditv1.AuditEvent_OK},
		{"legal_basis.check", auditv1.AuditEvent_OK},
	} {
		if found := in.audit.find(want.action, "school-a", want.outcome); len(found) != 1 {
			t.Errorf("%d events %s %s, want 1", len(found), want.action, want.outcome)
		}
	}
	if found := in.audit.find("legal_basis.check", "school-a", auditv1.AuditEvent_OK); len(found) == 1 {
		batch := found[0].GetDecisions().GetDecisions()
		if len(batch) != 1 || uuid.UUID(batch[0].GetId()).String() != d.GetDecisionId() {
			t.Errorf("the decision %s is recorded as %v", d.GetDecisionId(), batch)
		}
	}
}

func TestNewNeedsEverything(t *testing.T) {
	t.Parallel()
	if _, err := consent.New(t.Context(), consent.Config{Database: "sqlite:x.db"}); err == nil {
		t.Error("a service without audit was made")
	}
}
