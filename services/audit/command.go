package audit

import (
	"context"
	"errors"
	"net"
	"sync"

	"k8s.io/klog/v2"

	"github.com/privacyops/privacyops/libs/server"
	"github.com/privacyops/privacyops/libs/sqldb"
)

// Command is the service as a process of its own: its settings, as flags or in the environment.
type Command struct {
	server.Settings
	Database string `help:"URL of the database, for example sqlite:/var/lib/privacyops/audit.db." env:"PRIVACYOPS_AUDIT_DATABASE" required:""`
	LogDir   string `help:"Folder of the verifiable log." env:"PRIVACYOPS_AUDIT_LOG_DIR" required:""`
	LogKey   string `help:"File of the key that signs checkpoints; made at the first start." env:"PRIVACYOPS_AUDIT_LOG_KEY_FILE" required:""`
	Origin   string `help:"Name of the log, the first line of its checkpoints." env:"PRIVACYOPS_AUDIT_ORIGIN" default:"privacyops.internal/audit"`
}

// Run serves until ctx ends.
func (c *Command) Run(ctx context.Context) error {
	p, err := c.Open(ctx, "audit")
	if err != nil {
		return err
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
	libraryLog.Do(func() { klog.SetSlogLogger(p.Telemetry.Log) })
	db, err := sqldb.Open(ctx, sqldb.Config{URL: c.Database, Logger: p.Telemetry.Log})
	if err != nil {
		return err
	}
	s, err := New(ctx, Config{DB: db, LogDir: c.LogDir, KeyFile: c.LogKey, Origin: c.Origin, Keyring: p.Keyring,
		Clock: p.Clock, NewID: p.NewID, Telemetry: p.Telemetry})
	if err != nil {
		return errors.Join(err, db.Close())
	}
	return errors.Join(p.Serve(ctx, lis, s, 0), s.Close(), db.Close())
}
