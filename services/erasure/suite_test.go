package erasure_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"
	"golang.org/x/mod/sumdb/note"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"

	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/certificate"
	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/libs/server"
	"github.com/privacyops/privacyops/libs/telemetry"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
	participantv1 "github.com/privacyops/privacyops/proto/gen/privacyops/participant/v1"
	typev1 "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
	"github.com/privacyops/privacyops/services/erasure"
)

// The person whom the tests erase. Nothing of it may stand in clear in the database, an event, the log or an answer.
const (
	pupil     = "anna0001kanarie"
	pupilMail = "anna.kanarie@skole.example"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// suite is the service behind the server that it has in production, with certificates and tokens, and everything around it faked.
type suite struct {
	t        *testing.T
	dir      string
	cfg      erasure.Config
	issuer   *access.Issuer
	ca       *server.Authority
	log      *lockedBuffer
	audit    *auditLog
	register *register
	systems  *participant

	service  *erasure.Service
	conn     *grpc.ClientConn
	erasures erasurev1.ErasuresClient
	rosters  erasurev1.RostersClient
	stop     func()
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// must is for fixtures.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func newSuite(t *testing.T) *suite {
	t.Helper()
	dir := t.TempDir()
	s := &suite{t: t, dir: dir, log: &lockedBuffer{}, register: newRegister(), systems: newParticipant()}
	s.ca = must(server.NewAuthority(filepath.Join(dir, "certs"), time.Now()))
	s.issuer = must(access.OpenIssuer(dir))
	skey, vkey, err := note.GenerateKey(nil, "audit.test/log")
	check(t, err)
	s.audit = &auditLog{signer: must(note.NewSigner(skey)), key: vkey, places: map[string]int64{}, destroyed: map[string]int{}}
	ckey, _, err := note.GenerateKey(nil, "erasure.test/certificates")
	check(t, err)
	s.cfg = erasure.Config{
		Database: "sqlite:" + filepath.Join(dir, "erasure.db"), Keyring: must(keyring.New(bytes.Repeat([]byte{7}, keyring.KeySize))), Clock: clock.System(),
		NewID:     func() string { return uuid.Must(uuid.NewV7()).String() },
		Telemetry: must(telemetry.New(context.Background(), telemetry.Config{Service: "erasure", Log: s.log})),
		Signer:    must(certificate.ParseSigner(ckey)), Exclusive: true,
		Backoff: func(int) time.Duration { return 100 * time.Millisecond },
	}
	s.cfg.Audit = s.fake("audit", func(r grpc.ServiceRegistrar) {
		auditv1.RegisterAuditLogServer(r, s.audit)
		auditv1.RegisterAuditIngestServer(r, s.audit)
		auditv1.RegisterAuditKeysServer(r, s.audit)
	})
	s.cfg.Consent = s.fake("consent", func(r grpc.ServiceRegistrar) {
		consentv1.RegisterRegisterReaderServer(r, s.register)
		consentv1.RegisterErasedServer(r, s.register)
	})
	conn := s.fake("participant", func(r grpc.ServiceRegistrar) { participantv1.RegisterParticipantServer(r, s.systems) })
	s.cfg.Participants = map[string]grpc.ClientConnInterface{"lms": conn, "desk": conn}
	s.start()
	t.Cleanup(func() { s.stop() })
	return s
}

// fake serves another service of the suite and connects the erasure service to it.
func (s *suite) fake(name string, add func(grpc.ServiceRegistrar)) *grpc.ClientConn {
	s.t.Helper()
	tlsConfig := must(must(s.ca.Issue(name)).ServerTLS())
	srv := grpc.NewServer(grpc.Creds(credentials.NewTLS(tlsConfig)))
	add(srv)
	lis := listen(s.t)
	go func() { _ = srv.Serve(lis) }()
	conn := must(server.Dial(server.Peer{Service: name, Address: lis.Addr().String()}, must(s.ca.Issue("erasure")), s.cfg.Telemetry))
	s.t.Cleanup(func() { srv.Stop(); _ = conn.Close() })
	return conn
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	lis, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	check(t, err)
	return lis
}

// start opens the service and serves it until stop.
func (s *suite) start() {
	t := s.t
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	service, err := erasure.New(ctx, s.cfg)
	check(t, err)
	keys := must(access.NewFileKeys(access.JWKSPath(s.dir)))
	srv, err := server.New(server.Config{Service: "erasure", TLS: must(s.ca.Issue("erasure")), Outbox: service.Outbox(), Ready: service.Ready,
		Telemetry: s.cfg.Telemetry, Clock: s.cfg.Clock, Verifier: must(access.NewVerifier(access.VerifierConfig{Issuer: access.DevelopmentIssuer,
			Audience: access.DevelopmentAudience, Keys: keys, Keyring: s.cfg.Keyring, Clock: s.cfg.Clock}))})
	check(t, err)
	service.Register(srv)
	lis := listen(t)
	ended := make(chan error, 2)
	go func() { ended <- srv.Serve(ctx, lis) }()
	go func() { ended <- service.Run(ctx) }()
	s.service = service
	s.conn = must(server.Dial(server.Peer{Service: "erasure", Address: lis.Addr().String()}, must(s.ca.Issue("gateway")), s.cfg.Telemetry))
	s.erasures, s.rosters = erasurev1.NewErasuresClient(s.conn), erasurev1.NewRostersClient(s.conn)
	s.stop = sync.OnceFunc(func() {
		_ = s.conn.Close()
		cancel()
		if err := errors.Join(<-ended, <-ended, service.Close()); err != nil {
			t.Errorf("ending: %v", err)
		}
	})
}

// as gives a context with a person's token.
func (s *suite) as(person, role string, controllers ...string) context.Context {
	s.t.Helper()
	if len(controllers) == 0 {
		controllers = []string{"north"}
	}
	now := time.Now()
	token := must(s.issuer.Token(access.Claims{Subject: person, Roles: []string{role}, Controllers: controllers, Issued: now, Expires: now.Add(time.Hour)}))
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	s.t.Cleanup(cancel)
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
}

func (s *suite) platform() context.Context { return s.as("platform", "platform") }
func (s *suite) dpo() context.Context      { return s.as("dpo", "dpo") }

func request(change ...func(*erasurev1.CreateErasureRequest)) *erasurev1.CreateErasureRequest {
	r := &erasurev1.CreateErasureRequest{Parent: "controllers/north", Subject: subject(pupil), Ground: erasurev1.Erasure_NO_LONGER_NECESSARY}
	for _, f := range change {
		f(r)
	}
	return r
}

func subject(value string) *typev1.Subject {
	return &typev1.Subject{Type: typev1.Subject_UNILOGIN, Value: value}
}

func (s *suite) create(change ...func(*erasurev1.CreateErasureRequest)) *erasurev1.Erasure {
	s.t.Helper()
	e, err := s.erasures.CreateErasure(s.platform(), request(change...))
	check(s.t, err)
	return e
}

func (s *suite) get(name string) *erasurev1.Erasure {
	s.t.Helper()
	e, err := s.erasures.GetErasure(s.dpo(), &erasurev1.GetErasureRequest{Name: name})
	check(s.t, err)
	return e
}

func (s *suite) approve(ctx context.Context, e *erasurev1.Erasure) (*erasurev1.Erasure, error) {
	return s.erasures.ApproveErasure(ctx, &erasurev1.ApproveErasureRequest{Name: e.GetName(), PlanHash: e.GetPlan().GetPlanHash()})
}

// await waits until an erasure is as wanted.
func (s *suite) await(name, what string, is func(*erasurev1.Erasure) bool) *erasurev1.Erasure {
	s.t.Helper()
	for end := time.Now().Add(15 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		e := s.get(name)
		if is(e) {
			return e
		}
		if time.Now().After(end) {
			s.t.Fatalf("the erasure never is %s: %v", what, e)
		}
	}
}

func (s *suite) awaitState(name string, want erasurev1.Erasure_State) *erasurev1.Erasure {
	s.t.Helper()
	return s.await(name, want.String(), func(e *erasurev1.Erasure) bool { return e.GetState() == want })
}

// planned asks for an erasure and waits for its plan.
func (s *suite) planned() *erasurev1.Erasure {
	s.t.Helper()
	return s.awaitState(s.create().GetName(), erasurev1.Erasure_AWAITING_APPROVAL)
}

// tally waits until every event has reached the audit service, and counts them as "action OUTCOME REASON".
func (s *suite) tally() map[string]int {
	s.t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		n, err := s.service.Outbox().Pending(context.Background())
		check(s.t, err)
		if n == 0 {
			break
		}
		if time.Now().After(end) {
			s.t.Fatalf("%d events never reach the audit service:\n%s", n, s.log)
		}
	}
	s.audit.mu.Lock()
	defer s.audit.mu.Unlock()
	out := map[string]int{}
	for _, e := range s.audit.events {
		out[strings.TrimSpace(e.GetAction()+" "+e.GetOutcome().String()+" "+e.GetReason())]++
	}
	return out
}

// leaks looks for the person in every file, every event and the log.
func (s *suite) leaks() {
	s.t.Helper()
	var texts []string
	check(s.t, filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		texts = append(texts, string(raw))
		return err
	}))
	s.audit.mu.Lock()
	texts = append(texts, fmt.Sprint(s.audit.events), s.log.String())
	s.audit.mu.Unlock()
	for _, text := range texts {
		for _, secret := range []string{pupil, pupilMail} {
			if strings.Contains(text, secret) {
				s.t.Errorf("%s stands in clear somewhere", secret)
			}
		}
	}
}

// wantFault expects an error with a reason.
func wantFault(t *testing.T, err error, kind fault.Kind, reason string) {
	t.Helper()
	f := fault.From(server.Fault(err))
	if err == nil || f.Reason() != reason || f.Kind() != kind {
		t.Errorf("the error is %v, want kind %d with reason %s", err, kind, reason)
	}
	if err != nil && strings.Contains(err.Error(), "kanarie") {
		t.Errorf("the error names the person: %v", err)
	}
}

// drain reads a watch to its end.
func drain(stream grpc.ServerStreamingClient[erasurev1.Erasure]) (states []erasurev1.Erasure_State, err error) {
	for {
		e, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return states, nil
		}
		if err != nil {
			return states, err
		}
		states = append(states, e.GetState())
	}
}
