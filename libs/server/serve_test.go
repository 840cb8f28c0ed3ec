package server_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/privacyops/privacyops/libs/server"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
)

func TestNewNeedsAll(t *testing.T) {
	t.Parallel()
	for name, drop := range map[string]func(*server.Config){
		"service":     func(c *server.Config) { c.Service = "" },
		"verifier":    func(c *server.Config) { c.Verifier = nil },
		"telemetry":   func(c *server.Config) { c.Telemetry = nil },
		"clock":       func(c *server.Config) { c.Clock = nil },
		"certificate": func(c *server.Config) { c.TLS = server.TLSFiles{} },
	} {
		if _, err := server.New(newSuite(t, nil, drop).cfg); err == nil {
			t.Errorf("a server without %s is made", name)
		}
	}
}

// TestServeRefusesToStart with a method that has no rule, or that could not be witnessed.
func TestServeRefusesToStart(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name     string
		register func(*server.Server)
		change   func(*server.Config)
		want     string
	}{
		{"no rule", func(s *server.Server) {
			s.RegisterService(&grpc.ServiceDesc{ServiceName: "privacyops.test.v1.Ruleless", HandlerType: (*any)(nil),
				Methods: []grpc.MethodDesc{{MethodName: "Do"}}}, struct{}{})
		}, nil, "/privacyops.test.v1.Ruleless/Do"},
		{"no outbox", func(s *server.Server) { consentv1.RegisterRegisterServer(s, register{h: &handlers{}}) },
			func(c *server.Config) { c.Outbox = nil }, "outbox"},
	} {
		s := newSuite(t, nil, tc.change)
		srv, err := server.New(s.cfg)
		if err != nil {
			t.Fatal(err)
		}
		tc.register(srv)
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if err := srv.Serve(t.Context(), lis); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: Serve = %v", tc.name, err)
		}
		if again, err := net.Listen("tcp", lis.Addr().String()); err != nil {
			t.Errorf("%s: the address is still taken: %v", tc.name, err)
		} else {
			again.Close()
		}
	}
}

// TestServeOnAClosedListener fails, and leaves nothing running (which goleak looks at).
func TestServeOnAClosedListener(t *testing.T) {
	t.Parallel()
	s := newSuite(t, nil, nil)
	srv, err := server.New(s.cfg)
	if err != nil {
		t.Fatal(err)
	}
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	lis.Close()
	if err := srv.Serve(t.Context(), lis); err == nil {
		t.Error("Serve is content with a closed listener")
	}
}

// TestAServiceWithoutEventsNeedsNoOutbox: a participant answers only services.
func TestAServiceWithoutEventsNeedsNoOutbox(t *testing.T) {
	t.Parallel()
	s := newSuite(t, nil, func(c *server.Config) { c.Outbox = nil })
	srv, err := server.New(s.cfg)
	if err != nil {
		t.Fatal(err)
	}
	consentv1.RegisterRegisterReaderServer(srv, reader{h: &handlers{}})
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ctx, lis) }()
	s.address = lis.Addr().String()
	if err := snapshot(t, s.dial("erasure")); err != nil {
		t.Error(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestAGracefulStopLetsCallsFinish: the call under way is answered, the next one finds nobody.
func TestAGracefulStopLetsCallsFinish(t *testing.T) {
	t.Parallel()
	entered, leave := make(chan struct{}), make(chan struct{})
	s := start(t, &handlers{snapshot: func(context.Context) error { close(entered); <-leave; return nil }}, nil)
	conn := s.dial("erasure")
	first := make(chan error, 1)
	go func() { first <- snapshot(t, conn) }()
	select {
	case <-entered:
	case err := <-first:
		t.Fatalf("the call did not reach its handler: %v", err)
	}
	s.stop()
	select {
	case err := <-s.stopped:
		t.Fatalf("Serve returned (%v) while a call was running", err)
	case <-time.After(100 * time.Millisecond):
	}
	if c, err := (&net.Dialer{Timeout: time.Second}).DialContext(t.Context(), "tcp", s.address); err == nil {
		c.Close()
		t.Error("new connections are taken")
	}
	close(leave)
	if err := <-first; err != nil {
		t.Errorf("the running call: %v", err)
	}
	if err := <-s.stopped; err != nil {
		t.Errorf("Serve: %v", err)
	}
	close(s.stopped)
}

// TestHealthIsThatOfTheStore: it follows Ready, and needs no token.
func TestHealthIsThatOfTheStore(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	var up atomic.Bool
	slow := make(chan struct{})
	s := start(t, &handlers{}, func(c *server.Config) {
		c.Ready = func(context.Context) error {
			if asked.Add(1) == 1 {
				<-slow // until the store has answered once, nobody knows
			}
			if !up.Load() {
				return errors.New(secret)
			}
			return nil
		}
	})
	client := healthv1.NewHealthClient(s.dial("gateway"))
	ask := func() healthv1.HealthCheckResponse_ServingStatus {
		r, err := client.Check(t.Context(), &healthv1.HealthCheckRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return r.GetStatus()
	}
	if got := ask(); got != healthv1.HealthCheckResponse_NOT_SERVING {
		t.Errorf("before the store has answered: %v", got)
	}
	close(slow)
	for asked.Load() < 2 {
		time.Sleep(10 * time.Millisecond)
	}
	if got := ask(); got != healthv1.HealthCheckResponse_NOT_SERVING {
		t.Errorf("with the store down: %v", got)
	}
	up.Store(true)
	for end := time.Now().Add(5 * time.Second); ask() != healthv1.HealthCheckResponse_SERVING; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the store is back, and the service is not")
		}
	}
	if strings.Contains(s.log.String(), "anna") {
		t.Errorf("the log holds the text of an error:\n%s", s.log.String())
	}
	if _, err := client.List(t.Context(), &healthv1.HealthListRequest{}); err != nil && status.Code(err) != codes.Unimplemented {
		t.Error(err)
	}
}
