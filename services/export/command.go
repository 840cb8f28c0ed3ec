package export

import (
	"context"
	"errors"
	"net"

	"google.golang.org/grpc"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/libs/server"
	participantv1 "github.com/privacyops/privacyops/proto/gen/privacyops/participant/v1"
)

// Command is the service as a process of its own: its settings, as flags or in the environment.
type Command struct {
	server.Settings
	Database     string            `help:"URL of the database, for example sqlite:/var/lib/privacyops/export.db." env:"PRIVACYOPS_EXPORT_DATABASE" required:""`
	AuditAddr    string            `help:"Address of the audit service." placeholder:"HOST:PORT" env:"PRIVACYOPS_AUDIT_ADDRESS" required:""`
	ConsentAddr  string            `help:"Address of the consent service." placeholder:"HOST:PORT" env:"PRIVACYOPS_CONSENT_ADDRESS" required:""`
	Participants map[string]string `help:"Addresses of participants by name." placeholder:"NAME=HOST:PORT;…" env:"PRIVACYOPS_PARTICIPANTS"`
	Packages     string            `help:"Folder of the packages, which are encrypted; all replicas share it." env:"PRIVACYOPS_EXPORT_PACKAGES" required:""`
	SigningKey   string            `help:"File with the key that signs manifests, mode 0600." env:"PRIVACYOPS_EXPORT_KEY_FILE" required:""`
	Exclusive    bool              `help:"No other replica works on the database: take up at once what a crash has left." env:"PRIVACYOPS_EXCLUSIVE"`
}

// Run serves until ctx ends.
func (c *Command) Run(ctx context.Context) error {
	p, err := c.Open(ctx, "export")
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
	key, err := keyring.ReadSecret(c.SigningKey)
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
	s, err := New(ctx, Config{Database: c.Database, Keyring: p.Keyring, Clock: p.Clock, NewID: p.NewID, Telemetry: p.Telemetry,
		Audit: audit, Register: consent, Participants: byName(participants), Blobs: c.Packages, SigningKey: key, Exclusive: c.Exclusive})
	if err != nil {
		return err
	}
	return errors.Join(p.Serve(ctx, lis, s, 0), s.Close())
}

func byName(conns map[string]grpc.ClientConnInterface) func(string) (participantv1.ParticipantClient, error) {
	return func(name string) (participantv1.ParticipantClient, error) {
		conn, ok := conns[name]
		if !ok {
			return nil, fault.Newf(fault.Unavailable, "PARTICIPANT_UNKNOWN",
				"No participant %q is configured. Configure its address, or correct the system in the register.", name)
		}
		return participantv1.NewParticipantClient(conn), nil
	}
}
