package tlog

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/privacyops/privacyops/libs/keyring"
)

// Key signs the checkpoints of a log.
type Key struct {
	// Signer makes the signatures; its name is the log's origin.
	Signer note.Signer
	// Verifier checks them.
	Verifier note.Verifier
	// Public is the verifier's key in the text form of signed notes, which readers of the log are given.
	Public string
}

// CreateKey makes a key (Ed25519) for a log of the given origin, for example "audit.example.org/log", and writes its secret
// to file, readable by the owner only, and its public part to file + ".pub". A key that is in the file already is kept, and
// returned if it is of that origin.
func CreateKey(random io.Reader, file, origin string) (Key, error) {
	secret, _, err := note.GenerateKey(random, origin)
	if err != nil {
		return Key{}, fmt.Errorf("tlog: making a key: %w", err)
	}
	if err := keyring.WriteSecret(file, secret); err != nil {
		return Key{}, err
	}
	key, err := ReadKey(file, origin)
	if err != nil {
		return Key{}, err
	}
	if err := os.WriteFile(file+".pub", []byte(key.Public+"\n"), 0o644); err != nil { //nolint:gosec // it is public
		return Key{}, fmt.Errorf("tlog: writing the public key: %w", err)
	}
	return key, nil
}

// ReadKey reads the key of a log of the given origin. It refuses a secret that others than its owner can read, and one of
// another origin. Without a file the error is fs.ErrNotExist.
func ReadKey(file, origin string) (Key, error) {
	secret, err := keyring.ReadSecret(file)
	if err != nil {
		return Key{}, err
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		return Key{}, errors.New("tlog: the key file holds no signing key of a note") // the cause might repeat the secret
	}
	if signer.Name() != origin {
		return Key{}, fmt.Errorf("tlog: the key is for the log %q, not for %q", signer.Name(), origin)
	}
	public, err := publicKey(secret)
	if err != nil {
		return Key{}, err
	}
	verifier, err := note.NewVerifier(public)
	if err != nil || verifier.KeyHash() != signer.KeyHash() {
		return Key{}, errors.New("tlog: the key file holds no signing key of a note")
	}
	return Key{Signer: signer, Verifier: verifier, Public: public}, nil
}

// publicKey computes the public form of a secret `PRIVATE+KEY+<name>+<hash>+<base64 of an algorithm's number and a seed>`,
// which note.NewSigner has found to be right.
func publicKey(secret string) (string, error) {
	parts := strings.SplitN(secret, "+", 5)
	if len(parts) != 5 {
		return "", errors.New("tlog: the key file holds no signing key of a note")
	}
	raw, err := base64.StdEncoding.DecodeString(parts[4])
	if err != nil || len(raw) != 1+ed25519.SeedSize {
		return "", errors.New("tlog: the key file holds no Ed25519 key")
	}
	public := ed25519.NewKeyFromSeed(raw[1:]).Public().(ed25519.PublicKey)
	return note.NewEd25519VerifierKey(parts[2], public)
}
