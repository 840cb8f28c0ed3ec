package server_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/privacyops/privacyops/libs/server"
)

const day = 24 * time.Hour

// file reads a file of a folder.
func file(t *testing.T, dir, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// TestKeptAuthority: it is the same at the next start, gets a new certificate in good time, and what it has signed before
// stays valid under it.
func TestKeptAuthority(t *testing.T) {
	t.Parallel()
	dir, service := t.TempDir(), t.TempDir()
	now := time.Now()
	open := func(at time.Time) *server.Authority {
		t.Helper()
		a, err := server.OpenAuthority(dir, at)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	open(now)
	key, certificate := file(t, dir, "authority.key"), file(t, dir, "authority.crt")
	before := open(now.Add(2900 * day)) // of 3650
	if _, err := before.IssueTo(service, "postgres", "db.vendor.example"); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(key, file(t, dir, "authority.key")) || !bytes.Equal(certificate, file(t, dir, "authority.crt")) {
		t.Error("the authority changed though there is time left")
	}
	after := open(now.Add(2950 * day))
	renewed := file(t, dir, "authority.crt")
	if !bytes.Equal(key, file(t, dir, "authority.key")) || bytes.Equal(certificate, renewed) {
		t.Error("an authority whose end is near must get a new certificate for the same key")
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(renewed)
	block, _ := pem.Decode(file(t, service, "postgres.crt"))
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"postgres.privacyops.internal", "db.vendor.example"} {
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, CurrentTime: now.Add(3000 * day)}); err != nil {
			t.Errorf("%s, signed before the renewal: %v", name, err)
		}
	}
	if !after.Good(service, "postgres", 30*day, "db.vendor.example") {
		t.Error("what was signed before the renewal is not good any more")
	}
	if err := after.Publish(service); err != nil || !bytes.Equal(renewed, file(t, service, "authority.crt")) {
		t.Errorf("the renewed certificate does not reach who trusts it: %v", err)
	}
}

// TestKeptAuthorityAndItsKey: without its key it is not made a second time; a start that ended half way is finished.
func TestKeptAuthorityAndItsKey(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		spoil func(dir string) error
		ok    bool
	}{
		"the key is lost":            {func(dir string) error { return os.Remove(filepath.Join(dir, "authority.key")) }, false},
		"the key is no key":          {func(dir string) error { return os.WriteFile(filepath.Join(dir, "authority.key"), []byte("x"), 0o600) }, false},
		"everybody reads it":         {func(dir string) error { return os.Chmod(filepath.Join(dir, "authority.key"), 0o644) }, false},
		"a strange certificate":      {func(dir string) error { return errors.Join(os.Remove(filepath.Join(dir, "authority.crt")), other(dir)) }, false},
		"no certificate yet":         {func(dir string) error { return os.Remove(filepath.Join(dir, "authority.crt")) }, true},
		"nothing has happened":       {func(string) error { return nil }, true},
		"a certificate that is bent": {func(dir string) error { return os.WriteFile(filepath.Join(dir, "authority.crt"), []byte("x"), 0o600) }, false},
	} {
		dir := t.TempDir()
		if _, err := server.OpenAuthority(dir, time.Now()); err != nil {
			t.Fatal(err)
		}
		if err := tc.spoil(dir); err != nil {
			t.Fatal(err)
		}
		if _, err := server.OpenAuthority(dir, time.Now()); (err == nil) != tc.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// other puts another authority's certificate into a folder.
func other(dir string) error {
	_, err := server.NewAuthority(dir, time.Now())
	return err
}

// TestGood: which certificates may stay.
func TestGood(t *testing.T) {
	t.Parallel()
	now, dir := time.Now(), t.TempDir()
	a, err := server.OpenAuthority(t.TempDir(), now)
	if err != nil {
		t.Fatal(err)
	}
	if a.Good(dir, "redis", 0) {
		t.Error("a certificate that is not there is good")
	}
	if _, err := a.IssueTo(dir, "redis", "redis.data"); err != nil {
		t.Fatal(err)
	}
	stranger, err := server.OpenAuthority(t.TempDir(), now)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct{ got, want bool }{
		"as it was made":    {a.Good(dir, "redis", 30*day, "redis.data"), true},
		"its end is near":   {a.Good(dir, "redis", 366*day, "redis.data"), false},
		"a name is missing": {a.Good(dir, "redis", 30*day, "redis.data", "redis.other"), false},
		"a name too many":   {a.Good(dir, "redis", 30*day), false},
		"another authority": {stranger.Good(dir, "redis", 30*day, "redis.data"), false},
	} {
		if tc.got != tc.want {
			t.Errorf("%s: %t", name, tc.got)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "redis.key"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if a.Good(dir, "redis", 30*day, "redis.data") {
		t.Error("a certificate without its key is good")
	}
}
