package witness

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	cosignature "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"github.com/privacyops/privacyops/libs/keyring"
)

// Key makes a witness's cosignatures: cosignature/v1 (Ed25519, with a timestamp).
type Key struct {
	signer *cosignature.Signer
	// Public is the verifier key that logs and readers are given, `<name>+<hash>+<key>`, of type 4.
	Public string
}

// Name is the witness's name.
func (k Key) Name() string { return k.signer.Name() }

// OpenKey reads the key of the witness of a name, or makes it where there is no file: the secret into file, readable by the owner only,
// the public key into file + ".pub". It refuses a file that others can read, and the key of another witness.
func OpenKey(random io.Reader, file, name string) (Key, error) {
	secret, err := keyring.ReadSecret(file)
	if errors.Is(err, fs.ErrNotExist) {
		return createKey(random, file, name)
	}
	if err != nil {
		return Key{}, err
	}
	return keyOf(secret, name)
}

func createKey(random io.Reader, file, name string) (Key, error) {
	secret, _, err := note.GenerateKey(random, name)
	if err != nil {
		return Key{}, fmt.Errorf("witness: making a key: %w", err)
	}
	if err := keyring.WriteSecret(file, secret); err != nil {
		return Key{}, err
	}
	key, err := keyOf(secret, name)
	if err != nil {
		return Key{}, err
	}
	if err := os.WriteFile(file+".pub", []byte(key.Public+"\n"), 0o644); err != nil { //nolint:gosec // it is public
		return Key{}, fmt.Errorf("witness: writing the public key: %w", err)
	}
	return key, nil
}

var errKey = errors.New("witness: the key file holds no Ed25519 key of a signed note") // the cause might repeat the secret

func keyOf(secret, name string) (Key, error) {
	signer, err := cosignature.NewSignerForCosignatureV1(secret)
	if err != nil {
		return Key{}, errKey
	}
	if signer.Name() != name {
		return Key{}, fmt.Errorf("witness: the key is that of %q, not of %q", signer.Name(), name)
	}
	parts := strings.SplitN(secret, "+", 5)
	if len(parts) != 5 {
		return Key{}, errKey
	}
	raw, err := base64.StdEncoding.DecodeString(parts[4])
	if err != nil || len(raw) != 1+ed25519.SeedSize {
		return Key{}, errKey
	}
	plain, err := note.NewEd25519VerifierKey(name, ed25519.NewKeyFromSeed(raw[1:]).Public().(ed25519.PublicKey))
	if err != nil {
		return Key{}, errKey
	}
	public, err := cosignature.VKeyToCosignatureV1(plain)
	if err != nil {
		return Key{}, errKey
	}
	return Key{signer: signer, Public: public}, nil
}
