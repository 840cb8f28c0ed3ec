package server

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/privacyops/privacyops/libs/keyring"
)

// domain ends the names in certificates: the service `erasure` is erasure.privacyops.internal.
const domain = ".privacyops.internal"

// TLSFiles are a service's certificate, its key and the authority it trusts, as PEM files.
type TLSFiles struct {
	// Authority verifies the other side.
	Authority string
	// Certificate and Key are the service's own; the key's file has mode 0600.
	Certificate string
	Key         string
}

// In names the three files as [Authority.Issue] writes them.
func In(dir, service string) TLSFiles {
	return TLSFiles{
		Authority:   filepath.Join(dir, "authority.crt"),
		Certificate: filepath.Join(dir, service+".crt"),
		Key:         filepath.Join(dir, service+".key"),
	}
}

// reloading reads a certificate again when its file changes, so that a renewal needs no restart.
type reloading struct {
	files TLSFiles
	mu    sync.Mutex
	seen  time.Time
	cert  *tls.Certificate
}

func (r *reloading) get() (*tls.Certificate, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	info, err := os.Stat(r.files.Certificate)
	if err == nil && r.cert != nil && info.ModTime().Equal(r.seen) {
		return r.cert, nil
	}
	if err == nil {
		key, kerr := keyring.ReadSecret(r.files.Key)
		chain, cerr := os.ReadFile(r.files.Certificate)
		if err = errors.Join(kerr, cerr); err == nil {
			var c tls.Certificate
			if c, err = tls.X509KeyPair(chain, []byte(key)); err == nil {
				r.cert, r.seen = &c, info.ModTime()
			}
		}
	}
	if r.cert == nil {
		return nil, fmt.Errorf("server: certificate: %w", err)
	}
	return r.cert, nil // the last good one stays in use while a renewal is half written
}

func (f TLSFiles) pool() (*x509.CertPool, error) {
	text, err := os.ReadFile(f.Authority)
	if err != nil {
		return nil, fmt.Errorf("server: certificate authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("server: %s holds no certificate", f.Authority)
	}
	return pool, nil
}

// ServerTLS is the listening side's configuration: it demands a certificate of the authority from who connects.
func (f TLSFiles) ServerTLS() (*tls.Config, error) {
	pool, err := f.pool()
	if err != nil {
		return nil, err
	}
	r := &reloading{files: f}
	if _, err := r.get(); err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return r.get() },
	}, nil
}

// ClientTLS is the calling side's configuration: it accepts only the service that it means to call.
func (f TLSFiles) ClientTLS(service string) (*tls.Config, error) {
	pool, err := f.pool()
	if err != nil {
		return nil, err
	}
	r := &reloading{files: f}
	if _, err := r.get(); err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13, RootCAs: pool, ServerName: service + domain,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return r.get() },
	}, nil
}

// serviceName reads the service from a verified certificate; empty where it names none.
func serviceName(cert *x509.Certificate) string {
	for _, n := range cert.DNSNames {
		if name, ok := strings.CutSuffix(n, domain); ok && name != "" && !strings.Contains(name, ".") {
			return name
		}
	}
	return ""
}
