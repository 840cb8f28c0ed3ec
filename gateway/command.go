package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/privacyops/privacyops/libs/redis"
	"github.com/privacyops/privacyops/libs/server"
)

// Command is the gateway as a process of its own: its settings, as flags or in the environment.
type Command struct {
	server.Settings
	Redis          redis.Settings `embed:""`
	ConsentAddr    string         `help:"Address of the consent service." placeholder:"HOST:PORT" env:"PRIVACYOPS_CONSENT_ADDRESS" required:""`
	ExportAddr     string         `help:"Address of the export service." placeholder:"HOST:PORT" env:"PRIVACYOPS_EXPORT_ADDRESS" required:""`
	ErasureAddr    string         `help:"Address of the erasure service." placeholder:"HOST:PORT" env:"PRIVACYOPS_ERASURE_ADDRESS" required:""`
	AuditAddr      string         `help:"Address of the audit service." placeholder:"HOST:PORT" env:"PRIVACYOPS_AUDIT_ADDRESS" required:""`
	Certificate    string         `help:"Certificate of the public port, a PEM file. Without one only loopback is served." env:"PRIVACYOPS_PUBLIC_CERTIFICATE"`
	Key            string         `help:"Its key, a PEM file of mode 0600." env:"PRIVACYOPS_PUBLIC_KEY"`
	PerCaller      int            `help:"Calls a second that the holder of a token may make." name:"calls-per-caller" env:"PRIVACYOPS_CALLS_PER_CALLER" default:"2000"`
	PerAddress     int            `help:"Calls a second that an address may make, before anything is known about the caller." name:"calls-per-address" env:"PRIVACYOPS_CALLS_PER_ADDRESS" default:"4000"`
	TrustedProxies []string       `help:"Networks of proxies whose X-Forwarded-For is believed." placeholder:"CIDR" env:"PRIVACYOPS_TRUSTED_PROXIES"`
	Linger         time.Duration  `help:"How long it still takes calls when it is told to stop, so that load balancers and clients can leave it." env:"PRIVACYOPS_LINGER" default:"3s"`
}

// Run serves until ctx ends.
func (c *Command) Run(ctx context.Context) error {
	p, err := c.Open(ctx, "gateway")
	if err != nil {
		return err
	}
	lis, err := server.Listen(ctx, c.Listen)
	if err != nil {
		return err
	}
	return c.Serve(ctx, p, lis)
}

// Serve serves on a listener until ctx ends.
func (c *Command) Serve(ctx context.Context, p *server.Process, lis net.Listener) (err error) {
	var opened []*lanes
	defer func() {
		for _, l := range opened {
			err = errors.Join(err, l.close())
		}
	}()
	dial := func(service, address string) grpc.ClientConnInterface {
		l, derr := openLanes(func() (*grpc.ClientConn, error) { return p.Dial(server.Peer{Service: service, Address: address}) })
		if derr != nil {
			err = errors.Join(err, derr)
			return nil
		}
		opened = append(opened, l)
		return l
	}
	consent, export := dial("consent", c.ConsentAddr), dial("export", c.ExportAddr)
	erasure, audit := dial("erasure", c.ErasureAddr), dial("audit", c.AuditAddr)
	if err != nil {
		return errors.Join(err, lis.Close())
	}
	proxies, err := c.proxies()
	if err != nil {
		return errors.Join(err, lis.Close())
	}
	shared, err := c.Redis.Open(redis.TLSFiles{Authority: p.TLS.Authority, Certificate: p.TLS.Certificate, Key: p.TLS.Key}, p.Telemetry)
	if err != nil {
		return errors.Join(err, lis.Close())
	}
	defer func() { err = errors.Join(err, shared.Close()) }()
	p.Configured = c
	started, err := p.StartDetail()
	if err != nil {
		return errors.Join(err, lis.Close())
	}
	g, err := New(ctx, Config{Started: started, Backends: Backends{Consent: consent, Export: export, Erasure: erasure, Audit: audit},
		TLS: server.TLSFiles{Certificate: c.Certificate, Key: c.Key}, Verifier: p.Verifier, Telemetry: p.Telemetry, Clock: p.Clock,
		Version: Version, TrustedProxies: proxies, Limits: Limits{CallsPerCaller: c.PerCaller, CallsPerAddress: c.PerAddress}, Linger: c.Linger, NewID: p.NewID, Keyring: p.Keyring, Redis: shared})
	if err != nil {
		return errors.Join(err, lis.Close())
	}
	work, ctx := errgroup.WithContext(ctx)
	work.Go(func() error { return g.Serve(ctx, lis) })
	if c.Admin != "" {
		work.Go(func() error { return serveAdmin(ctx, c.Admin, g.AdminHandler()) })
	}
	if shared != nil {
		work.Go(func() error { return watchRedis(ctx, shared, p.Telemetry.Log, redisCheck) })
	}
	return work.Wait()
}

// Version is the suite's, as the reference page and `privacyops --version` show it.
const Version = "0.1.0"

func (c *Command) proxies() (out []netip.Prefix, err error) {
	for _, text := range c.TrustedProxies {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("gateway: %q is no network; write for example 10.0.0.0/8", text)
		}
		out = append(out, p)
	}
	return out, nil
}

func serveAdmin(ctx context.Context, address string, h http.Handler) error {
	hs := &http.Server{Addr: address, Handler: h, ReadHeaderTimeout: headerTime, IdleTimeout: time.Minute}
	stop := context.AfterFunc(ctx, func() { _ = hs.Close() })
	defer stop()
	if err := hs.ListenAndServe(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("gateway: admin address: %w", err)
	}
	return nil
}
