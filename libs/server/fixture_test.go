package server_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/server"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/libs/telemetry"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	authv1 "github.com/privacyops/privacyops/proto/gen/privacyops/auth/v1"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// secret stands for personal data: no answer, log line or event may hold it.
const secret = "anna.jensen@skole.example"

// Handlers of the test's service, one for each way a call can be made. A nil one answers emptily.
type handlers struct {
	get      func(context.Context, *consentv1.GetControllerRequest) (*consentv1.Controller, error)
	update   func(context.Context, *consentv1.UpdateControllerRequest) (*consentv1.Controller, error)
	snapshot func(context.Context) error
	watch    func(grpc.ServerStreamingServer[erasurev1.Erasure]) error
	roster   func(grpc.ClientStreamingServer[erasurev1.ImportRosterRequest, erasurev1.Roster]) error
}

type register struct {
	consentv1.UnimplementedRegisterServer
	h *handlers
}

func (r register) GetController(ctx context.Context, req *consentv1.GetControllerRequest) (*consentv1.Controller, error) {
	if r.h.get == nil {
		return &consentv1.Controller{Name: req.GetName()}, nil
	}
	return r.h.get(ctx, req)
}

func (r register) UpdateController(ctx context.Context, req *consentv1.UpdateControllerRequest) (*consentv1.Controller, error) {
	return r.h.update(ctx, req)
}

type reader struct {
	consentv1.UnimplementedRegisterReaderServer
	h *handlers
}

func (r reader) GetSnapshot(ctx context.Context, _ *consentv1.GetSnapshotRequest) (*consentv1.Snapshot, error) {
	if r.h.snapshot == nil {
		return &consentv1.Snapshot{}, nil
	}
	return &consentv1.Snapshot{}, r.h.snapshot(ctx)
}

type erasures struct {
	erasurev1.UnimplementedErasuresServer
	h *handlers
}

func (e erasures) WatchErasure(_ *erasurev1.WatchErasureRequest, s grpc.ServerStreamingServer[erasurev1.Erasure]) error {
	return e.h.watch(s)
}

type rosters struct {
	erasurev1.UnimplementedRostersServer
	h *handlers
}

func (r rosters) ImportRoster(s grpc.ClientStreamingServer[erasurev1.ImportRosterRequest, erasurev1.Roster]) error {
	return r.h.roster(s)
}

type auditLog struct {
	auditv1.UnimplementedAuditLogServer
}

func (auditLog) GetCheckpoint(context.Context, *auditv1.GetCheckpointRequest) (*httpbody.HttpBody, error) {
	return &httpbody.HttpBody{Data: []byte("checkpoint")}, nil
}

// lines collects what several goroutines log.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// suite is an installation around one server, named consent.
type suite struct {
	tb        testing.TB
	dir       string
	authority *server.Authority
	issuer    *access.Issuer
	db        *sqldb.DB
	outbox    *outbox.Outbox
	tel       *telemetry.Telemetry
	log       *lines
	cfg       server.Config
	handlers  *handlers

	address string
	stop    context.CancelFunc
	stopped chan error
}

// newSuite prepares a server; change, if any, has the last word on its configuration.
func newSuite(tb testing.TB, h *handlers, change func(*server.Config)) *suite {
	tb.Helper()
	s := &suite{tb: tb, dir: tb.TempDir(), log: &lines{}, handlers: h}
	var err error
	must := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
	s.authority, err = server.NewAuthority(s.dir, time.Now())
	must(err)
	s.issuer, err = access.OpenIssuer(s.dir)
	must(err)
	keys, err := access.NewFileKeys(access.JWKSPath(s.dir))
	must(err)
	master, err := keyring.New(make([]byte, keyring.KeySize))
	must(err)
	verifier, err := access.NewVerifier(access.VerifierConfig{Issuer: access.DevelopmentIssuer, Audience: access.DevelopmentAudience,
		Keys: keys, Keyring: master, Clock: clock.System()})
	must(err)
	s.db, err = sqldb.Open(context.Background(), sqldb.Config{URL: "sqlite:" + filepath.Join(s.dir, "consent.db")})
	must(err)
	var n atomic.Int64
	s.outbox, err = outbox.New(context.Background(), outbox.Config{Service: "consent", DB: s.db, Clock: clock.System(),
		NewID: func() string { return fmt.Sprintf("01980f0e-0000-7000-8000-%012d", n.Add(1)) }})
	must(err)
	s.tel, err = telemetry.New(context.Background(), telemetry.Config{Service: "consent", Log: s.log, Level: -4})
	must(err)
	tb.Cleanup(func() {
		s.db.Close()
		_ = s.tel.Shutdown(context.Background())
	})
	files, err := s.authority.Issue("consent")
	must(err)
	s.cfg = server.Config{Service: "consent", TLS: files, Verifier: verifier, Outbox: s.outbox, Telemetry: s.tel, Clock: clock.System()}
	if change != nil {
		change(&s.cfg)
	}
	return s
}

// start serves until the test ends.
func start(tb testing.TB, h *handlers, change func(*server.Config)) *suite {
	tb.Helper()
	s := newSuite(tb, h, change)
	srv, err := server.New(s.cfg)
	if err != nil {
		tb.Fatal(err)
	}
	consentv1.RegisterRegisterServer(srv, register{h: h})
	consentv1.RegisterRegisterReaderServer(srv, reader{h: h})
	erasurev1.RegisterErasuresServer(srv, erasures{h: h})
	erasurev1.RegisterRostersServer(srv, rosters{h: h})
	auditv1.RegisterAuditLogServer(srv, auditLog{})
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.address, s.stop, s.stopped = lis.Addr().String(), cancel, make(chan error, 1)
	go func() { s.stopped <- srv.Serve(ctx, lis) }()
	tb.Cleanup(func() {
		cancel()
		if err, more := <-s.stopped; more && err != nil {
			tb.Errorf("Serve: %v", err)
		}
	})
	return s
}

// dial connects as a service.
func (s *suite) dial(service string, opts ...grpc.DialOption) *grpc.ClientConn {
	s.tb.Helper()
	files, err := s.authority.Issue(service)
	if err != nil {
		s.tb.Fatal(err)
	}
	conn, err := server.Dial(server.Peer{Service: "consent", Address: s.address}, files, s.tel, opts...)
	if err != nil {
		s.tb.Fatal(err)
	}
	s.tb.Cleanup(func() { conn.Close() })
	return conn
}

// token makes a token.
func (s *suite) token(role, controller string) string {
	s.tb.Helper()
	now := time.Now()
	t, err := s.issuer.Token(access.Claims{Subject: secret, Roles: []string{role}, Controllers: []string{controller},
		Issued: now, Expires: now.Add(time.Hour)})
	if err != nil {
		s.tb.Fatal(err)
	}
	return t
}

// as makes calls under ctx carry a token.
func as(ctx context.Context, token string) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
}

// events gives the events that were recorded since it was last asked.
func (s *suite) events() []*auditv1.ReportedEvent {
	s.tb.Helper()
	var in ingest
	if err := s.outbox.Flush(context.Background(), &in); err != nil {
		s.tb.Fatal(err)
	}
	return slices.DeleteFunc(in.events, func(e *auditv1.ReportedEvent) bool { return e.GetKind() == authv1.Rule_LOGIN }) // log-ins are no call's events
}

type ingest struct{ events []*auditv1.ReportedEvent }

func (i *ingest) AppendAuditEvents(_ context.Context, in *auditv1.AppendAuditEventsRequest, _ ...grpc.CallOption) (*auditv1.AppendAuditEventsResponse, error) {
	i.events = append(i.events, in.GetEvents()...)
	return &auditv1.AppendAuditEventsResponse{}, nil
}

// breakOutbox makes every further event fail.
func (s *suite) breakOutbox() {
	s.tb.Helper()
	err := s.db.Write(context.Background(), func(ctx context.Context, tx sqldb.Tx) error {
		_, err := tx.Exec(ctx, `CREATE TRIGGER refuse BEFORE INSERT ON audit_outbox BEGIN SELECT RAISE(ABORT, 'no'); END`)
		return err
	})
	if err != nil {
		s.tb.Fatal(err)
	}
}

// change records an event as a handler does that changes something.
func (s *suite) change(ctx context.Context, resource string) error {
	return s.db.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
		_, err := s.outbox.Record(ctx, tx, outbox.Event{Resource: resource})
		return err
	})
}
