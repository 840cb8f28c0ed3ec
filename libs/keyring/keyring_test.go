package keyring_test

import (
	"bytes"
	"errors"
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
}

// TestWhoMayReadASecret: its owner alone; or a group that root lets read it, as Kubernetes and systemd hand secrets out.
func TestWhoMayReadASecret(t *testing.T) {
	t.Parallel()
	const nobody = 65534
	for _, tc := range []struct {
		mode    os.FileMode
		others  bool // accepted where another than root owns the file
		ofRoots bool // accepted where root does
	}{
		{0o400, true, true}, {0o600, true, true}, {0o700, true, true},
		{0o440, false, true}, {0o640, false, true},
		{0o660, false, false}, {0o620, false, false}, {0o650, false, false},
		{0o644, false, false}, {0o404, false, false}, {0o602, false, false}, {0o601, false, false},
	} {
		owners := map[int]bool{os.Geteuid(): os.Geteuid() == 0 && tc.ofRoots || os.Geteuid() != 0 && tc.others}
		if os.Geteuid() == 0 { // who can also try the other
			owners[nobody] = tc.others
		}
		for owner, want := range owners {
			path := filepath.Join(t.TempDir(), "secret")
			if err := os.WriteFile(path, []byte("hush\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(os.Chown(path, owner, -1), os.Chmod(path, tc.mode)); err != nil {
				t.Fatal(err)
			}
			got, err := keyring.ReadSecret(path)
			if (err == nil) != want || want && got != "hush" {
				t.Errorf("mode %04o, owner %d: %q, %v; accepted must be %t", tc.mode, owner, got, err, want)
			}
		}
	}
}
