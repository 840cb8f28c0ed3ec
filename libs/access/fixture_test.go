package access_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/keyring"
)

const (
	issuerName = "https://login.example"
	audience   = "privacyops"
)

// now is a whole second, as times in tokens are.
var now = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

// object is a JSON object.
type object = map[string]any

// idp is an identity provider written on the standard library alone: what it signs is not made by what verifies it.
type idp struct {
	ed    ed25519.PrivateKey
	ec    *ecdsa.PrivateKey
	rsa   *rsa.PrivateKey
	rsaDE []byte // the public RSA key as bytes, for the confusion of algorithms
}

func newIDP(tb testing.TB) *idp {
	tb.Helper()
	_, ed, err := ed25519.GenerateKey(nil)
	if err != nil {
		tb.Fatal(err)
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		tb.Fatal(err)
	}
	return &idp{ed: ed, ec: ec, rsa: r, rsaDE: r.N.Bytes()}
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// edKey is the public Ed25519 key as a JWK.
func (p *idp) edKey(id string) object {
	return object{"kty": "OKP", "crv": "Ed25519", "kid": id, "alg": "EdDSA", "use": "sig", "x": b64(p.ed.Public().(ed25519.PublicKey))}
}

func (p *idp) ecKey(id string) object {
	point, err := p.ec.PublicKey.Bytes() // 4, x, y
	if err != nil {
		panic(err)
	}
	return object{"kty": "EC", "crv": "P-256", "kid": id, "alg": "ES256", "x": b64(point[1:33]), "y": b64(point[33:])}
}

func (p *idp) rsaKey(id string) object {
	return object{"kty": "RSA", "kid": id, "alg": "RS256", "n": b64(p.rsa.N.Bytes()), "e": b64(big.NewInt(int64(p.rsa.E)).Bytes())}
}

// keySet is a JWKS document.
func keySet(keys ...object) []byte {
	text, err := json.Marshal(object{"keys": keys})
	if err != nil {
		panic(err)
	}
	return text
}

// with is a copy of o with other members; nil takes one away.
func with(o, other object) object {
	out := maps.Clone(o)
	for k, v := range other {
		if v == nil {
			delete(out, k)
			continue
		}
		out[k] = v
	}
	return out
}

// signWith makes a token of whatever header and claims, signed as alg says.
func (p *idp) signWith(tb testing.TB, alg string, header, claims object) string {
	tb.Helper()
	h, err := json.Marshal(header)
	if err != nil {
		tb.Fatal(err)
	}
	c, err := json.Marshal(claims)
	if err != nil {
		tb.Fatal(err)
	}
	input := b64(h) + "." + b64(c)
	digest := sha256.Sum256([]byte(input))
	var sig []byte
	switch alg {
	case "EdDSA":
		sig = ed25519.Sign(p.ed, []byte(input))
	case "ES256":
		r, s, serr := ecdsa.Sign(rand.Reader, p.ec, digest[:])
		sig, err = append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...), serr
	case "RS256":
		sig, err = rsa.SignPKCS1v15(rand.Reader, p.rsa, crypto.SHA256, digest[:])
	case "HS256":
		mac := hmac.New(sha256.New, p.rsaDE)
		mac.Write([]byte(input))
		sig = mac.Sum(nil)
	case "none":
	default:
		tb.Fatalf("the test issuer does not sign with %s", alg)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return input + "." + b64(sig)
}

// header and claims of a token that is right.
func header() object { return object{"alg": "EdDSA", "kid": "ed", "typ": "JWT"} }

func claims() object {
	return object{"iss": issuerName, "aud": audience, "sub": "anna", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		"roles": []string{"dpo"}, "controllers": []string{"north-school"}}
}

func newKeyring(tb testing.TB) *keyring.Keyring {
	tb.Helper()
	k, err := keyring.New(make([]byte, keyring.KeySize))
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

// newVerifier verifies tokens of the issuer's three keys, as files have them.
func newVerifier(tb testing.TB, p *idp) *access.Verifier {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "keys.json")
	if err := os.WriteFile(path, keySet(p.edKey("ed"), p.ecKey("ec"), p.rsaKey("rsa")), 0o600); err != nil {
		tb.Fatal(err)
	}
	keys, err := access.NewFileKeys(path)
	if err != nil {
		tb.Fatal(err)
	}
	return verifierOf(tb, keys)
}

func verifierOf(tb testing.TB, keys access.KeySource) *access.Verifier {
	tb.Helper()
	return verifierBy(tb, keys, clock.NewFake(now))
}

func verifierBy(tb testing.TB, keys access.KeySource, c clock.Clock) *access.Verifier {
	tb.Helper()
	v, err := access.NewVerifier(access.VerifierConfig{Issuer: issuerName, Audience: audience, Keys: keys,
		Keyring: newKeyring(tb), Clock: c})
	if err != nil {
		tb.Fatal(err)
	}
	return v
}
