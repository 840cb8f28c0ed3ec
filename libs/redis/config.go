package redis

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/libs/telemetry"
)

// What one request may cost. A reply that comes later is worth less than asking the database.
const (
	dialTimeout     = 500 * time.Millisecond
	ioTimeout       = 250 * time.Millisecond
	defaultPoolSize = 16
)

// Config says where Redis is and who we are there.
type Config struct {
	// URL is `rediss://user@host:port/database`, or `redis://…` without TLS. It holds no password. The user is one of Redis'
	// access control list; empty is `default`.
	URL string
	// PasswordFile holds the user's password, mode 0600. It is read again for every new connection, so that a changed password
	// needs no restart. Empty: Redis asks for none.
	PasswordFile string
	// TLS names the files for `rediss://`.
	TLS TLSFiles
	// Plaintext allows `redis://` to another machine. Without it only loopback is reached without TLS.
	Plaintext bool
	// PoolSize bounds the connections of this process, besides one for notices; default 16.
	PoolSize int
	// Telemetry gets spans and metrics: commands by name, without keys and values. Nil: none.
	Telemetry *telemetry.Telemetry
}

// TLSFiles are PEM files.
type TLSFiles struct {
	// Authority verifies Redis; empty: the authorities that the machine trusts.
	Authority string
	// Certificate and Key are our own, where Redis asks for a certificate. They are read again for every new connection.
	Certificate, Key string
}

// options checks the configuration.
func (cfg Config) options() (*goredis.Options, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil {
		return nil, errors.New("redis: the URL cannot be read; write rediss://user@host:port/database") // err would quote it
	}
	if err := cfg.check(u); err != nil {
		return nil, err
	}
	db, err := databaseOf(u)
	if err != nil {
		return nil, err
	}
	opts := cfg.limits()
	opts.Addr, opts.DB = addressOf(u), db
	if opts.CredentialsProviderContext, err = cfg.credentials(u.User.Username()); err != nil {
		return nil, err
	}
	if u.Scheme == "rediss" {
		if opts.TLSConfig, err = cfg.TLS.config(u.Hostname()); err != nil {
			return nil, err
		}
	}
	return opts, nil
}

func (cfg Config) check(u *url.URL) error {
	_, password := u.User.Password()
	switch {
	case u.Scheme != "redis" && u.Scheme != "rediss":
		return errors.New("redis: the URL begins with rediss:// or redis://")
	case u.Hostname() == "":
		return errors.New("redis: the URL names no host")
	case password:
		return errors.New("redis: the URL holds a password; put it into a file of mode 0600 and name the file")
	case u.RawQuery != "" || u.Fragment != "":
		return errors.New("redis: the URL has parameters; there are none")
	case u.Scheme == "redis" && cfg.TLS != (TLSFiles{}):
		return errors.New("redis: TLS files are named, but the URL begins with redis://; write rediss://")
	case u.Scheme == "redis" && !cfg.Plaintext && !loopback(u.Hostname()):
		return errors.New("redis: the URL leads to another machine without TLS; write rediss://, or allow plaintext on a network of your own")
	case cfg.PoolSize < 0:
		return errors.New("redis: the pool has a negative size")
	}
	return nil
}

// limits are the settings that no operator needs to know.
func (cfg Config) limits() *goredis.Options {
	size := cfg.PoolSize
	if size == 0 {
		size = defaultPoolSize
	}
	return &goredis.Options{
		Protocol:    2, // replies of version 3 add types and pushed messages that nothing here uses
		DialTimeout: dialTimeout, ReadTimeout: ioTimeout, WriteTimeout: ioTimeout, PoolTimeout: ioTimeout,
		ContextTimeoutEnabled: true,
		MaxRetries:            -1, // a repeat would double the longest wait; the breaker knows better when to try again
		DialerRetries:         1,
		PoolSize:              size, MaxActiveConns: size, PipelinePoolSize: -1,
		ConnMaxIdleTime: time.Minute, ConnMaxLifetime: 5 * time.Minute, // one that has lost step ends, whatever it was
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
}

func (cfg Config) credentials(user string) (func(context.Context) (string, string, error), error) {
	if cfg.PasswordFile == "" {
		if user != "" {
			return nil, errors.New("redis: the URL names a user, but there is no password file")
		}
		return nil, nil
	}
	if _, err := keyring.ReadSecret(cfg.PasswordFile); err != nil {
		return nil, fmt.Errorf("redis: password: %w", err)
	}
	return func(context.Context) (string, string, error) {
		password, err := keyring.ReadSecret(cfg.PasswordFile)
		return user, password, err
	}, nil
}

func (f TLSFiles) config(host string) (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host} // Redis of many distributions is built without 1.3
	if f.Authority != "" {
		text, err := os.ReadFile(f.Authority)
		if err != nil {
			return nil, fmt.Errorf("redis: certificate authority: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("redis: %s holds no certificate", f.Authority)
		}
	}
	if (f.Certificate == "") != (f.Key == "") {
		return nil, errors.New("redis: a certificate needs its key and a key its certificate")
	}
	if f.Certificate == "" {
		return cfg, nil
	}
	if _, err := f.own(); err != nil {
		return nil, err
	}
	cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return f.own() }
	return cfg, nil
}

func (f TLSFiles) own() (*tls.Certificate, error) {
	key, err := keyring.ReadSecret(f.Key)
	if err != nil {
		return nil, fmt.Errorf("redis: key: %w", err)
	}
	chain, err := os.ReadFile(f.Certificate)
	if err != nil {
		return nil, fmt.Errorf("redis: certificate: %w", err)
	}
	pair, err := tls.X509KeyPair(chain, []byte(key))
	if err != nil {
		return nil, fmt.Errorf("redis: certificate: %w", err)
	}
	return &pair, nil
}

func addressOf(u *url.URL) string {
	if port := u.Port(); port != "" {
		return net.JoinHostPort(u.Hostname(), port)
	}
	return net.JoinHostPort(u.Hostname(), "6379")
}

func databaseOf(u *url.URL) (int, error) {
	path := strings.Trim(u.Path, "/")
	if path == "" {
		return 0, nil
	}
	db, err := strconv.Atoi(path)
	if err != nil || db < 0 {
		return 0, errors.New("redis: the path of the URL is the number of a database")
	}
	return db, nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
