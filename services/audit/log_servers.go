package audit

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/privacyops/privacyops/libs/server"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/audit/internal/tlog"
)

// LogServers are the settings of a log that is kept in a database and a bucket.
type LogServers struct {
	LogDatabase         string        `help:"Keep the log on servers, so that several replicas can take turns with it: URL of its MySQL or MariaDB database, mysql://user@host:port/database, without a password. TLS is used unless it is on this machine. Empty: the log is in its folder." placeholder:"URL" env:"PRIVACYOPS_AUDIT_LOG_DATABASE"`
	LogDatabasePassword string        `help:"File with the password for the log's database, mode 0600." name:"log-database-password-file" env:"PRIVACYOPS_AUDIT_LOG_DATABASE_PASSWORD_FILE"`
	LogBucket           string        `help:"URL of the S3 bucket that the log's tiles are kept in, https://host:port/bucket/prefix. It must know conditional writes (If-None-Match)." placeholder:"URL" env:"PRIVACYOPS_AUDIT_LOG_BUCKET"`
	LogBucketRegion     string        `help:"Region of the bucket." env:"PRIVACYOPS_AUDIT_LOG_BUCKET_REGION" default:"us-east-1"`
	LogBucketKey        string        `help:"File with the id and the secret of the bucket's access key, on a line each, mode 0600." name:"log-bucket-key-file" env:"PRIVACYOPS_AUDIT_LOG_BUCKET_KEY_FILE"`
	LogLease            time.Duration `help:"How long after the last sign of life of the replica that has the log another one takes over." env:"PRIVACYOPS_AUDIT_LOG_LEASE" default:"10s"`
	LogAuthority        string        `help:"File with the authority that the certificates of the log's database and bucket are verified by. Empty: those that the machine trusts." env:"PRIVACYOPS_AUDIT_LOG_AUTHORITY"`
}

// servers is nil for a log in a folder.
func (l LogServers) servers() (*tlog.Shared, error) {
	if l.LogDatabase == "" && l.LogBucket == "" {
		return nil, nil
	}
	if l.LogDatabase == "" || l.LogBucket == "" || l.LogBucketKey == "" {
		return nil, errors.New("a log on servers needs a database, a bucket and the bucket's access key; configure all of them, or none and a folder")
	}
	return &tlog.Shared{Database: l.LogDatabase, PasswordFile: l.LogDatabasePassword, Bucket: l.LogBucket, Region: l.LogBucketRegion,
		KeyFile: l.LogBucketKey, Authority: l.LogAuthority, Lease: l.LogLease}, nil
}

// ErrInUse reports that another process has the log.
var ErrInUse = tlog.ErrInUse

// logOptions are how the log is opened.
func (c *Config) logOptions() tlog.Options {
	return tlog.Options{Dir: c.LogDir, Shared: c.LogServers, CheckpointInterval: c.CheckpointInterval}
}

// turnPause is how often a replica that stands by looks whether it is its turn.
const turnPause = 500 * time.Millisecond

// inTurn is New, for a replica that may have to wait until no other one has the log. It does not touch the databases before, and answers
// on the admin address meanwhile that it lives and is not ready.
func inTurn(ctx context.Context, p *server.Process, cfg Config) (*Service, error) {
	if cfg.LogServers == nil {
		return New(ctx, cfg)
	}
	stop, err := standingBy(ctx, p)
	if err != nil {
		return nil, err
	}
	defer stop()
	for told := false; ; {
		s, err := takeTurn(ctx, cfg)
		switch {
		case errors.Is(err, ErrInUse):
			if !told {
				p.Telemetry.Log.InfoContext(ctx, "standing by: another replica has the log")
				told = true
			}
		case errors.Is(err, sqldb.ErrUnavailable): // also while the replica before has an unfinished transaction there
			p.Telemetry.Log.WarnContext(ctx, "it is this replica's turn, and its databases are not available; trying again", "error_kind", fmt.Sprintf("%T", err))
		default:
			return s, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(turnPause):
		}
	}
}

// unhalted is the URL of a database in which a transaction ends when its replica does nothing for the time of a lease: one that is halted,
// or cut off, would keep the rows from the one that takes over.
func unhalted(database string, lease time.Duration) string {
	const parameter = "idle_in_transaction_session_timeout"
	u, err := url.Parse(database)
	if err != nil || !strings.HasPrefix(u.Scheme, "postgres") || u.Query().Has(parameter) {
		return database
	}
	query := u.Query()
	query.Set(parameter, strconv.FormatInt(lease.Milliseconds(), 10))
	u.RawQuery = query.Encode()
	return u.String()
}

// takeTurn opens the service unless another replica has the log. That this one has the log's key is checked also while it waits.
func takeTurn(ctx context.Context, cfg Config) (*Service, error) {
	key, err := openKey(ctx, cfg)
	if err != nil {
		return nil, err
	}
	o := cfg.logOptions()
	o.Key = key
	if err := tlog.Free(ctx, o); err != nil {
		return nil, err
	}
	return New(ctx, cfg)
}

// standingBy answers on the admin address until stop is called.
func standingBy(ctx context.Context, p *server.Process) (stop func(), err error) {
	if p.Admin == "" {
		return func() {}, nil
	}
	lis, err := server.Listen(ctx, p.Admin)
	if err != nil {
		return nil, fmt.Errorf("audit: admin address: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", p.Telemetry.Metrics)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "standing by", http.StatusServiceUnavailable)
	})
	hs := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	done := make(chan struct{})
	go func() { defer close(done); _ = hs.Serve(lis) }()
	return func() { _ = hs.Close(); <-done }, nil
}
