package tlog

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/privacyops/privacyops/libs/keyring"
)

// Shared says where a log is kept that several processes can take turns with: its leaves get their places in a MySQL or MariaDB
// database, and its tiles are objects of an S3 bucket. Both are reached by TLS, but for ones on this machine.
type Shared struct {
	// Database is `mysql://user@host:port/database`, without a password. The database is one log's own; it is made when the user may
	// do so.
	Database string
	// PasswordFile holds the user's password, mode 0600. Empty: none is asked for.
	PasswordFile string
	// Bucket is `https://host:port/bucket/prefix`. The prefix may be empty.
	Bucket string
	// Region is the bucket's, which the signature of a request names; us-east-1 by default.
	Region string
	// KeyFile holds the id and the secret of an access key of the bucket, on a line each, mode 0600.
	KeyFile string
	// Authority is a PEM file of the authorities that certify the database and the bucket. Empty: those that the machine trusts. Where
	// it is named, TLS is used on this machine as well.
	Authority string
	// Lease is how long after its last sign of life another process may take the writer's place; 10 s by default.
	Lease time.Duration
}

// defaultLease outlasts a pause of the process and is short for who waits.
const defaultLease = 10 * time.Second

// shardName is one that is safe in the name of a database and in a key.
var shardName = regexp.MustCompile(`^[a-z0-9]{1,16}$`)

// Shard is where a part of the log is kept that is a log of its own: in a database and under a prefix with its name, such as "2026",
// behind those of s.
func (s Shared) Shard(name string) (Shared, error) {
	if !shardName.MatchString(name) {
		return Shared{}, errors.New("tlog: the name of a shard is of lower-case letters and digits")
	}
	s.Database += "_" + name
	s.Bucket = strings.TrimSuffix(s.Bucket, "/") + "/" + name
	return s, nil
}

// bucket is where the bucket is.
type bucket struct {
	endpoint     string // with its scheme
	name, prefix string
	host         string
}

func (s Shared) bucket() (b bucket, err error) {
	u, err := url.Parse(s.Bucket)
	if err != nil || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return b, errors.New("tlog: the address of the bucket is https://host:port/bucket/prefix and no more")
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return b, errors.New("tlog: the address of the bucket begins with https://; http:// leads to this machine only")
	}
	path := strings.Trim(u.Path, "/")
	b = bucket{endpoint: u.Scheme + "://" + u.Host, host: u.Hostname()}
	if b.name, b.prefix, _ = strings.Cut(path, "/"); b.name == "" {
		return b, errors.New("tlog: the address of the bucket does not name it; write https://host:port/bucket/prefix")
	}
	return b, nil
}

// database is the configuration of connections to the database.
func (s Shared) database() (*mysql.Config, error) {
	u, err := url.Parse(s.Database)
	if err != nil {
		return nil, errors.New("tlog: the URL of the log's database cannot be read; write mysql://user@host:port/database") // err would quote it
	}
	_, password := u.User.Password()
	name := strings.Trim(u.Path, "/")
	switch {
	case password:
		return nil, errors.New("tlog: the URL of the log's database holds a password; put it into a file of mode 0600 and name the file")
	case u.Scheme != "mysql" || u.Hostname() == "" || name == "" || strings.ContainsAny(name, "/`") || u.User.Username() == "" || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("tlog: the URL of the log's database is mysql://user@host:port/database and no more")
	}
	cfg := mysql.NewConfig()
	cfg.User, cfg.DBName, cfg.Net, cfg.Addr = u.User.Username(), name, "tcp", net.JoinHostPort(u.Hostname(), portOr(u, "3306"))
	cfg.Timeout, cfg.ReadTimeout, cfg.WriteTimeout = dialTimeout, answerTimeout, answerTimeout
	cfg.ClientFoundRows, cfg.Logger = true, &mysql.NopLogger{}
	if s.PasswordFile != "" {
		if cfg.Passwd, err = keyring.ReadSecret(s.PasswordFile); err != nil {
			return nil, fmt.Errorf("tlog: the password of the log's database: %w", err)
		}
	}
	if cfg.TLS, err = s.tls(u.Hostname()); err != nil {
		return nil, err
	}
	// A client that is gone must not hold its locks for the eight hours that are the servers' default.
	cfg.Params = map[string]string{"wait_timeout": "30"}
	return cfg, nil
}

const (
	dialTimeout   = 5 * time.Second
	answerTimeout = 30 * time.Second // an insertion waits while leaves are integrated
)

// tls is nil for a server on this machine, unless an authority is named.
func (s Shared) tls(host string) (*tls.Config, error) {
	if s.Authority == "" && loopback(host) {
		return nil, nil
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host} // MariaDB of many distributions stops there
	if s.Authority != "" {
		text, err := os.ReadFile(s.Authority)
		if err != nil {
			return nil, fmt.Errorf("tlog: certificate authority: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("tlog: %s holds no certificate", s.Authority)
		}
	}
	return cfg, nil
}

func portOr(u *url.URL, standard string) string {
	if port := u.Port(); port != "" {
		return port
	}
	return standard
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
