package certificate

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// algEd25519 is the algorithm byte before an Ed25519 key in the C2SP signed-note key encoding.
const algEd25519 = 1

var errKey = errors.New("certificate key: not of the form PRIVATE+KEY+name+hash+base64 with an Ed25519 key")

// Signer holds a certificate key. Its secret half has no way out: it cannot be printed, logged or encoded.
type Signer struct {
	signer note.Signer
	key    string
}

// NewSigner makes a Signer of an Ed25519 key. The name says whose key it is ("privacyops.example/certificates"); it must
// have no space and no plus sign.
func NewSigner(name string, key ed25519.PrivateKey) (*Signer, error) {
	if len(key) != ed25519.PrivateKeySize {
		return nil, errKey
	}
	vkey, err := note.NewEd25519VerifierKey(name, key.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, errKey
	}
	secret := base64.StdEncoding.EncodeToString(append([]byte{algEd25519}, key.Seed()...))
	hash, _, _ := strings.Cut(strings.TrimPrefix(vkey, name+"+"), "+")
	return newSigner("PRIVATE+KEY+"+name+"+"+hash+"+"+secret, vkey)
}

// ParseSigner reads the content of a key file: one line "PRIVATE+KEY+name+hash+base64", as [note.GenerateKey] writes it.
// The error never quotes the key.
func ParseSigner(skey string) (*Signer, error) {
	skey = strings.TrimSpace(skey)
	parts := strings.SplitN(skey, "+", 5)
	if len(parts) != 5 {
		return nil, errKey
	}
	raw, err := base64.StdEncoding.DecodeString(parts[4])
	if err != nil || len(raw) != 1+ed25519.SeedSize || raw[0] != algEd25519 {
		return nil, errKey
	}
	public := ed25519.NewKeyFromSeed(raw[1:]).Public().(ed25519.PublicKey)
	vkey, err := note.NewEd25519VerifierKey(parts[2], public)
	if err != nil {
		return nil, errKey
	}
	return newSigner(skey, vkey)
}

func newSigner(skey, vkey string) (*Signer, error) {
	s, err := note.NewSigner(skey)
	if err != nil {
		return nil, errKey
	}
	return &Signer{signer: s, key: vkey}, nil
}

// VerifierKey returns the public half in the form "name+hash+base64", to be published and pinned.
func (s *Signer) VerifierKey() string { return s.key }

// verifier reads a verifier key and refuses any spelling of it but the usual one: note.NewVerifier also accepts an upper-case hash.
func verifier(vkey string) (note.Verifier, error) {
	v, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, err
	}
	_, encoded, _ := strings.Cut(strings.TrimPrefix(vkey, v.Name()+"+"), "+")
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(raw) != 1+ed25519.PublicKeySize || raw[0] != algEd25519 {
		return nil, errors.New("not an Ed25519 verifier key")
	}
	usual, err := note.NewEd25519VerifierKey(v.Name(), raw[1:])
	if err != nil || usual != vkey {
		return nil, errors.New("verifier key in an unusual spelling")
	}
	return v, nil
}
