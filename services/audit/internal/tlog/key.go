package tlog

import (
	"fmt"
	"io"
	"os"

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

	seed []byte
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
	key, err := keyOf(secret)
	if err != nil {
		return Key{}, err
	}
	if name := key.Signer.Name(); name != origin {
		return Key{}, fmt.Errorf("tlog: the key is for the log %q, not for %q", name, origin)
	}
	return key, nil
}
