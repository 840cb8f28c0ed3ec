package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/grpc"

	"github.com/privacyops/privacyops/gateway"
	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/server"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/libs/telemetry"
)

// suite is a gateway on a loopback port in front of fake services, which listen as the real ones do: behind libs/server,
// with certificates, tokens and method rules.
type suite struct {
	t       testing.TB
	addr    string
	cfg     gateway.Config
	gateway *gateway.Gateway
	issuer  *access.Issuer
	spans   *tracetest.InMemoryExporter
	logs    *lockedBuffer
	stop    func() error

	consent *fakeConsent
	export  *fakeExports
	erasure *fakeErasures
	audit   *fakeAudit
}

func newSuite(t testing.TB, change ...func(*gateway.Config)) *suite {
	t.Helper()
	s := &suite{t: t, spans: tracetest.NewInMemoryExporter(), logs: &lockedBuffer{},
		consent: &fakeConsent{}, export: &fakeExports{}, erasure: &fakeErasures{}, audit: &fakeAudit{}}
	dir := t.TempDir()
	authority := must(server.NewAuthority(dir, time.Now()))
	s.issuer = must(access.OpenIssuer(dir))
	ring := must(keyring.New(make([]byte, keyring.KeySize)))
	verifier := must(access.NewVerifier(access.VerifierConfig{Issuer: access.DevelopmentIssuer, Audience: access.DevelopmentAudience,
		Keys: must(access.NewFileKeys(access.JWKSPath(dir))), Keyring: ring, Clock: clock.System()}))
	tel := must(telemetry.New(t.Context(), telemetry.Config{Service: "gateway", Log: s.logs, Level: slog.LevelDebug,
		SpanProcessors: []trace.SpanProcessor{trace.NewSimpleSpanProcessor(s.spans)}}))
	files := must(authority.Issue("gateway"))
	dial := func(service string, register func(grpc.ServiceRegistrar)) *grpc.ClientConn {
		addr := s.serve(service, must(authority.Issue(service)), verifier, register)
		conn := must(server.Dial(server.Peer{Service: service, Address: addr}, files, tel))
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	cfg := gateway.Config{Verifier: verifier, Telemetry: tel, Clock: clock.System(), Keyring: ring, Version: "1.2.3", Backends: gateway.Backends{
		Consent: dial("consent", s.consent.register), Export: dial("export", s.export.register),
		Erasure: dial("erasure", s.erasure.register), Audit: dial("audit", s.audit.register)}}
	for _, f := range change {
		f(&cfg)
	}
	s.cfg, s.gateway = cfg, must(gateway.New(t.Context(), cfg))
	s.listen()
	return s
}

// beside starts another gateway of the same installation, in front of the same services.
func (s *suite) beside(change ...func(*gateway.Config)) *suite {
	s.t.Helper()
	other := *s
	for _, f := range change {
		f(&other.cfg)
	}
	other.gateway = must(gateway.New(s.t.Context(), other.cfg))
	other.listen()
	return &other
}

// listen serves the gateway on a port.
func (s *suite) listen() {
	lis := must(net.Listen("tcp", "127.0.0.1:0"))
	s.addr = lis.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.gateway.Serve(ctx, lis) }()
	s.stop = sync.OnceValue(func() error { cancel(); return <-done })
	s.t.Cleanup(func() { _ = s.stop() })
}

// serve runs a fake service and gives its address.
func (s *suite) serve(service string, files server.TLSFiles, v *access.Verifier, register func(grpc.ServiceRegistrar)) string {
	t := s.t
	db := must(sqldb.Open(t.Context(), sqldb.Config{URL: "sqlite:" + filepath.Join(t.TempDir(), service+".db")}))
	tel := must(telemetry.New(t.Context(), telemetry.Config{Service: service, Log: io.Discard}))
	newID := func() string { return uuid.Must(uuid.NewV7()).String() }
	events := must(outbox.New(t.Context(), outbox.Config{Service: service, DB: db, Clock: clock.System(), NewID: newID}))
	srv := must(server.New(server.Config{Service: service, TLS: files, Verifier: v, Outbox: events, Telemetry: tel, Clock: clock.System()}))
	register(srv)
	lis := must(net.Listen("tcp", "127.0.0.1:0"))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ctx, lis) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the fake %s: %v", service, err)
		}
		_ = db.Close()
	})
	return lis.Addr().String()
}

// token makes a token for a role that reaches the controllers.
func (s *suite) token(role string, controllers ...string) string {
	return must(s.issuer.Token(access.Claims{Subject: "somebody-" + role, Roles: []string{role}, Controllers: controllers,
		Issued: time.Now(), Expires: time.Now().Add(time.Hour)}))
}

// answer is what came back, with the body read.
type answer struct {
	*http.Response
	body string
}

// problem is an error body.
type problem struct {
	Code    int              `json:"code"`
	Message string           `json:"message"`
	Details []map[string]any `json:"details"`
}

// reason reads the reason of an error, and fails the test where the body has not exactly the shape of one.
func (a answer) reason(t *testing.T) string {
	t.Helper()
	var p problem
	d := json.NewDecoder(strings.NewReader(a.body))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil || d.More() {
		t.Fatalf("not an error body: %v: %s", err, a.body)
	}
	if p.Code == 0 || p.Message == "" || len(p.Details) == 0 || p.Details[0]["@type"] != "type.googleapis.com/google.rpc.ErrorInfo" || p.Details[0]["domain"] != "privacyops" {
		t.Fatalf("an error without code, message or ErrorInfo: %s", a.body)
	}
	if ct := a.Header.Get("Content-Type"); ct != "application/json" {
		t.Errorf("error with content type %q", ct)
	}
	reason, _ := p.Details[0]["reason"].(string)
	return reason
}

// call is a request to send.
type call struct {
	method, path, body string
	token              string
	header             map[string][]string
}

// do sends a call. With a body it says that the body is JSON, unless the call says otherwise.
func (s *suite) do(c call) answer {
	s.t.Helper()
	req := must(http.NewRequestWithContext(s.t.Context(), c.method, "http://"+s.addr+c.path, strings.NewReader(c.body)))
	if c.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	for name, values := range c.header {
		req.Header.Del(name)
		for _, v := range values {
			req.Header.Add(name, v)
		}
	}
	client := &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		s.t.Fatalf("%s %s: %v", c.method, c.path, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatalf("%s %s: read: %v", c.method, c.path, err)
	}
	return answer{Response: resp, body: string(body)}
}

// raw sends bytes and gives what comes back until the gateway closes, or the time is over.
func (s *suite) raw(text string, wait time.Duration) string {
	s.t.Helper()
	conn := must(net.Dial("tcp", s.addr))
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(wait)); err != nil {
		s.t.Fatal(err)
	}
	// The gateway may close while we still send.
	_, _ = io.WriteString(conn, text)
	var out bytes.Buffer
	_, _ = io.Copy(&out, conn)
	return out.String()
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(fmt.Sprintf("fixture: %v", err))
	}
	return v
}

// lockedBuffer takes log lines from several goroutines.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
