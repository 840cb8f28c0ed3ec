// Package gateway is the door of the suite for callers that speak HTTP: a REST interface in front of the gRPC services.
//
// It authenticates every caller, asks each method's access rule, and passes the caller's own token on, so that the services
// decide again for themselves: the gateway's certificate alone opens nothing that is for people. It keeps nothing that lasts
// and sees requests only as they pass; any number of gateways may run beside each other. Those that share a Redis share the
// rates of callers and the answers to repeated calls; without one, or while it is away, each has its own.
//
//	callers --HTTP--> edge (who, how much) --> rest (what exactly) --gRPC, mTLS--> consent, export, erasure, audit
package gateway

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	"github.com/privacyops/privacyops/gateway/internal/edge"
	"github.com/privacyops/privacyops/gateway/internal/gather"
	"github.com/privacyops/privacyops/gateway/internal/reporter"
	"github.com/privacyops/privacyops/gateway/internal/rest"
	"github.com/privacyops/privacyops/gateway/internal/route"
	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/libs/redis"
	"github.com/privacyops/privacyops/libs/server"
	"github.com/privacyops/privacyops/libs/telemetry"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
)

// Backends are connections to the services. They must be made with the gateway's own certificate (server.Dial with the files
// of the service "gateway"), because refused calls are reported to the audit service in the gateway's name.
type Backends struct {
	// Consent serves the register, legal basis and consents.
	Consent grpc.ClientConnInterface
	// Export serves exports.
	Export grpc.ClientConnInterface
	// Erasure serves erasures and rosters.
	Erasure grpc.ClientConnInterface
	// Audit serves the log, and takes in the events of refused calls.
	Audit grpc.ClientConnInterface
}

// Limits bound what one caller and one address may do; see the fields for the defaults.
type Limits = edge.Limits

// Config is what a gateway is made of. Backends, Verifier, Telemetry, Clock and Keyring are required.
type Config struct {
	// Started says what starts, for the event of the gateway's start; nil: none is reported.
	Started map[string]string
	// Backends are the services behind it.
	Backends Backends
	// TLS are the certificate and key of the public port; Authority is not used, callers have tokens and no certificates.
	// Without them only a listener on loopback is served.
	TLS server.TLSFiles
	// Verifier tells callers by their tokens.
	Verifier *access.Verifier
	// Telemetry takes spans, metrics and log lines.
	Telemetry *telemetry.Telemetry
	// Clock dates events and measures rates.
	Clock clock.Clock
	// Version of the suite, for the reference page.
	Version string
	// TrustedProxies may say, in X-Forwarded-For, for whom they call. By default nobody is believed.
	TrustedProxies []netip.Prefix
	// Limits bound what callers may do.
	Limits Limits
	// Keyring is the installation's: all its gateways tell a repeated request by the same digest.
	Keyring *keyring.Keyring
	// Redis is what the gateways share; nil: this one counts and remembers for itself. It is the maker's to close.
	Redis *redis.Client
	// Linger is how long a gateway that stops still takes calls: long enough for whoever shares calls out to notice, and for clients
	// to leave their connections.
	Linger time.Duration
	// NewID makes UUIDs for audit events; default UUIDv7.
	NewID func() string
}

// Gateway serves the REST interface.
type Gateway struct {
	cfg   Config
	calls *rest.Handler
	// reporter tells of who logs in.
	reporter *reporter.Reporter
	ready    *readiness
	door     http.Handler
}

// New makes a gateway. It does not wait for the services: [Gateway.AdminHandler] tells whether they can be reached. A served
// method without an access rule is an error.
func New(ctx context.Context, cfg Config) (*Gateway, error) {
	b := cfg.Backends
	if b.Consent == nil || b.Export == nil || b.Erasure == nil || b.Audit == nil {
		return nil, errors.New("gateway: connections to all of consent, export, erasure and audit are required")
	}
	if cfg.Verifier == nil || cfg.Telemetry == nil || cfg.Clock == nil || cfg.Keyring == nil {
		return nil, errors.New("gateway: verifier, telemetry, clock and keyring are required")
	}
	if cfg.NewID == nil {
		cfg.NewID = func() string { return uuid.Must(uuid.NewV7()).String() }
	}
	table, err := route.Load(rest.Files(), append(rest.Own(), pageRoutes()...)...)
	if err != nil {
		return nil, err
	}
	limiter, replies, err := cfg.shared()
	if err != nil {
		return nil, err
	}
	g := &Gateway{cfg: cfg, ready: newReadiness(b, cfg.Clock)}
	g.reporter, err = reporter.New(reporter.Config{Audit: auditv1.NewAuditIngestClient(b.Audit), Clock: cfg.Clock, NewID: cfg.NewID,
		Log: cfg.Telemetry.Log, Meter: cfg.Telemetry.Meter.Meter("gateway"), Verifier: cfg.Verifier})
	if err != nil {
		return nil, err
	}
	g.calls, err = rest.New(ctx, rest.Config{Consent: gather.New(b.Consent), Export: b.Export, Erasure: b.Erasure, Audit: b.Audit,
		Log: cfg.Telemetry.Log, Clock: cfg.Clock, NewID: cfg.NewID, Keyring: cfg.Keyring, Replies: replies}, table)
	if err != nil {
		return nil, err
	}
	pages, err := g.pages(table)
	if err != nil {
		return nil, err
	}
	g.door, err = edge.New(edge.Config{Routes: table, Verifier: cfg.Verifier, Telemetry: cfg.Telemetry, Clock: cfg.Clock, Limiter: limiter,
		Limits: cfg.Limits, TrustedProxies: cfg.TrustedProxies, Secure: cfg.TLS.Certificate != "",
		Storm: g.calls.ReportStorm, Verified: g.reporter.Verified, Refused: g.reporter.Refused}, byKind(pages, g.calls))
	return g, err
}

// byKind sends pages one way and calls the other.
func byKind(pages, calls http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if route.From(r.Context()).Kind == route.Page {
			pages.ServeHTTP(w, r)
			return
		}
		calls.ServeHTTP(w, r)
	})
}

// Handler serves the public port.
func (g *Gateway) Handler() http.Handler { return g.door }

// AdminHandler serves the admin port: /metrics, /healthz and /readyz. It must not be reachable from outside.
func (g *Gateway) AdminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", g.cfg.Telemetry.Metrics)
	mux.HandleFunc("GET /healthz", alive)
	mux.HandleFunc("GET /readyz", g.ready.serve)
	return mux
}
