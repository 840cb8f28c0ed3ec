// Package packaging writes the packages of exports: ZIP files that are encrypted (age) before their first byte reaches the disk.
//
// # Layout of a package
//
//	data/<system>/<dataset>.json   an array of the records, as the system handed them over
//	data/<system>/<dataset>.csv    the same as a table (see [csvWriter] for what makes it safe to open)
//	README.html                    for people
//	manifest.json                  [export.Manifest]: what is in the package and what is not, with the SHA-256 of each file
//	manifest.sig                   a signed note over the SHA-256 of manifest.json
//
// # Memory and disk
//
// Nothing is held in memory that grows with the data. A system's records are spooled until the system has said that they are
// complete, so that half an answer never gets into a package; the spool is encrypted under a key that only memory knows, and
// its file has no name. The package itself is encrypted to the recipient, or to a fresh key that the caller seals.
//
// # Durability
//
// A package is written under a temporary name, synced, renamed, and its folder synced. A name is either a whole package or
// nothing.
package packaging

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"filippo.io/age"
	"golang.org/x/mod/sumdb/note"

	"github.com/privacyops/privacyops/services/export/internal/export"
)

// The content types of packages.
const (
	ZIP = "application/zip"
	Age = "application/age"
)

const (
	extension = ".age"
	partial   = ".part"
)

var fileName = regexp.MustCompile(`^[0-9a-f-]{36}$`)

// Folder holds packages in a folder of the file system. It implements export.Packages and is safe for concurrent use.
type Folder struct {
	dir    string
	signer note.Signer
}

var _ export.Packages = (*Folder)(nil)

// Open makes the folder `exports` in dir where it is missing. signingKey is a note signer key (`PRIVATE+KEY+name+hash+key`).
func Open(dir, signingKey string) (*Folder, error) {
	if dir == "" {
		return nil, errors.New("packaging: no folder for packages is configured")
	}
	signer, err := note.NewSigner(signingKey)
	if err != nil {
		return nil, errors.New("packaging: the signing key is not a note signer key")
	}
	f := &Folder{dir: filepath.Join(dir, "exports"), signer: signer}
	if err := os.MkdirAll(f.dir, 0o700); err != nil {
		return nil, fmt.Errorf("packaging: make the folder: %w", err)
	}
	return f, nil
}

// ValidRecipient reports whether a package can be encrypted to key: an age recipient, X25519 or hybrid.
func ValidRecipient(key string) bool {
	_, err := recipient(key)
	return err == nil
}

func recipient(key string) (age.Recipient, error) {
	if strings.HasPrefix(key, "age1pq1") {
		return age.ParseHybridRecipient(key)
	}
	return age.ParseX25519Recipient(key)
}

func (f *Folder) path(file export.FileID) (string, error) {
	if !fileName.MatchString(string(file)) {
		return "", errors.New("packaging: the name of a file is a UUID")
	}
	return filepath.Join(f.dir, string(file)+extension), nil
}

// Create begins a package; see export.Packages.
func (f *Folder) Create(ctx context.Context, file export.FileID, to string, now time.Time) (export.Draft, error) {
	path, err := f.path(file)
	if err != nil {
		return nil, err
	}
	key, secret := age.Recipient(nil), ""
	if to != "" {
		key, err = recipient(to)
	} else {
		var identity *age.X25519Identity
		if identity, err = age.GenerateX25519Identity(); err == nil {
			key, secret = identity.Recipient(), identity.String()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("packaging: key: %w", err)
	}
	return newDraft(ctx, f, path, file, key, secret, now)
}

// Remove deletes a package; see export.Packages.
func (f *Folder) Remove(_ context.Context, file export.FileID) error {
	path, err := f.path(file)
	if err != nil {
		return err
	}
	for _, p := range []string{path + partial, path} {
		if err := os.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("packaging: remove: %w", err)
		}
	}
	return nil
}

// List names every file that the folder holds whole or in part.
func (f *Folder) List() ([]export.FileID, error) {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return nil, fmt.Errorf("packaging: list: %w", err)
	}
	var out []export.FileID
	for _, e := range entries {
		name := strings.TrimSuffix(strings.TrimSuffix(e.Name(), partial), extension)
		if fileName.MatchString(name) {
			out = append(out, export.FileID(name))
		}
	}
	return out, nil
}

// Reader reads a package as it is fetched, at any place.
type Reader struct {
	io.ReaderAt
	size int64
	file *os.File
}

// Size is the size of the package as it is fetched.
func (r *Reader) Size() int64 { return r.size }

// Close ends reading.
func (r *Reader) Close() error { return r.file.Close() }

// Read opens a package. With the secret that Finish gave it is decrypted on the way out, and altered bytes are errors; without
// one it is given as it is, for the recipient to open.
func (f *Folder) Read(file export.FileID, secret string) (*Reader, error) {
	path, err := f.path(file)
	if err != nil {
		return nil, err
	}
	r, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("packaging: open: %w", err)
	}
	out, err := reader(r, secret)
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return out, nil
}

func reader(file *os.File, secret string) (*Reader, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("packaging: open: %w", err)
	}
	if secret == "" {
		return &Reader{ReaderAt: file, size: info.Size(), file: file}, nil
	}
	identity, err := age.ParseX25519Identity(secret)
	if err != nil {
		return nil, errors.New("packaging: the secret of a package is damaged")
	}
	plain, size, err := age.DecryptReaderAt(file, info.Size(), identity)
	if err != nil {
		return nil, errors.New("packaging: a package does not open: it was altered or is not whole")
	}
	return &Reader{ReaderAt: plain, size: size, file: file}, nil
}
