// Package keyring holds the suite's secret and everything that is derived from or wrapped by it.
//
// One master key, from a secret file ([OpenSecret]) that all services of an installation read, gives:
//
//   - pseudonyms: inside the suite a person is HMAC(controller's key, type, NFC(value)), so that the same identifier under
//     two controllers has nothing in common, and nobody without the key can try values out;
//   - keys for what only the suite must be able to make (page tokens, consistency tokens);
//   - envelopes: a running export or erasure keeps the identifiers it needs encrypted under a random key of its own, which is
//     stored wrapped and is destroyed with the request. What is left is noise, in every backup too.
package keyring

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"golang.org/x/text/unicode/norm"
)

// KeySize is the length of the master key and of every key made here, in bytes.
const KeySize = 32

// Keyring derives and wraps keys. It is safe for concurrent use.
type Keyring struct {
	master            [KeySize]byte
	subjects, digests macs
}

// New makes a keyring of a master key of [KeySize] bytes.
func New(master []byte) (*Keyring, error) {
	if len(master) != KeySize {
		return nil, fmt.Errorf("keyring: the master key has %d bytes, it needs %d", len(master), KeySize)
	}
	k := &Keyring{}
	copy(k.master[:], master)
	return k, nil
}

// Open reads the master key from a secret file: base64 of 32 bytes.
func Open(path string) (*Keyring, error) {
	text, err := ReadSecret(path)
	if err != nil {
		return nil, err
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("keyring: %s is not base64 of a master key", path)
	}
	return New(raw)
}

// OpenOrCreate is [Open]; where there is no file yet, one with a new random key is made first.
func OpenOrCreate(path string) (*Keyring, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		raw := make([]byte, KeySize)
		_, _ = rand.Read(raw) // crypto/rand.Read never fails
		if err := WriteSecret(path, base64.StdEncoding.EncodeToString(raw)); err != nil {
			return nil, err
		}
	}
	return Open(path)
}

// Derive gives the key for one purpose. The same purpose gives the same key; keys of two purposes have nothing in common.
func (k *Keyring) Derive(purpose string) []byte {
	key, err := hkdf.Key(sha256.New, k.master[:], nil, "privacyops/v1/"+purpose, KeySize)
	if err != nil { // only for lengths that HKDF cannot give
		panic("keyring: derive: " + err.Error())
	}
	return key
}

// Subject gives the pseudonym of a person by one identifier, under one controller: `sub_` and 40 hex digits.
// The value is normalised (NFC), so that the two ways to write å are one person.
func (k *Keyring) Subject(controller, identifierType, value string) string {
	return "sub_" + k.subjects.of(controller, func() []byte { return k.Derive("subject/" + controller) }).sum(identifierType, norm.NFC.String(value))
}

// Actor gives the reference of the holder of a token: `usr_` and 40 hex digits. A token's subject may be an address or a
// name, so it is not kept as it is; one person has one reference, whichever token or role they come with.
func (k *Keyring) Actor(issuer, subject string) string {
	return "usr_" + mac(k.Derive("actor"), issuer, norm.NFC.String(subject))
}

// Digest gives a keyed hash of the parts, for comparing what must not be kept.
func (k *Keyring) Digest(purpose string, parts ...string) string {
	return k.digests.of(purpose, func() []byte { return k.Derive("digest/" + purpose) }).sum(parts...)
}

// Envelope encrypts under a key of its own.
type Envelope struct {
	aead    *subtle.XChaCha20Poly1305
	context []byte
}

// NewEnvelope makes an envelope with a new random key for one resource. Wrapped is that key, encrypted by the keyring and
// bound to the resource: store it, and destroy it to destroy everything the envelope ever sealed.
func (k *Keyring) NewEnvelope(resource string) (env *Envelope, wrapped []byte, err error) {
	key := make([]byte, KeySize)
	_, _ = rand.Read(key)
	wrap, err := subtle.NewXChaCha20Poly1305(k.Derive("envelope"))
	if err != nil {
		return nil, nil, fmt.Errorf("keyring: envelope: %w", err)
	}
	wrapped, err = wrap.Encrypt(key, []byte(resource))
	if err != nil {
		return nil, nil, fmt.Errorf("keyring: wrap: %w", err)
	}
	env, err = newEnvelope(key, resource)
	return env, wrapped, err
}

// OpenEnvelope makes the envelope of a wrapped key again. It fails for another resource's key, and for a destroyed one.
func (k *Keyring) OpenEnvelope(resource string, wrapped []byte) (*Envelope, error) {
	if len(wrapped) == 0 {
		return nil, errors.New("keyring: the envelope's key was destroyed")
	}
	wrap, err := subtle.NewXChaCha20Poly1305(k.Derive("envelope"))
	if err != nil {
		return nil, fmt.Errorf("keyring: envelope: %w", err)
	}
	key, err := wrap.Decrypt(wrapped, []byte(resource))
	if err != nil {
		return nil, errors.New("keyring: the envelope's key does not open: it was altered, or belongs to another resource or master key")
	}
	return newEnvelope(key, resource)
}

func newEnvelope(key []byte, resource string) (*Envelope, error) {
	a, err := subtle.NewXChaCha20Poly1305(key)
	if err != nil {
		return nil, fmt.Errorf("keyring: envelope: %w", err)
	}
	return &Envelope{aead: a, context: []byte(resource)}, nil
}

// Seal encrypts.
func (e *Envelope) Seal(plain []byte) ([]byte, error) { return e.aead.Encrypt(plain, e.context) }

// Open decrypts what Seal made. The error says nothing of the content.
func (e *Envelope) Open(sealed []byte) ([]byte, error) {
	plain, err := e.aead.Decrypt(sealed, e.context)
	if err != nil {
		return nil, errors.New("keyring: sealed data does not open: it was altered or belongs elsewhere")
	}
	return plain, nil
}
