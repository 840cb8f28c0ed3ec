package audit

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"k8s.io/klog/v2"

	"github.com/privacyops/privacyops/libs/server"
	"github.com/privacyops/privacyops/libs/sqldb"
)

// Command is the service as a process of its own: its settings, as flags or in the environment.
type Command struct {
	server.Settings
	Database string `help:"URL of the database, for example sqlite:/var/lib/privacyops/audit.db." env:"PRIVACYOPS_AUDIT_DATABASE" required:""`
	Keys     string `help:"URL of the database of the keys that people in the log are sealed under; apart from the other one, and with short-lived backups. For example sqlite:/var/lib/privacyops/audit-keys.db." name:"keys-database" env:"PRIVACYOPS_AUDIT_KEYS_DATABASE" required:""`
	LogDir   string `help:"Folder of the verifiable log; required unless the log has a database and a bucket." env:"PRIVACYOPS_AUDIT_LOG_DIR"`
	LogServers
	LogKey    string `help:"File of the key that signs checkpoints; made at the first start." env:"PRIVACYOPS_AUDIT_LOG_KEY_FILE" required:""`
	Origin    string `help:"Name of the log, the first line of its checkpoints." env:"PRIVACYOPS_AUDIT_ORIGIN" default:"privacyops.internal/audit"`
	KeepYears int    `help:"How many whole calendar years of the log are kept beside the current one; an older one is dropped as a whole, and a signed tombstone is left. 0: all are kept. A log on servers keeps all." env:"PRIVACYOPS_AUDIT_KEEP_YEARS" default:"0"`

	WitnessPolicy string         `help:"File that says which witnesses cosign the log's checkpoints, and how many of them are enough: witness, group and quorum lines. Empty: none." env:"PRIVACYOPS_AUDIT_WITNESS_POLICY"`
	Webhooks      string         `help:"File of webhooks that alerts are delivered to, YAML or JSON. Empty: none." env:"PRIVACYOPS_AUDIT_WEBHOOKS"`
	WebhooksAllow []netip.Prefix `help:"Networks inside the installation that webhooks may lead to, such as 10.1.2.0/24. Loopback is for tests." placeholder:"NETWORK" env:"PRIVACYOPS_AUDIT_WEBHOOKS_ALLOW"`

	Packages    string `help:"Folder of evidence packages, which are encrypted. Empty: no evidence packages are made." env:"PRIVACYOPS_AUDIT_PACKAGES"`
	ConsentAddr string `help:"Address of the consent service, which has the register; needed for evidence packages." placeholder:"HOST:PORT" env:"PRIVACYOPS_CONSENT_ADDRESS"`
	ErasureAddr string `help:"Address of the erasure service, which has the certificates; needed for evidence packages." placeholder:"HOST:PORT" env:"PRIVACYOPS_ERASURE_ADDRESS"`

	keyTime time.Duration // 0: as long as the service does by itself
}

// Run serves until ctx ends. Where replicas take turns with the log it listens only when it is its turn: callers find the other one.
// Where the keys are in PostgreSQL the program starts again first, so that what its client leaves of them is overwritten.
func (c *Command) Run(ctx context.Context) error {
	if err := OverwriteFreed(c.Keys); err != nil {
		return err
	}
	p, err := c.Open(ctx, "audit")
	if err != nil {
		return err
	}
	if c.LogDatabase != "" || c.LogBucket != "" {
		s, err := c.open(ctx, p)
		if err != nil {
			return err
		}
		lis, err := server.Listen(ctx, c.Listen)
		if err != nil {
			return errors.Join(err, s.close())
		}
		return s.serve(ctx, lis)
	}
	lis, err := server.Listen(ctx, c.Listen)
	if err != nil {
		return err
	}
	return c.Serve(ctx, p, lis)
}

// libraryLog makes the log's library, which writes through klog, write what and where we do. Klog is one for the whole process and
// must not be told twice while it is in use.
var libraryLog sync.Once

// Serve serves on a listener until ctx ends.
func (c *Command) Serve(ctx context.Context, p *server.Process, lis net.Listener) error {
	s, err := c.open(ctx, p)
	if err != nil {
		return err
	}
	return s.serve(ctx, lis)
}

// running is a service and what it stands on.
type running struct {
	*Service
	process *server.Process
	hangUp  func() error
}

// open opens the service, when it is its turn.
func (c *Command) open(ctx context.Context, p *server.Process) (*running, error) {
	p.Configured = c
	libraryLog.Do(func() { klog.SetSlogLogger(p.Telemetry.Log) })
	servers, err := c.servers()
	if err != nil {
		return nil, err
	}
	database, ofKeys := c.Database, c.Keys
	if servers != nil {
		database, ofKeys = unhalted(database, servers.Lease), unhalted(ofKeys, servers.Lease)
	}
	db, err := sqldb.Open(ctx, sqldb.Config{URL: database, Logger: p.Telemetry.Log})
	if err != nil {
		return nil, err
	}
	gathering, hangUp, err := c.evidence(p)
	if err != nil {
		return nil, errors.Join(err, hangUp(), db.Close())
	}
	s, err := inTurn(ctx, p, Config{DB: db, KeysDatabase: ofKeys, LogDir: c.LogDir, LogServers: servers, KeyFile: c.LogKey, Origin: c.Origin, KeepYears: c.KeepYears, Keyring: p.Keyring,
		Clock: p.Clock, NewID: p.NewID, Telemetry: p.Telemetry, WitnessPolicy: c.WitnessPolicy, Webhooks: c.Webhooks, WebhooksAllow: c.WebhooksAllow, Evidence: gathering, KeyTime: c.keyTime})
	if err != nil {
		return nil, errors.Join(err, hangUp(), db.Close())
	}
	return &running{s, p, hangUp}, nil
}

func (r *running) serve(ctx context.Context, lis net.Listener) error {
	return errors.Join(r.process.Serve(ctx, lis, r.Service, 0), r.close())
}

func (r *running) close() error {
	return errors.Join(r.Service.Close(), r.hangUp(), r.cfg.DB.Close())
}

// evidence connects to what evidence packages are made of; nil where none are made.
func (c *Command) evidence(p *server.Process) (cfg *EvidenceConfig, hangUp func() error, err error) {
	hangUp = func() error { return nil }
	if c.Packages == "" {
		return nil, hangUp, nil
	}
	if c.ConsentAddr == "" || c.ErasureAddr == "" {
		return nil, hangUp, errors.New("evidence packages need the addresses of the consent and the erasure service; configure them, or no folder for packages")
	}
	consent, err := p.Dial(server.Peer{Service: "consent", Address: c.ConsentAddr})
	if err != nil {
		return nil, hangUp, err
	}
	erasure, err := p.Dial(server.Peer{Service: "erasure", Address: c.ErasureAddr})
	if err != nil {
		return nil, consent.Close, err
	}
	hangUp = func() error { return errors.Join(consent.Close(), erasure.Close()) }
	return &EvidenceConfig{Folder: c.Packages, Consent: consent, Erasure: erasure}, hangUp, nil
}
