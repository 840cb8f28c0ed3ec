package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"

	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/telemetry"
)

const (
	maxMessage = 1 << 20
	maxHeaders = 16 << 10
	maxStreams = 100
	// streamWorkers run calls one after the other, on stacks that have grown already; calls beyond them get goroutines of their own.
	// Growing a new stack for each call took a twelfth of the time of a decision.
	streamWorkers = 128
	drainTime     = 20 * time.Second
	healthEvery   = time.Second
	healthTimeout = 2 * time.Second
)

// Config is what a server is made of.
type Config struct {
	// Service is its name, as in its certificate.
	Service string
	// TLS are its certificate files.
	TLS TLSFiles
	// Verifier tells callers by their tokens.
	Verifier *access.Verifier
	// Outbox takes the audit events of calls. Only a service whose methods make no events (the participant) has none.
	Outbox *outbox.Outbox
	// Ready says whether the service can serve; asked every second for the health service. Default: it can.
	Ready func(context.Context) error
	// Telemetry is where it emits.
	Telemetry *telemetry.Telemetry
	// Clock measures calls.
	Clock clock.Clock
	// Deadline bounds unary calls; default 15 s. Longer only where a call is work, as with participants.
	Deadline time.Duration
	// MaxMessage bounds a message in bytes; default 1 MiB.
	MaxMessage int
}

// Server is a listening service.
type Server struct {
	cfg    Config
	grpc   *grpc.Server
	health *health.Server
	guard  *guard
	// endWatches ends the streams that would hold a stop up.
	endWatches context.CancelFunc
}

// New makes a server. Register the service on it, then [Server.Serve].
func New(cfg Config) (*Server, error) {
	if cfg.Service == "" || cfg.Verifier == nil || cfg.Telemetry == nil || cfg.Clock == nil {
		return nil, errors.New("server: service, verifier, telemetry and clock are all required")
	}
	tlsConfig, err := cfg.TLS.ServerTLS()
	if err != nil {
		return nil, err
	}
	if cfg.MaxMessage == 0 {
		cfg.MaxMessage = maxMessage
	}
	if cfg.Deadline == 0 {
		cfg.Deadline = deadline
	}
	g := &guard{service: cfg.Service, verifier: cfg.Verifier, outbox: cfg.Outbox, log: cfg.Telemetry.Log, clock: cfg.Clock, deadline: cfg.Deadline,
		spans: newSpans(cfg.Telemetry.Tracer)}
	stopping, endWatches := context.WithCancel(context.Background())
	g.stopping = stopping
	g.calls, err = telemetry.NewDurations(cfg.Telemetry.Meter.Meter("github.com/privacyops/privacyops/libs/server"), "rpc.server.call.duration", "How long calls took", outcome.attributes)
	if err != nil {
		endWatches()
		return nil, err
	}
	s := &Server{cfg: cfg, guard: g, health: health.NewServer(), endWatches: endWatches}
	s.grpc = grpc.NewServer(
		grpc.Creds(credentials.NewTLS(tlsConfig)),
		grpc.UnaryInterceptor(g.unary), grpc.StreamInterceptor(g.stream),
		grpc.MaxRecvMsgSize(cfg.MaxMessage), grpc.MaxHeaderListSize(maxHeaders), grpc.MaxConcurrentStreams(maxStreams),
		grpc.ConnectionTimeout(5*time.Second), grpc.NumStreamWorkers(streamWorkers),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 30 * time.Second, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionAge: 30 * time.Minute, MaxConnectionAgeGrace: time.Minute}),
	)
	s.health.SetServingStatus("", healthv1.HealthCheckResponse_NOT_SERVING) // until Ready was asked
	healthv1.RegisterHealthServer(s.grpc, s.health)
	return s, nil
}

// RegisterService makes Server a grpc.ServiceRegistrar.
func (s *Server) RegisterService(d *grpc.ServiceDesc, impl any) { s.grpc.RegisterService(d, impl) }

// Serve answers on the listener until ctx ends, then lets running calls finish. A registered method without a rule, or one
// that makes an event on a server without an outbox, stops it from starting.
func (s *Server) Serve(ctx context.Context, lis net.Listener) error {
	defer s.grpc.Stop() // its workers end with it, also where it never served
	rules, err := access.LoadRules(s.grpc.GetServiceInfo())
	if err != nil {
		return errors.Join(err, lis.Close())
	}
	for name, m := range rules {
		if m.GetEvent() != "" && s.cfg.Outbox == nil {
			return errors.Join(fmt.Errorf("server: %s makes an audit event and %s has no outbox", name, s.cfg.Service), lis.Close())
		}
	}
	s.guard.rules = rules
	ctx, cancel := context.WithCancel(ctx)
	var background sync.WaitGroup
	defer background.Wait()
	defer cancel()
	background.Go(func() { s.watchHealth(ctx) })
	background.Go(func() { s.stopAfter(ctx) })
	s.cfg.Telemetry.Log.InfoContext(ctx, "listening", "listen", lis.Addr().String())
	if err := s.grpc.Serve(lis); err != nil && ctx.Err() == nil {
		return fmt.Errorf("server: %s: %w", s.cfg.Service, err)
	}
	return nil
}

// stopAfter stops the server when ctx ends: no new calls, and those that run may finish.
func (s *Server) stopAfter(ctx context.Context) {
	<-ctx.Done()
	s.health.Shutdown()
	s.endWatches()
	timer := time.AfterFunc(drainTime, s.grpc.Stop)
	defer timer.Stop()
	s.grpc.GracefulStop()
}

// watchHealth keeps the health service true: it asks the service's own store, not itself.
func (s *Server) watchHealth(ctx context.Context) {
	tick := time.NewTicker(healthEvery)
	defer tick.Stop()
	for {
		s.health.SetServingStatus("", s.state(ctx))
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (s *Server) state(ctx context.Context) healthv1.HealthCheckResponse_ServingStatus {
	if s.cfg.Ready == nil {
		return healthv1.HealthCheckResponse_SERVING
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	if err := s.cfg.Ready(ctx); err != nil {
		s.cfg.Telemetry.Log.LogAttrs(ctx, slog.LevelWarn, "not ready", slog.String("error_kind", kinds(err)))
		return healthv1.HealthCheckResponse_NOT_SERVING
	}
	return healthv1.HealthCheckResponse_SERVING
}
