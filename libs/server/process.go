package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/telemetry"
)

// Settings are what every process of the suite is told, by flags or by the environment. Secrets come from files.
type Settings struct {
	Listen    string `help:"Address to listen on." placeholder:"HOST:PORT" env:"PRIVACYOPS_LISTEN" default:"127.0.0.1:0"`
	Admin     string `help:"Address for health and metrics; none where it is empty." placeholder:"HOST:PORT" env:"PRIVACYOPS_ADMIN"`
	TLSDir    string `help:"Folder with authority.crt, and <service>.crt and <service>.key for this service." env:"PRIVACYOPS_TLS_DIR" required:"" name:"tls-dir"`
	MasterKey string `help:"File with the installation's master key, mode 0600." env:"PRIVACYOPS_MASTER_KEY_FILE" required:""`
	Issuer    string `help:"Issuer of the tokens that are accepted." env:"PRIVACYOPS_ISSUER" required:""`
	Audience  string `help:"Audience that tokens must name." env:"PRIVACYOPS_AUDIENCE" required:""`
	JWKS      string `help:"The issuer's public keys: a file, or an https address." env:"PRIVACYOPS_JWKS" required:"" name:"jwks"`
	LogLevel  string `help:"Least severe level that is logged." enum:"debug,info,warn,error" env:"PRIVACYOPS_LOG_LEVEL" default:"info"`

	// LogTo is where log lines go; default standard error.
	LogTo io.Writer `kong:"-" json:"-"`
}

// Process is what a service's process stands on.
type Process struct {
	Settings
	Service   string
	TLS       TLSFiles
	Keyring   *keyring.Keyring
	Verifier  *access.Verifier
	Clock     clock.Clock
	NewID     func() string
	Telemetry *telemetry.Telemetry
	// Configured is all that the process was told, for the digest in the event of its start; the settings alone where it is nil.
	Configured any
}

// Open reads what the settings name. Everything is checked before anything listens. Spans go to the processors as well.
func (s Settings) Open(ctx context.Context, service string, spans ...sdktrace.SpanProcessor) (*Process, error) {
	p := &Process{Settings: s, Service: service, TLS: In(s.TLSDir, service), Clock: clock.System(),
		NewID: func() string { return uuid.Must(uuid.NewV7()).String() }}
	TuneMemory(0)
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.LogLevel)); err != nil {
		return nil, fmt.Errorf("server: log level %q is none of debug, info, warn, error", s.LogLevel)
	}
	var err error
	if p.Telemetry, err = telemetry.New(ctx, telemetry.Config{Service: service, Log: s.LogTo, Level: level, SpanProcessors: spans}); err != nil {
		return nil, err
	}
	if p.Keyring, err = keyring.Open(s.MasterKey); err != nil {
		return nil, err
	}
	keys, err := s.keys(ctx)
	if err != nil {
		return nil, err
	}
	p.Verifier, err = access.NewVerifier(access.VerifierConfig{Issuer: s.Issuer, Audience: s.Audience, Keys: keys, Keyring: p.Keyring, Clock: p.Clock})
	return p, err
}

func (s Settings) keys(ctx context.Context) (access.KeySource, error) {
	if strings.HasPrefix(s.JWKS, "https://") || strings.HasPrefix(s.JWKS, "http://") {
		return access.NewURLKeys(ctx, s.JWKS, &http.Client{Timeout: 10 * time.Second})
	}
	return access.NewFileKeys(s.JWKS)
}

// Dial connects to another service as this one.
func (p *Process) Dial(peer Peer, opts ...grpc.DialOption) (*grpc.ClientConn, error) {
	return Dial(peer, p.TLS, p.Telemetry, opts...)
}

// DialAll connects to several end points that speak for one service, by name. HangUp closes what was opened, also after an error.
func (p *Process) DialAll(service string, addresses map[string]string) (conns map[string]grpc.ClientConnInterface, hangUp func() error, err error) {
	conns = map[string]grpc.ClientConnInterface{}
	var opened []*grpc.ClientConn
	hangUp = func() error {
		var errs []error
		for _, conn := range opened {
			errs = append(errs, conn.Close())
		}
		return errors.Join(errs...)
	}
	for name, address := range addresses {
		conn, err := p.Dial(Peer{Service: service, Address: address})
		if err != nil {
			return nil, hangUp, err
		}
		conns[name], opened = conn, append(opened, conn)
	}
	return conns, hangUp, nil
}

// Service is what a process serves.
type Service interface {
	// Register registers its RPCs.
	Register(r grpc.ServiceRegistrar)
	// Ready reports whether it can serve.
	Ready(ctx context.Context) error
	// Run does its background work until ctx ends.
	Run(ctx context.Context) error
}

// witnessed is a service whose calls make audit events.
type witnessed interface{ Outbox() *outbox.Outbox }

// Serve serves a service until ctx ends: no new calls are taken, those that run are finished, then the background work stops.
// Deadline is for unary calls; 0 is the default of [Config].
func (p *Process) Serve(ctx context.Context, lis net.Listener, svc Service, deadline time.Duration) error {
	cfg := Config{Service: p.Service, TLS: p.TLS, Verifier: p.Verifier, Ready: svc.Ready, Telemetry: p.Telemetry, Clock: p.Clock, Deadline: deadline}
	if w, ok := svc.(witnessed); ok {
		cfg.Outbox = w.Outbox()
		if err := p.started(ctx, cfg.Outbox); err != nil {
			return errors.Join(err, lis.Close())
		}
	}
	s, err := New(cfg)
	if err != nil {
		return errors.Join(err, lis.Close())
	}
	svc.Register(s)
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer stopWork() // the background work outlives the calls, which may need it
		return s.Serve(ctx, lis)
	})
	g.Go(func() error { return svc.Run(work) })
	if p.Admin != "" {
		g.Go(func() error { return p.serveAdmin(ctx, svc) })
	}
	return g.Wait()
}

// serveAdmin answers health and metrics on the admin address.
func (p *Process) serveAdmin(ctx context.Context, svc Service) error {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", p.Telemetry.Metrics)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), healthTimeout)
		defer cancel()
		if err := svc.Ready(ctx); err != nil {
			http.Error(w, "not ready", http.StatusServiceUnavailable)
			return
		}
		_, _ = w.Write([]byte("ready\n"))
	})
	hs := &http.Server{Addr: p.Admin, Handler: mux, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	stop := context.AfterFunc(ctx, func() { _ = hs.Close() })
	defer stop()
	if err := hs.ListenAndServe(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("server: admin address: %w", err)
	}
	return nil
}

// Listen listens on a TCP address.
func Listen(ctx context.Context, address string) (net.Listener, error) {
	lis, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("server: listen: %w", err)
	}
	return lis, nil
}
