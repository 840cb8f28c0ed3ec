// Package suite is the embedded installation: all services in one process and one data folder.
//
// The services are the same as in processes of their own ([Command] of each), and speak gRPC to each other over loopback with the
// same certificates, tokens and rules. Only what an operator would give them is made here: keys, certificates, addresses, and
// the development issuer of tokens.
package suite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/privacyops/privacyops/gateway"
	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/redis"
	"github.com/privacyops/privacyops/libs/server"
	"github.com/privacyops/privacyops/libs/telemetry"
	"github.com/privacyops/privacyops/services/audit"
	"github.com/privacyops/privacyops/services/consent"
	"github.com/privacyops/privacyops/services/erasure"
	"github.com/privacyops/privacyops/services/export"
	"github.com/privacyops/privacyops/services/participant"
)

// Options say what to start.
type Options struct {
	// DataDir holds everything that lasts.
	DataDir string
	// Listen is the public address; default a free port on loopback.
	Listen string
	// Admin is the address for health and metrics; none where it is empty.
	Admin string
	// LogLevel is the least severe level that is logged; default "warn".
	LogLevel string
	// Database is the URL of a PostgreSQL database in which each service has a schema; empty: a SQLite file for each in DataDir.
	Database string
	// Redis is what the replicas of a service share; without a URL each is for itself.
	Redis redis.Settings
	// Replicas is how many of each service run that can have replicas; default 1. More than one needs Database.
	Replicas int
	// Signing is how decisions and receipts are signed; the service's defaults where it says nothing.
	Signing consent.Signing
	// Systems are databases of platforms that the suite speaks for.
	Systems []participant.SystemConfig
	// Wrap puts something around each participant. For tests and the demonstration.
	Wrap func(name string, p participant.Participant) participant.Participant
	// Spans see every span of every service. For tests and the demonstration.
	Spans []sdktrace.SpanProcessor
	// LogTo is where log lines go; default standard error.
	LogTo io.Writer
	// Observe is told each service's telemetry before the service starts. For tests.
	Observe func(service string, t *telemetry.Telemetry)
	// WitnessPolicy is the audit service's file of the witnesses that cosign its log; none where it is empty.
	WitnessPolicy string
	// Webhooks is the audit service's file of webhooks, and WebhooksAllow the networks inside that they may lead to.
	Webhooks      string
	WebhooksAllow []netip.Prefix
	// Backoff is the erasure service's; nil: its default.
	Backoff func(attempt int) time.Duration
	// Ports are fixed loopback ports of services, by name; a free one for each that is missing.
	Ports map[string]int
}

// Suite is a running installation.
type Suite struct {
	// URL is the public address, `http://127.0.0.1:8080`.
	URL string
	// Issuer makes tokens.
	Issuer *access.Issuer
	// CertificateKey and LogKey are files with the public keys by which certificates and the log are verified.
	CertificateKey, LogKey string
	// Addresses are the services' own, by name; of a service with replicas, the first one's.
	Addresses map[string]string

	opts Options
	at   layout
	lock *os.File
	lis  map[string][]net.Listener
	// peers are the addresses of all replicas, joined by commas.
	peers  map[string]string
	stages []*stage
	failed chan error
}

// stage is one service. They are started in order and stopped in the reverse one: the audit service outlives those whose events
// it takes.
type stage struct {
	name   string
	cancel context.CancelFunc
	done   chan struct{}
	err    error
}

var services = []string{"audit", "consent", "participant", "export", "erasure", "gateway"}

// single are services of which there is one: the log has one sequencer, a ledger one keeper.
var single = []string{"audit", "participant"}

// Start starts an installation and returns when it is ready. Stop it with [Suite.Stop].
func Start(ctx context.Context, o Options) (s *Suite, err error) {
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if o.LogLevel == "" {
		o.LogLevel = "warn"
	}
	o.Replicas = max(1, o.Replicas)
	if o.Replicas > 1 && o.Database == "" {
		return nil, errors.New("replicas need a PostgreSQL database that they share")
	}
	s = &Suite{opts: o, at: layout{o.DataDir}, lis: map[string][]net.Listener{}, Addresses: map[string]string{}, peers: map[string]string{},
		failed: make(chan error, o.Replicas*len(services))}
	s.CertificateKey, s.LogKey = s.at.certificatePub(), s.at.logKey()+".pub"
	if err := s.at.prepare(); err != nil {
		return nil, err
	}
	if s.lock, err = s.at.lock(); err != nil {
		return nil, err
	}
	defer func() {
		if err == nil {
			return
		}
		if stopped := s.Stop(); !errors.Is(stopped, err) { // a service that ended by itself is told of once
			err = errors.Join(err, stopped)
		}
	}()
	if err := s.at.moved(o.Database); err != nil {
		return s, err
	}
	if s.Issuer, err = access.OpenIssuer(s.at.keys()); err != nil {
		return s, err
	}
	if err := s.listen(ctx); err != nil {
		return s, err
	}
	if err := s.certify(); err != nil {
		return s, err
	}
	for _, name := range services {
		for _, lis := range s.lis[name] {
			s.launch(ctx, name, lis)
		}
		delete(s.lis, name)
	}
	return s, s.await(ctx)
}

func (s *Suite) listen(ctx context.Context) error {
	for _, name := range services {
		replicas := s.opts.Replicas
		if slices.Contains(single, name) {
			replicas = 1
		}
		for n := range replicas {
			lis, err := server.Listen(ctx, s.address(name, n))
			if err != nil {
				return fmt.Errorf("listen for %s: %w", name, err)
			}
			s.lis[name] = append(s.lis[name], lis)
			s.peers[name] = strings.Trim(s.peers[name]+","+lis.Addr().String(), ",")
		}
		s.Addresses[name] = s.lis[name][0].Addr().String()
	}
	s.URL = "http://" + s.Addresses["gateway"]
	return nil
}

// address is where the n-th replica of a service listens.
func (s *Suite) address(name string, n int) string {
	switch {
	case n > 0:
		return "127.0.0.1:0"
	case name == "gateway":
		return s.opts.Listen
	}
	return fmt.Sprintf("127.0.0.1:%d", s.opts.Ports[name])
}

// database is the URL of a service's own database.
func (s *Suite) database(name string) string {
	if s.opts.Database == "" {
		return s.at.database(name)
	}
	joint := "?"
	if strings.Contains(s.opts.Database, "?") {
		joint = "&"
	}
	return s.opts.Database + joint + "schema=" + strings.ReplaceAll(name, "-", "_")
}

// keysSuffix names the database of the audit service's keys, which is apart from that of its log: backups of it are not kept for long.
const keysSuffix = "-keys"

// certify makes the certificates of this start.
func (s *Suite) certify() error {
	authority, err := server.NewAuthority(s.at.tls(), time.Now())
	if err != nil {
		return err
	}
	for _, name := range services {
		if _, err := authority.Issue(name); err != nil {
			return err
		}
	}
	return nil
}

func (s *Suite) settings() server.Settings {
	return server.Settings{TLSDir: s.at.tls(), MasterKey: s.at.masterKey(), Issuer: access.DevelopmentIssuer,
		Audience: access.DevelopmentAudience, JWKS: access.JWKSPath(s.at.keys()), LogLevel: s.opts.LogLevel, LogTo: s.opts.LogTo}
}

func (s *Suite) launch(ctx context.Context, name string, lis net.Listener) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	st := &stage{name: name, cancel: cancel, done: make(chan struct{})}
	s.stages = append(s.stages, st)
	go func() {
		defer close(st.done)
		if st.err = s.serve(ctx, name, lis); st.err != nil {
			st.err = fmt.Errorf("%s: %w", name, st.err)
			s.failed <- st.err
		}
	}()
}

// serve runs one service as its own process would.
func (s *Suite) serve(ctx context.Context, name string, lis net.Listener) error {
	set := s.settings()
	p, err := set.Open(ctx, name, s.opts.Spans...)
	if err != nil {
		return errors.Join(err, lis.Close())
	}
	defer func() { _ = p.Telemetry.Shutdown(context.WithoutCancel(ctx)) }()
	if s.opts.Observe != nil {
		s.opts.Observe(name, p.Telemetry)
	}
	switch name {
	case "audit":
		c := audit.Command{Settings: set, Database: s.database(name), Keys: s.database(name + keysSuffix), LogDir: s.at.path("audit", "log"), LogKey: s.at.logKey(), Origin: "privacyops.internal/audit",
			WitnessPolicy: s.opts.WitnessPolicy, Webhooks: s.opts.Webhooks, WebhooksAllow: s.opts.WebhooksAllow,
			Packages: s.at.path("packages", "evidence"), ConsentAddr: s.peers["consent"], ErasureAddr: s.peers["erasure"]}
		return c.Serve(ctx, p, lis)
	case "consent":
		c := consent.Command{Settings: set, Redis: s.opts.Redis, Signing: s.opts.Signing, Database: s.database(name), AuditAddr: s.peers["audit"]}
		return c.Serve(ctx, p, lis)
	case "participant":
		c := participant.Command{Settings: set, LedgerDir: s.at.path("ledger")}
		return c.Serve(ctx, p, lis, participant.Config{Systems: s.opts.Systems, Wrap: s.opts.Wrap})
	case "export":
		c := export.Command{Settings: set, Database: s.database(name), Packages: s.at.path("packages"), SigningKey: s.at.exportKey(),
			AuditAddr: s.peers["audit"], ConsentAddr: s.peers["consent"], Participants: s.participants(), Exclusive: s.opts.Database == ""}
		return c.Serve(ctx, p, lis)
	case "erasure":
		c := erasure.Command{Settings: set, Redis: s.opts.Redis, Database: s.database(name), CertificateKey: s.at.certificateKey(),
			AuditAddr: s.peers["audit"], ConsentAddr: s.peers["consent"], Participants: s.participants(), Exclusive: s.opts.Database == ""}
		return c.Serve(ctx, p, lis, func(cfg *erasure.Config) { cfg.Backoff = s.opts.Backoff })
	default:
		c := gateway.Command{Settings: set, Redis: s.opts.Redis, AuditAddr: s.peers["audit"], ConsentAddr: s.peers["consent"],
			ExportAddr: s.peers["export"], ErasureAddr: s.peers["erasure"]}
		if lis.Addr().String() == s.Addresses[name] { // one address, so one of the replicas has it
			c.Admin = s.opts.Admin
		}
		return c.Serve(ctx, p, lis)
	}
}

func (s *Suite) participants() map[string]string {
	out := map[string]string{}
	for _, sys := range s.opts.Systems {
		out[sys.Name] = s.peers["participant"]
	}
	return out
}

// Failed tells when a service has ended by itself.
func (s *Suite) Failed() <-chan error { return s.failed }

// Stop stops the services, the gateway first and the audit service last, and gives the folder free.
func (s *Suite) Stop() error {
	var errs []error
	for i := len(s.stages) - 1; i >= 0; i-- {
		st := s.stages[i]
		st.cancel()
		<-st.done
		errs = append(errs, st.err)
	}
	s.stages = nil
	for _, replicas := range s.lis {
		for _, lis := range replicas {
			errs = append(errs, lis.Close())
		}
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
		s.lock = nil
	}
	return errors.Join(errs...)
}
