package erasure

import (
	"context"
	"errors"
	"net"

	"github.com/privacyops/privacyops/libs/certificate"
	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/libs/redis"
	"github.com/privacyops/privacyops/libs/server"
)

// Command is the service as a process of its own: its settings, as flags or in the environment.
type Command struct {
	server.Settings
	Redis          redis.Settings    `embed:""`
	Database       string            `help:"URL of the database, for example sqlite:/var/lib/privacyops/erasure.db." env:"PRIVACYOPS_ERASURE_DATABASE" required:""`
	AuditAddr      string            `help:"Address of the audit service." placeholder:"HOST:PORT" env:"PRIVACYOPS_AUDIT_ADDRESS" required:""`
	ConsentAddr    string            `help:"Address of the consent service." placeholder:"HOST:PORT" env:"PRIVACYOPS_CONSENT_ADDRESS" required:""`
	Participants   map[string]string `help:"Addresses of participants by name." placeholder:"NAME=HOST:PORT;…" env:"PRIVACYOPS_PARTICIPANTS"`
	CertificateKey string            `help:"File with the key that signs certificates, mode 0600." env:"PRIVACYOPS_CERTIFICATE_KEY_FILE" required:""`
	Exclusive      bool              `help:"No other replica works on the database: take up at once what a crash has left." env:"PRIVACYOPS_EXCLUSIVE"`
}

// Run serves until ctx ends.
func (c *Command) Run(ctx context.Context) error {
	p, err := c.Open(ctx, "erasure")
	if err != nil {
		return err
	}
	lis, err := server.Listen(ctx, c.Listen)
	if err != nil {
		return err
	}
	return c.Serve(ctx, p, lis, nil)
}

// Serve serves on a listener until ctx ends. Configure, where it is not nil, changes what the settings do not reach.
func (c *Command) Serve(ctx context.Context, p *server.Process, lis net.Listener, configure func(*Config)) (err error) {
	p.Configured = c
	key, err := keyring.ReadSecret(c.CertificateKey)
	if err != nil {
		return err
	}
	signer, err := certificate.ParseSigner(key)
	if err != nil {
		return err
	}
	audit, err := p.Dial(server.Peer{Service: "audit", Address: c.AuditAddr})
	if err != nil {
		return err
	}
	consent, err := p.Dial(server.Peer{Service: "consent", Address: c.ConsentAddr})
	if err != nil {
		return errors.Join(err, audit.Close())
	}
	defer func() { err = errors.Join(err, audit.Close(), consent.Close()) }()
	participants, hangUp, err := p.DialAll("participant", c.Participants)
	defer func() { err = errors.Join(err, hangUp()) }()
	if err != nil {
		return err
	}
	shared, err := c.Redis.Open(redis.TLSFiles{Authority: p.TLS.Authority, Certificate: p.TLS.Certificate, Key: p.TLS.Key}, p.Telemetry)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, shared.Close()) }()
	cfg := Config{Database: c.Database, Redis: shared, Keyring: p.Keyring, Clock: p.Clock, NewID: p.NewID, Telemetry: p.Telemetry,
		Audit: audit, Consent: consent, Participants: participants, Signer: signer, Exclusive: c.Exclusive}
	if configure != nil {
		configure(&cfg)
	}
	s, err := New(ctx, cfg)
	if err != nil {
		return err
	}
	return errors.Join(p.Serve(ctx, lis, s, 0), s.Close())
}
