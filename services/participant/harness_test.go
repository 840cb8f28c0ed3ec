package participant_test

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"net"
	"path/filepath"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.uber.org/goleak"
	"google.golang.org/grpc"

	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/libs/server"
	"github.com/privacyops/privacyops/libs/telemetry"
	participantv1 "github.com/privacyops/privacyops/proto/gen/privacyops/participant/v1"
	typev1 "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
	"github.com/privacyops/privacyops/services/participant"
	"github.com/privacyops/privacyops/services/participant/sample"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var now = time.Date(2026, time.November, 21, 12, 0, 0, 0, time.UTC)

// suite is a participant that listens, over the sample platform.
type suite struct {
	dir       string
	db        *sql.DB
	service   *participant.Service
	authority *server.Authority
	issuer    *access.Issuer
	telemetry *telemetry.Telemetry
	spans     *tracetest.SpanRecorder
	address   string
}

// start serves the sample platform for Sønderskolen over TLS. Options change the configuration first.
func start(t *testing.T, options ...func(*participant.Config)) *suite {
	t.Helper()
	s := &suite{dir: t.TempDir(), spans: tracetest.NewSpanRecorder()}
	cfg := s.config(t)
	for _, o := range options {
		o(&cfg)
	}
	var err error
	if s.service, err = participant.New(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	s.listen(t)
	return s
}

// config is the configuration of the sample platform.
func (s *suite) config(t *testing.T) participant.Config {
	t.Helper()
	path := filepath.Join(s.dir, "platform.db")
	if err := sample.Build(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	dataMap, err := sample.WriteDataMap(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	if s.db, err = sample.Open(path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.db.Close() })
	s.telemetry, err = telemetry.New(t.Context(), telemetry.Config{Service: "participant", Log: io.Discard,
		SpanProcessors: []sdktrace.SpanProcessor{s.spans}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.telemetry.Shutdown(context.WithoutCancel(t.Context())) })
	return participant.Config{
		Systems: []participant.SystemConfig{{Name: sample.System, DataMap: dataMap, Database: "sqlite:" + path,
			Controllers: []string{sample.Controller}}},
		LedgerDir: filepath.Join(s.dir, "ledger"), Clock: clock.NewFake(now), Telemetry: s.telemetry,
	}
}

// listen puts the service on a server as the suite's binaries do.
func (s *suite) listen(t *testing.T) {
	t.Helper()
	certificates := t.TempDir()
	// Certificates are checked by the machine's clock.
	var err error
	if s.authority, err = server.NewAuthority(certificates, time.Now()); err != nil {
		t.Fatal(err)
	}
	if s.issuer, err = access.OpenIssuer(certificates); err != nil {
		t.Fatal(err)
	}
	keys, err := access.NewFileKeys(access.JWKSPath(certificates))
	if err != nil {
		t.Fatal(err)
	}
	ring, err := keyring.New(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := access.NewVerifier(access.VerifierConfig{Issuer: access.DevelopmentIssuer, Audience: access.DevelopmentAudience,
		Keys: keys, Keyring: ring, Clock: clock.NewFake(now)})
	if err != nil {
		t.Fatal(err)
	}
	srv, err := server.New(server.Config{Service: "participant", TLS: s.certificate(t, "participant"), Verifier: verifier,
		Ready: s.service.Ready, Telemetry: s.telemetry, Clock: clock.NewFake(now)})
	if err != nil {
		t.Fatal(err)
	}
	s.service.Register(srv)
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.address = lis.Addr().String()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 2)
	go func() { done <- srv.Serve(ctx, lis) }()
	go func() { done <- s.service.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		for range 2 {
			if err := <-done; err != nil {
				t.Errorf("while serving: %v", err)
			}
		}
		if err := s.service.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
}

func (s *suite) certificate(t *testing.T, service string) server.TLSFiles {
	t.Helper()
	files, err := s.authority.Issue(service)
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// as connects with the certificate of a service.
func (s *suite) as(t *testing.T, service string) participantv1.ParticipantClient {
	t.Helper()
	conn, err := server.Dial(server.Peer{Service: "participant", Address: s.address}, s.certificate(t, service), s.telemetry)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return participantv1.NewParticipantClient(conn)
}

// subjects name the demonstration's pupil by UNI-Login alone.
func subjects() []*typev1.Subject {
	return []*typev1.Subject{{Type: typev1.Subject_UNILOGIN, Value: sample.Pupil().UniLogin}}
}

func locateRequest() *participantv1.LocateRequest {
	return &participantv1.LocateRequest{Participant: sample.System, Controller: sample.Controller, Identifiers: subjects()}
}

// collect reads an export to its end.
func collect(stream grpc.ServerStreamingClient[participantv1.ExportChunk]) ([]*participantv1.ExportChunk, error) {
	var out []*participantv1.ExportChunk
	for {
		chunk, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		out = append(out, chunk)
	}
}
