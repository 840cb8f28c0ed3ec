package export

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/note"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/server"
	"github.com/privacyops/privacyops/libs/telemetry"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	authv1 "github.com/privacyops/privacyops/proto/gen/privacyops/auth/v1"
	exportv1 "github.com/privacyops/privacyops/proto/gen/privacyops/export/v1"
	participantv1 "github.com/privacyops/privacyops/proto/gen/privacyops/participant/v1"
	typev1 "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
	domain "github.com/privacyops/privacyops/services/export/internal/export"
)

// canary is in every record and identifier of the tests' person: it must not be found on the disk.
const canary = "Kanariefugl7319"

var start = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// suite is the service with everything around it faked: register, participants, audit, clock.
type suite struct {
	t        *testing.T
	dir      string
	clock    *clock.Fake
	register *registerConn
	audit    *auditConn
	systems  map[string]*system
	verifier note.Verifier
	cfg      Config
	service  *Service
	client   exportv1.ExportsClient
}

// newSuite makes the service without running its jobs.
func newSuite(t *testing.T, systems ...*system) *suite {
	t.Helper()
	s := &suite{t: t, dir: t.TempDir(), clock: clock.NewFake(start), register: &registerConn{}, audit: &auditConn{}, systems: map[string]*system{}}
	for _, x := range systems {
		s.systems[x.name] = x
	}
	s.register.set(snapshot(systems))
	private, public, err := note.GenerateKey(nil, "exports.test")
	check(t, err)
	s.verifier, err = note.NewVerifier(public)
	check(t, err)
	keys, err := keyring.New(bytes.Repeat([]byte{7}, keyring.KeySize))
	check(t, err)
	tel, err := telemetry.New(context.Background(), telemetry.Config{Service: Name, Log: io.Discard})
	check(t, err)
	s.cfg = Config{
		Database: "sqlite:" + filepath.Join(s.dir, "export.db"), Keyring: keys, Clock: s.clock, Telemetry: tel,
		NewID: func() string { return uuid.Must(uuid.NewV7()).String() },
		Audit: s.audit, Register: s.register, Blobs: filepath.Join(s.dir, "blobs"), SigningKey: private, Exclusive: true,
		Sweep: 20 * time.Millisecond, Participants: s.dial,
	}
	s.open()
	return s
}

func (s *suite) open() {
	var err error
	s.service, err = New(context.Background(), s.cfg)
	check(s.t, err)
	service := s.service
	s.t.Cleanup(func() { check(s.t, service.Close()) })
	s.client = serve(s.t, service)
}

func (s *suite) dial(name string) (participantv1.ParticipantClient, error) {
	if x, ok := s.systems[name]; ok {
		return x, nil
	}
	return nil, errors.New("unknown")
}

// run works on jobs until the test ends or stop is called.
func (s *suite) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.service.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		check(s.t, <-done)
	})
	s.t.Cleanup(stop)
	return stop
}

// serve puts the service on a server in memory that validates and opens calls as libs/server does.
func serve(t *testing.T, s *Service) exportv1.ExportsClient {
	t.Helper()
	lis := bufconn.Listen(1 << 20)
	with := func(ctx context.Context, method string) context.Context {
		ctx = access.WithCaller(ctx, access.Caller{Ref: "usr_test", Roles: []authv1.Rule_Role{authv1.Rule_DPO}, AllControllers: true})
		return outbox.WithCall(ctx, &outbox.Call{Action: "export." + strings.ToLower(filepath.Base(method)), Kind: outbox.View,
			Controller: "north", Actor: outbox.Actor{Kind: "CALLER", Ref: "usr_test"}})
	}
	srv := grpc.NewServer(
		grpc.UnaryInterceptor(func(ctx context.Context, req any, info *grpc.UnaryServerInfo, h grpc.UnaryHandler) (any, error) {
			if err := server.Validate(req.(proto.Message)); err != nil {
				return nil, server.Status(ctx, err)
			}
			resp, err := h(with(ctx, info.FullMethod), req)
			return resp, server.Status(ctx, err)
		}),
		grpc.StreamInterceptor(func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, h grpc.StreamHandler) error {
			return server.Status(ss.Context(), h(srv, callStream{ss, with(ss.Context(), info.FullMethod)}))
		}))
	s.Register(srv)
	go func() { _ = srv.Serve(lis) }()
	conn, err := grpc.NewClient("passthrough:///bufnet", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return lis.DialContext(ctx) }))
	check(t, err)
	t.Cleanup(func() { check(t, conn.Close()); srv.Stop() })
	return exportv1.NewExportsClient(conn)
}

type callStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s callStream) Context() context.Context { return s.ctx }

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (s *suite) create(change ...func(*exportv1.CreateExportRequest)) *exportv1.Export {
	s.t.Helper()
	req := &exportv1.CreateExportRequest{Parent: "controllers/north", Kind: exportv1.Export_ACCESS,
		Subject: &typev1.Subject{Type: typev1.Subject_UNILOGIN, Value: canary + "-login"}}
	for _, f := range change {
		f(req)
	}
	e, err := s.client.CreateExport(context.Background(), req)
	check(s.t, err)
	return e
}

func (s *suite) get(name string) *exportv1.Export {
	s.t.Helper()
	e, err := s.client.GetExport(context.Background(), &exportv1.GetExportRequest{Name: name})
	check(s.t, err)
	return e
}

// await waits until an export is in the state.
func (s *suite) await(name string, want exportv1.Export_State) *exportv1.Export {
	s.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		e := s.get(name)
		if e.GetState() == want {
			return e
		}
		if time.Now().After(end) {
			s.t.Fatalf("export is %s, want %s: %v", e.GetState(), want, e)
		}
	}
}

// advance works on an export without jobs, until it ends or waits.
func (s *suite) advance(e *exportv1.Export) *exportv1.Export {
	s.t.Helper()
	for range 50 {
		more, err := s.service.engine.Advance(context.Background(), ref(s.t, e))
		check(s.t, err)
		if !more {
			return s.get(e.GetName())
		}
	}
	s.t.Fatal("the export never ends")
	return nil
}

func ref(t *testing.T, e *exportv1.Export) domain.Ref {
	t.Helper()
	r, err := domain.ParseName(e.GetName())
	check(t, err)
	return r
}

func (s *suite) read(name string, offset, limit int64) ([]byte, error) {
	stream, err := s.client.ReadPackage(context.Background(), &exportv1.ReadPackageRequest{Name: name, Offset: offset, Limit: limit})
	if err != nil {
		return nil, err
	}
	var out []byte
	for {
		chunk, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		out = append(out, chunk.GetData()...)
	}
}

// unzip reads the files of a package.
func unzip(t *testing.T, raw []byte) map[string]string {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	check(t, err)
	out := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		check(t, err)
		text, err := io.ReadAll(r)
		check(t, err)
		out[f.Name] = string(text)
	}
	return out
}

func (s *suite) contents(e *exportv1.Export) (map[string]string, domain.Manifest) {
	s.t.Helper()
	raw, err := s.read(e.GetName(), 0, 0)
	check(s.t, err)
	files := unzip(s.t, raw)
	var m domain.Manifest
	check(s.t, json.Unmarshal([]byte(files["manifest.json"]), &m))
	return files, m
}

// leaks looks for the canary in every file of the installation: database, log, packages, whatever lies there.
func (s *suite) leaks() []string {
	var found []string
	err := filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			// A file may go while we look.
			if raw, err := os.ReadFile(path); err == nil && bytes.Contains(raw, []byte(canary)) {
				found = append(found, filepath.Base(path))
			}
		}
		return nil
	})
	check(s.t, err)
	// A file without a name is still on the disk.
	fds, _ := filepath.Glob("/proc/self/fd/*")
	for _, fd := range fds {
		to, err := os.Readlink(fd)
		if err != nil || !strings.HasPrefix(to, s.dir) || !strings.HasSuffix(to, "(deleted)") {
			continue
		}
		if raw, err := os.ReadFile(fd); err == nil && bytes.Contains(raw, []byte(canary)) {
			found = append(found, to)
		}
	}
	return found
}

func (s *suite) files() []string {
	s.t.Helper()
	entries, err := os.ReadDir(filepath.Join(s.dir, "blobs", "exports"))
	check(s.t, err)
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

// recorded waits for an event with that action.
func (s *suite) recorded(action string) *auditv1.ReportedEvent {
	s.t.Helper()
	check(s.t, s.service.outbox.Flush(context.Background(), auditv1.NewAuditIngestClient(s.audit)))
	s.audit.mu.Lock()
	defer s.audit.mu.Unlock()
	for _, e := range slices.Backward(s.audit.events) {
		if strings.Contains(fmt.Sprint(e), canary) {
			s.t.Fatalf("event %s names the person", e.GetAction())
		}
		if e.GetAction() == action {
			return e
		}
	}
	s.t.Fatalf("no event %s", action)
	return nil
}

func identity(t *testing.T) *age.X25519Identity {
	t.Helper()
	i, err := age.GenerateX25519Identity()
	check(t, err)
	return i
}
