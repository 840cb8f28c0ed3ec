package signing_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/services/consent/internal/signing"
)

func signer(t testing.TB, secret byte, numbers ...int) *signing.Signer {
	t.Helper()
	master := make([]byte, keyring.KeySize)
	master[0] = secret
	ring, err := keyring.New(master)
	if err != nil {
		t.Fatal(err)
	}
	s, err := signing.New(ring, numbers)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func signWith(t testing.TB, s *signing.Signer) string {
	t.Helper()
	out, err := s.Sign("test+jws", []byte("payload"))
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// key is one of a published set.
type key struct{ Kty, Crv, X, Kid, Alg, Use, D string }

func keySet(t testing.TB, s *signing.Signer) []key {
	t.Helper()
	var set struct{ Keys []key }
	if err := json.Unmarshal(s.KeySet(), &set); err != nil {
		t.Fatal(err)
	}
	return set.Keys
}

func TestKeySet(t *testing.T) {
	t.Parallel()
	for _, k := range keySet(t, signer(t, 0, 2, 1)) {
		// RFC 7638: the members that make the key, in the order of their names.
		sum := sha256.Sum256([]byte(`{"crv":"Ed25519","kty":"OKP","x":"` + k.X + `"}`))
		if k.Kid != base64.RawURLEncoding.EncodeToString(sum[:]) || k.Alg != "EdDSA" || k.Use != "sig" || k.Kty != "OKP" || k.D != "" {
			t.Errorf("%+v", k)
		}
	}
}

// TestChangeOfKey goes from one key to the next as the package says.
func TestChangeOfKey(t *testing.T) {
	t.Parallel()
	kid := func(numbers ...int) (signs string, published []string) {
		s := signer(t, 0, numbers...)
		header, err := base64.RawURLEncoding.DecodeString(strings.Split(signWith(t, s), ".")[0])
		var h struct{ Alg, Kid, Typ string }
		if err != nil || json.Unmarshal(header, &h) != nil || h.Alg != "EdDSA" || h.Typ != "test+jws" {
			t.Fatalf("%s: %v", header, err)
		}
		for _, k := range keySet(t, s) {
			published = append(published, k.Kid)
		}
		return h.Kid, published
	}
	first, alone := kid()
	announced, both := kid(1, 2)
	second, changed := kid(2, 1)
	last, left := kid(2)
	if len(alone) != 1 || alone[0] != first || announced != first || len(both) != 2 || second == first || last != second || len(left) != 1 || left[0] != second {
		t.Errorf("%s %v, %s %v, %s %v, %s %v", first, alone, announced, both, second, changed, last, left)
	}
	if len(changed) != 2 || changed[0] != both[1] || changed[1] != both[0] {
		t.Errorf("%v, then %v", both, changed)
	}
}

// Replicas sign alike, installations do not.
func TestWhoseKeys(t *testing.T) {
	t.Parallel()
	if signWith(t, signer(t, 0)) != signWith(t, signer(t, 0, 1)) {
		t.Error("two replicas have different keys")
	}
	if signWith(t, signer(t, 0)) == signWith(t, signer(t, 1)) {
		t.Error("two installations have one key")
	}
}

func TestDetached(t *testing.T) {
	t.Parallel()
	s := signer(t, 0)
	whole := strings.Split(signWith(t, s), ".")
	detached, err := s.SignDetached("test+jws", []byte("payload"))
	if want := whole[0] + ".." + whole[2]; err != nil || detached != want {
		t.Errorf("%s, %v; want %s", detached, err, want)
	}
}

func TestBadNumbers(t *testing.T) {
	t.Parallel()
	ring, err := keyring.New(make([]byte, keyring.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	for _, numbers := range [][]int{{0}, {-1}, {1, 1}, {1, 0}, {2, 1, 2}} {
		if _, err := signing.New(ring, numbers); err == nil {
			t.Errorf("%v: no error", numbers)
		}
	}
}

func BenchmarkSign(b *testing.B) {
	s := signer(b, 0)
	for b.Loop() {
		signWith(b, s)
	}
}
