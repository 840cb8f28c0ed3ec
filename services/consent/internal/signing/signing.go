// Package signing signs what the consent service says, so that others can verify it offline: decisions and receipts.
//
// # Keys
//
// Signing keys are derived from the installation's keyring and have numbers. All replicas so have the same keys without another
// secret to hand out, and a key lives exactly as long as the keyring: there is no second file that could be lost or leak.
//
// The settings name the numbers. The first one signs; the others are published too, so that what they sign, or have signed, verifies.
// A key is changed in two steps, so that no partner meets a signature before its key: from `1` to `1,2`, and when partners have
// read the keys again, to `2,1`. What has left the list no longer verifies anywhere. Receipts are kept for years, so an old key leaves
// only when it has to: where it may be known to others.
//
// # Form
//
// Signatures are JWS (RFC 7515) with Ed25519, `alg` "EdDSA" (RFC 8037). It was chosen over ES256 because a JWS carries its
// signature as it is: openssl and node verify it without rewriting it to DER first. It is also deterministic, so replicas sign alike
// and no random number can go wrong. `kid` is the key's thumbprint (RFC 7638). Every signature has a `typ`, so that one kind of
// document cannot be passed off as another.
package signing

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"

	"github.com/privacyops/privacyops/libs/keyring"
)

// FirstKey is the number of the key of an installation that has never changed it.
const FirstKey = 1

// Signer signs with the newest key and publishes all. It is safe for concurrent use.
type Signer struct {
	key jwk.Key
	set []byte
}

// New makes a signer whose keys have the numbers; the first one signs. Without numbers it has [FirstKey] alone. Numbers are positive
// and each stands once.
func New(ring *keyring.Keyring, numbers []int) (*Signer, error) {
	if len(numbers) == 0 {
		numbers = []int{FirstKey}
	}
	s, set := &Signer{}, jwk.NewSet()
	for i, n := range numbers {
		if n < FirstKey || slices.Contains(numbers[:i], n) {
			return nil, errors.New("signing: the numbers of keys are positive, and each stands once")
		}
		key, err := derive(ring, n)
		if err != nil {
			return nil, err
		}
		public, err := key.PublicKey()
		if err != nil {
			return nil, fmt.Errorf("signing: public key: %w", err)
		}
		if err := set.AddKey(public); err != nil {
			return nil, fmt.Errorf("signing: public key: %w", err)
		}
		if i == 0 {
			s.key = key
		}
	}
	var err error
	s.set, err = json.Marshal(set)
	return s, err
}

func derive(ring *keyring.Keyring, number int) (jwk.Key, error) {
	seed := ring.Derive("consent/signing/" + strconv.Itoa(number))
	key, err := jwk.Import(ed25519.NewKeyFromSeed(seed))
	if err != nil {
		return nil, fmt.Errorf("signing: key: %w", err)
	}
	err = errors.Join(key.Set(jwk.AlgorithmKey, jwa.EdDSA()), key.Set(jwk.KeyUsageKey, jwk.ForSignature), jwk.AssignKeyID(key))
	return key, err
}

// KeySet is the public keys as a JSON Web Key Set (RFC 7517).
func (s *Signer) KeySet() []byte { return slices.Clone(s.set) }

// Sign gives a JWS of a payload in compact form.
func (s *Signer) Sign(typ string, payload []byte) (string, error) {
	return s.sign(typ, payload)
}

// SignDetached gives a JWS of a payload that is not in it: compact form with an empty middle part (RFC 7515 appendix F).
func (s *Signer) SignDetached(typ string, payload []byte) (string, error) {
	return s.sign(typ, nil, jws.WithDetachedPayload(payload))
}

func (s *Signer) sign(typ string, payload []byte, more ...jws.SignOption) (string, error) {
	headers := jws.NewHeaders()
	if err := headers.Set(jws.TypeKey, typ); err != nil {
		return "", fmt.Errorf("signing: header: %w", err)
	}
	signed, err := jws.Sign(payload, append(more, jws.WithKey(jwa.EdDSA(), s.key, jws.WithProtectedHeaders(headers)))...)
	if err != nil {
		return "", fmt.Errorf("signing: %w", err)
	}
	return string(signed), nil
}
