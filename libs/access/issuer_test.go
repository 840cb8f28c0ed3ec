package access_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/keyring"
	authv1 "github.com/privacyops/privacyops/proto/gen/privacyops/auth/v1"
)

func developmentVerifier(tb testing.TB, dir string) *access.Verifier {
	tb.Helper()
	keys, err := access.NewFileKeys(access.JWKSPath(dir))
	if err != nil {
		tb.Fatal(err)
	}
	v, err := access.NewVerifier(access.VerifierConfig{Issuer: access.DevelopmentIssuer, Audience: access.DevelopmentAudience,
		Keys: keys, Keyring: newKeyring(tb), Clock: clock.NewFake(now)})
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

func TestIssuerKeepsItsKey(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "issuer")
	first, err := access.OpenIssuer(dir)
	if err != nil {
		t.Fatal(err)
	}
	token, err := first.Token(access.Claims{Subject: "dpo@north.example", Roles: []string{"dpo"}, Controllers: []string{"north-school"},
		Issued: now, Expires: now.Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := access.OpenIssuer(dir); err != nil {
		t.Fatalf("opened again: %v", err)
	}
	caller, err := developmentVerifier(t, dir).Verify(t.Context(), token)
	if err != nil {
		t.Fatalf("a token of before is not good any more: %v", err)
	}
	if !caller.Has(authv1.Rule_DPO) || !caller.Reaches("north-school") || caller.Reaches("south-school") {
		t.Errorf("caller = %+v", caller)
	}
	for _, name := range []string{"issuer.key", "issuer.jwks"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: mode %v, error %v; others must not write to it, nor read the key", name, info.Mode(), err)
		}
	}
	key, err := os.ReadFile(filepath.Join(dir, "issuer.key"))
	if err != nil {
		t.Fatal(err)
	}
	public, err := os.ReadFile(access.JWKSPath(dir))
	if err != nil {
		t.Fatal(err)
	}
	if d := []byte(`"d"`); len(key) == 0 || bytes.Contains(public, d) {
		t.Error("the public file holds the private key")
	}
}

func TestIssuerRefusesAKeyThatIsNoSecret(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := access.OpenIssuer(dir); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "issuer.key")
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := access.OpenIssuer(dir); err == nil {
		t.Error("a key that everybody can read is used")
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := keyring.WriteSecret(path, "too short"); err != nil {
		t.Fatal(err)
	}
	if _, err := access.OpenIssuer(dir); err == nil {
		t.Error("a file that is no key is used")
	}
}

// An embedded installation makes tokens itself and verifies them by the key file that it wrote.
func ExampleIssuer() {
	dir, err := os.MkdirTemp("", "issuer")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	issuer, err := access.OpenIssuer(dir)
	if err != nil {
		fmt.Println(err)
		return
	}
	noon := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	token, err := issuer.Token(access.Claims{Subject: "the school's officer", Roles: []string{"dpo"},
		Controllers: []string{"north-school"}, Issued: noon, Expires: noon.Add(8 * time.Hour)})
	if err != nil {
		fmt.Println(err)
		return
	}

	keys, err := access.NewFileKeys(access.JWKSPath(dir))
	if err != nil {
		fmt.Println(err)
		return
	}
	master, err := keyring.New(make([]byte, keyring.KeySize)) // a real one comes from a file
	if err != nil {
		fmt.Println(err)
		return
	}
	verifier, err := access.NewVerifier(access.VerifierConfig{Issuer: access.DevelopmentIssuer, Audience: access.DevelopmentAudience,
		Keys: keys, Keyring: master, Clock: clock.NewFake(noon.Add(time.Hour))})
	if err != nil {
		fmt.Println(err)
		return
	}
	caller, err := verifier.Verify(context.Background(), token)
	fmt.Println(caller.RoleNames(), caller.Reaches("north-school"), caller.Reaches("south-school"), err)
	// Output: [DPO] true false <nil>
}
