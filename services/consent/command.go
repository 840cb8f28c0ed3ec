package consent

import (
	"context"
	"errors"
	"net"

	"github.com/privacyops/privacyops/libs/redis"
	"github.com/privacyops/privacyops/libs/server"
)

// Command is the service as a process of its own: its settings, as flags or in the environment.
type Command struct {
	server.Settings
	Redis       redis.Settings `embed:""`
	Database    string         `help:"URL of the database, for example sqlite:/var/lib/privacyops/consent.db." env:"PRIVACYOPS_CONSENT_DATABASE" required:""`
	DecisionLog string         `help:"durable: every decision is on disk before it is given. buffered: it is given first and written at most 20 ms later, at most 10,000 of them at a time, which a crash may take." enum:"durable,buffered" env:"PRIVACYOPS_CONSENT_DECISION_LOG" default:"durable"`
	Memory      int64          `help:"Bound of what is remembered of people for fast answers, in MiB." env:"PRIVACYOPS_CONSENT_MEMORY" default:"256"`
	AuditAddr   string         `help:"Address of the audit service." placeholder:"HOST:PORT" env:"PRIVACYOPS_AUDIT_ADDRESS" required:""`
	Signing     Signing        `embed:""`
}

// Signing is how the service signs decisions and receipts.
type Signing struct {
	SigningKeys []int  `help:"Numbers of the keys of signed decisions and receipts: the first one signs, all are published. They are derived from the keyring. To change the key, add the next number at the end; when partners have read the keys again, put it first." env:"PRIVACYOPS_CONSENT_SIGNING_KEYS" default:"1"`
	SignedBy    string `help:"Name of the installation in signed decisions and receipts." env:"PRIVACYOPS_CONSENT_SIGNED_BY" default:"privacyops.internal/consent"`
}

// Run serves until ctx ends.
func (c *Command) Run(ctx context.Context) error {
	p, err := c.Open(ctx, "consent")
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
	p.Configured = c
	server.TuneMemory(c.Memory << 20 / 4) // the rest is kept where the runtime does not look
	audit, err := p.Dial(server.Peer{Service: "audit", Address: c.AuditAddr})
	if err != nil {
		return err
	}
	shared, err := c.Redis.Open(redis.TLSFiles{Authority: p.TLS.Authority, Certificate: p.TLS.Certificate, Key: p.TLS.Key}, p.Telemetry)
	if err != nil {
		return errors.Join(err, audit.Close())
	}
	defer func() { err = errors.Join(err, shared.Close()) }()
	s, err := New(ctx, Config{Database: c.Database, Keyring: p.Keyring, Clock: p.Clock, NewID: p.NewID, Telemetry: p.Telemetry, Audit: audit,
		Redis: shared, MemorySize: c.Memory << 20, Buffered: c.DecisionLog == "buffered", SigningKeys: c.Signing.SigningKeys, Issuer: c.Signing.SignedBy})
	if err != nil {
		return errors.Join(err, audit.Close())
	}
	return errors.Join(p.Serve(ctx, lis, s, 0), s.Close(), audit.Close())
}
