package participant

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/libs/server"
)

// eraseDeadline bounds a call: erasing a person from a large system is work, not a question.
const eraseDeadline = 4 * time.Minute

// Command is the service as a process of its own: its settings, as flags or in the environment.
type Command struct {
	server.Settings
	Systems   string `help:"YAML file that lists the systems to speak for: name, dataMap, database, controllers." env:"PRIVACYOPS_PARTICIPANT_SYSTEMS" required:""`
	LedgerDir string `help:"Folder of the ledgers that make erasures resumable." env:"PRIVACYOPS_PARTICIPANT_LEDGER_DIR" required:""`
}

// Run serves until ctx ends.
func (c *Command) Run(ctx context.Context) error {
	systems, err := ReadSystems(c.Systems)
	if err != nil {
		return err
	}
	p, err := c.Open(ctx, "participant")
	if err != nil {
		return err
	}
	lis, err := server.Listen(ctx, c.Listen)
	if err != nil {
		return err
	}
	return c.Serve(ctx, p, lis, Config{Systems: systems})
}

// Serve serves the systems of a configuration on a listener until ctx ends.
func (c *Command) Serve(ctx context.Context, p *server.Process, lis net.Listener, cfg Config) error {
	cfg.LedgerDir, cfg.Clock, cfg.Telemetry = c.LedgerDir, p.Clock, p.Telemetry
	s, err := New(ctx, cfg)
	if err != nil {
		return err
	}
	return errors.Join(p.Serve(ctx, lis, s, eraseDeadline), s.Close())
}

// ReadSystems reads the list of systems. Its database URLs may hold passwords, so the file is one that [keyring.OpenSecret] opens.
func ReadSystems(path string) ([]SystemConfig, error) {
	f, err := keyring.OpenSecret(path)
	if err != nil {
		return nil, fmt.Errorf("participant: systems: %w", err)
	}
	defer f.Close()
	dec := yaml.NewDecoder(io.LimitReader(f, 1<<20))
	dec.KnownFields(true)
	var list []struct {
		Name        string   `yaml:"name"`
		DataMap     string   `yaml:"dataMap"`
		Database    string   `yaml:"database"`
		Controllers []string `yaml:"controllers"`
	}
	if err := dec.Decode(&list); err != nil {
		return nil, fmt.Errorf("participant: %s: %w", path, err)
	}
	systems := make([]SystemConfig, 0, len(list))
	for _, s := range list {
		systems = append(systems, SystemConfig(s))
	}
	return systems, nil
}
