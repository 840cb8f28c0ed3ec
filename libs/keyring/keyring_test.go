package keyring_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"pgregory.net/rapid"

	"github.com/privacyops/privacyops/libs/keyring"
)

func ring(t testing.TB, fill byte) *keyring.Keyring {
	t.Helper()
	k, err := keyring.New(bytes.Repeat([]byte{fill}, keyring.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestSubjectPseudonyms(t *testing.T) {
	t.Parallel()
	k := ring(t, 1)
	base := k.Subject("skole-a", "UNILOGIN", "u000007")
	if !regexp.MustCompile(`^sub_[0-9a-f]{40}$`).MatchString(base) {
		t.Fatalf("odd form: %q", base)
	}
	different := map[string]string{
		"another controller": k.Subject("skole-b", "UNILOGIN", "u000007"),
		"another type":       k.Subject("skole-a", "EMAIL", "u000007"),
		"another value":      k.Subject("skole-a", "UNILOGIN", "u000008"),
		"another master key": ring(t, 2).Subject("skole-a", "UNILOGIN", "u000007"),
	}
	for what, got := range different {
		if got == base {
			t.Errorf("%s gives the same pseudonym", what)
		}
	}
	if k.Subject("skole-a", "UNILOGIN", "a\u030asa") != k.Subject("skole-a", "UNILOGIN", "\u00e5sa") {
		t.Error("the two Unicode forms of å are two people")
	}
}

func TestPartsNeverRunTogether(t *testing.T) {
	t.Parallel()
	k := ring(t, 1)
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.String().Draw(t, "a"), rapid.String().Draw(t, "b")
		c, d := rapid.String().Draw(t, "c"), rapid.String().Draw(t, "d")
		if (a != c || b != d) && k.Digest("x", a, b) == k.Digest("x", c, d) {
			t.Fatalf("(%q,%q) and (%q,%q) have one digest", a, b, c, d)
		}
	})
}

func TestEnvelope(t *testing.T) {
	t.Parallel()
	k := ring(t, 1)
	env, wrapped, err := k.NewEnvelope("controllers/a/erasures/1")
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := env.Seal([]byte("u000007"))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("u000007")) {
		t.Fatal("the plain text is in the sealed one")
	}
	again, err := k.OpenEnvelope("controllers/a/erasures/1", wrapped)
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := again.Open(sealed); err != nil || string(plain) != "u000007" {
		t.Fatalf("got %q, %v", plain, err)
	}
	if _, err := k.OpenEnvelope("controllers/b/erasures/1", wrapped); err == nil {
		t.Error("a wrapped key opens for another resource")
	}
	if _, err := ring(t, 2).OpenEnvelope("controllers/a/erasures/1", wrapped); err == nil {
		t.Error("a wrapped key opens under another master key")
	}
	if _, err := k.OpenEnvelope("controllers/a/erasures/1", nil); err == nil {
		t.Error("a destroyed key opens")
	}
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if _, err := again.Open(bad); err == nil {
			t.Fatalf("an altered byte %d is not noticed", i)
		}
	}
}

func TestSecretFiles(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keys", "master.key")
	first, err := keyring.OpenOrCreate(path)
	if err != nil {
		t.Fatal(err)
	}
	second, err := keyring.OpenOrCreate(path)
	if err != nil {
		t.Fatal(err)
	}
	if first.Digest("x", "y") != second.Digest("x", "y") {
		t.Error("the key changed when it was opened again")
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %04o", info.Mode().Perm())
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := keyring.Open(path); err == nil {
		t.Error("a secret that everybody can read is accepted")
	}
}
