package server_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"

	"github.com/privacyops/privacyops/libs/server"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
)

// snapshot makes one call over conn; which failures there are is what the tests look at.
func snapshot(t *testing.T, conn grpc.ClientConnInterface) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	_, err := consentv1.NewRegisterReaderClient(conn).GetSnapshot(ctx, &consentv1.GetSnapshotRequest{Parent: "controllers/north"})
	return err
}

// TestWhoMayConnect: a connection needs a certificate of the installation's authority, TLS 1.3, and the right other side.
func TestWhoMayConnect(t *testing.T) {
	t.Parallel()
	s := start(t, &handlers{}, nil)
	stranger, err := server.NewAuthority(t.TempDir(), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := stranger.Issue("erasure")
	if err != nil {
		t.Fatal(err)
	}
	own, err := s.authority.Issue("erasure")
	if err != nil {
		t.Fatal(err)
	}
	late, err := server.NewAuthority(t.TempDir(), time.Now().Add(-2*365*24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	expired, err := late.Issue("erasure")
	if err != nil {
		t.Fatal(err)
	}
	config := func(files server.TLSFiles, service string, change func(*tls.Config)) *tls.Config {
		c, err := files.ClientTLS(service)
		if err != nil {
			t.Fatal(err)
		}
		if change != nil {
			change(c)
		}
		return c
	}
	mixed := server.TLSFiles{Authority: own.Authority, Certificate: foreign.Certificate, Key: foreign.Key}
	old := server.TLSFiles{Authority: own.Authority, Certificate: expired.Certificate, Key: expired.Key}
	for _, tc := range []struct {
		name   string
		config *tls.Config
		ok     bool
	}{
		{"own certificate", config(own, "consent", nil), true},
		{"certificate of another authority", config(mixed, "consent", nil), false},
		{"expired certificate of another authority", config(old, "consent", nil), false},
		{"no certificate", config(own, "consent", func(c *tls.Config) { c.GetClientCertificate = nil }), false},
		{"TLS 1.2", config(own, "consent", func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12 }), false},
		{"another service was meant", config(own, "audit", nil), false},
		{"another authority is trusted", config(foreign, "consent", nil), false},
	} {
		conn, err := grpc.NewClient(s.address, grpc.WithTransportCredentials(credentials.NewTLS(tc.config)))
		if err != nil {
			t.Fatal(err)
		}
		err = snapshot(t, conn)
		conn.Close()
		if tc.ok && err != nil || !tc.ok && status.Code(err) != codes.Unavailable {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

// served is the serial number of the certificate that a new connection sees.
func served(t *testing.T, s *suite, files server.TLSFiles) string {
	t.Helper()
	c, err := files.ClientTLS("consent")
	if err != nil {
		t.Fatal(err)
	}
	c.NextProtos = []string{"h2"}
	conn, err := (&tls.Dialer{Config: c}).DialContext(t.Context(), "tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.String()
}

func TestARenewedCertificateNeedsNoRestart(t *testing.T) {
	t.Parallel()
	s := start(t, &handlers{}, nil)
	files, err := s.authority.Issue("gateway")
	if err != nil {
		t.Fatal(err)
	}
	first := served(t, s, files)
	if _, err := s.authority.Issue("consent"); err != nil {
		t.Fatal(err)
	}
	second := served(t, s, files)
	if first == second {
		t.Error("after a renewal the old certificate is still served")
	}
	own := server.In(s.dir, "consent")
	if err := os.WriteFile(own.Certificate, []byte("half of a cert"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := served(t, s, files); got != second {
		t.Errorf("while a renewal is half written another certificate is served: %s, want %s", got, second)
	}
	if err := os.Remove(own.Certificate); err != nil {
		t.Fatal(err)
	}
	if got := served(t, s, files); got != second {
		t.Errorf("without a file another certificate is served: %s", got)
	}
}

func TestTLSFilesAreCheckedAtStart(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(f server.TLSFiles) error{
		"no certificate":             func(f server.TLSFiles) error { return os.Remove(f.Certificate) },
		"no key":                     func(f server.TLSFiles) error { return os.Remove(f.Key) },
		"no authority":               func(f server.TLSFiles) error { return os.Remove(f.Authority) },
		"an authority that is none":  func(f server.TLSFiles) error { return os.WriteFile(f.Authority, []byte("x"), 0o600) },
		"a key that others can read": func(f server.TLSFiles) error { return os.Chmod(f.Key, 0o644) },
		"the key of another": func(f server.TLSFiles) error {
			raw, err := os.ReadFile(filepath.Join(filepath.Dir(f.Key), "audit.key"))
			if err != nil {
				return err
			}
			return os.WriteFile(f.Key, raw, 0o600)
		},
	} {
		dir := t.TempDir()
		authority, err := server.NewAuthority(dir, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := authority.Issue("audit"); err != nil {
			t.Fatal(err)
		}
		files, err := authority.Issue("consent")
		if err != nil {
			t.Fatal(err)
		}
		if files != server.In(dir, "consent") {
			t.Errorf("Issue names %+v", files)
		}
		if err := spoil(files); err != nil {
			t.Fatal(err)
		}
		if _, err := files.ServerTLS(); err == nil {
			t.Errorf("%s: a server starts", name)
		}
		if _, err := files.ClientTLS("audit"); err == nil {
			t.Errorf("%s: a client starts", name)
		}
	}
}

// TestEmbeddedCertificates: names, purposes and modes of what the authority makes.
func TestEmbeddedCertificates(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "tls")
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	authority, err := server.NewAuthority(dir, now)
	if err != nil {
		t.Fatal(err)
	}
	files, err := authority.Issue("erasure")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(files.Certificate, files.Key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	if leaf.IsCA || strings.Join(leaf.DNSNames, ",") != "erasure.privacyops.internal" || leaf.NotBefore.After(now) || leaf.NotAfter.Before(now.Add(300*24*time.Hour)) {
		t.Errorf("certificate: CA %v, names %v, from %v to %v", leaf.IsCA, leaf.DNSNames, leaf.NotBefore, leaf.NotAfter)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 {
		t.Fatalf("files: %v, %v; the authority's key must be nowhere", entries, err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", e.Name(), info.Mode(), err)
		}
	}
}
