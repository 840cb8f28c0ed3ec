package tlog

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/transparency-dev/tessera/client"
	"golang.org/x/mod/sumdb/note"

	"github.com/privacyops/privacyops/libs/logkey"
)

// ErrSealed reports that a log takes no more leaves.
var ErrSealed = errors.New("tlog: the log is sealed")

// Sealed opens a log that is never written again, and checks what it finds: its checkpoint covers all that it holds. Nothing is
// written, and no lock taken. Appending to it fails with ErrSealed.
func Sealed(ctx context.Context, dir string, key Key) (*Log, error) {
	l := &Log{key: key, storage: &posixStorage{dir: dir}, reader: sealedReader{client.FileFetcher{Root: dir}, key}}
	if _, err := l.Head(ctx); err != nil {
		return nil, fmt.Errorf("%w: the checkpoint of a sealed log: %w", ErrTampered, err)
	}
	return l, l.check(ctx)
}

// Lock takes a folder for this process by a file in it. The lock goes with the process, however it ends.
func Lock(dir, name string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("tlog: making the folder: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("tlog: locking the folder: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("%w: %w", ErrInUse, err)
	}
	return f, nil
}

// sealedReader reads the files of a log that nobody writes.
type sealedReader struct {
	client.FileFetcher
	key Key
}

var _ reader = sealedReader{}

// IntegratedSize is what the checkpoint says.
func (r sealedReader) IntegratedSize(ctx context.Context) (uint64, error) {
	raw, err := r.ReadCheckpoint(ctx)
	if err != nil {
		return 0, err
	}
	head, err := parseHead(raw, r.key)
	return head.Size, err
}

// End is the same.
func (r sealedReader) End(ctx context.Context) (uint64, error) { return r.IntegratedSize(ctx) }

// Shard gives the key of the shard of a year: the same Ed25519 key under the shard's own name. The year 0 is the log's own.
func (k Key) Shard(year int) (Key, error) {
	if year == 0 {
		return k, nil
	}
	origin := logkey.Origin(k.Signer.Name(), year)
	public := ed25519.NewKeyFromSeed(k.seed).Public().(ed25519.PublicKey)
	const ed25519Type = 1 // the algorithm's number in a signed note
	secret := fmt.Sprintf("PRIVATE+KEY+%s+%08x+%s", origin, logkey.Hash(origin, append([]byte{ed25519Type}, public...)),
		base64.StdEncoding.EncodeToString(append([]byte{ed25519Type}, k.seed...)))
	return keyOf(secret)
}

// SignText signs a text, whose last character is a newline, as a note.
func SignText(key Key, text string) ([]byte, error) {
	return note.Sign(&note.Note{Text: text}, key.Signer)
}

// keyOf reads a secret key of a signed note.
func keyOf(secret string) (Key, error) {
	signer, err := note.NewSigner(secret)
	if err != nil {
		return Key{}, errNoKey // the cause might repeat the secret
	}
	seed, err := seedOf(secret)
	if err != nil {
		return Key{}, err
	}
	public, err := note.NewEd25519VerifierKey(signer.Name(), ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey))
	if err != nil {
		return Key{}, errNoKey
	}
	verifier, err := note.NewVerifier(public)
	if err != nil || verifier.KeyHash() != signer.KeyHash() {
		return Key{}, errNoKey
	}
	return Key{Signer: signer, Verifier: verifier, Public: public, seed: seed}, nil
}

// seedOf gives the seed of a secret `PRIVATE+KEY+<name>+<hash>+<base64 of an algorithm's number and a seed>`, which
// note.NewSigner has found to be right.
func seedOf(secret string) ([]byte, error) {
	parts := strings.SplitN(secret, "+", 5)
	if len(parts) != 5 {
		return nil, errNoKey
	}
	raw, err := base64.StdEncoding.DecodeString(parts[4])
	if err != nil || len(raw) != 1+ed25519.SeedSize {
		return nil, errors.New("tlog: the key file holds no Ed25519 key")
	}
	return raw[1:], nil
}

var errNoKey = errors.New("tlog: the key file holds no signing key of a note")
