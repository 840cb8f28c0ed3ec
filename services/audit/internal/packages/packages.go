// Package packages keeps evidence packages in a folder, encrypted (age) before their first byte reaches the disk: each under a key of
// its own that the folder does not have.
package packages

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"filippo.io/age"

	"github.com/privacyops/privacyops/services/audit/internal/evidence"
)

const (
	extension = ".age"
	partial   = ".part"
	// bufferSize is how much is written to the disk at a time.
	bufferSize = 256 << 10
)

var fileName = regexp.MustCompile(`^[0-9a-f-]{36}$`)

// Folder implements evidence.Folder. It is safe for concurrent use.
type Folder struct{ dir string }

var _ evidence.Folder = (*Folder)(nil)

// Open makes the folder where it is missing.
func Open(dir string) (*Folder, error) {
	if dir == "" {
		return nil, errors.New("packages: no folder is configured")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("packages: make the folder: %w", err)
	}
	return &Folder{dir}, nil
}

func (f *Folder) path(file evidence.FileID) (string, error) {
	if !fileName.MatchString(string(file)) {
		return "", errors.New("packages: the name of a file is a UUID")
	}
	return filepath.Join(f.dir, string(file)+extension), nil
}

// Create begins a file; see evidence.Folder.
func (f *Folder) Create(file evidence.FileID) (evidence.Draft, error) {
	path, err := f.path(file)
	if err != nil {
		return nil, err
	}
	key, err := age.GenerateX25519Identity()
	if err != nil {
		return nil, fmt.Errorf("packages: key: %w", err)
	}
	to, err := os.OpenFile(path+partial, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("packages: create: %w", err)
	}
	d := &draft{path: path, key: key, file: to, buffer: bufio.NewWriterSize(to, bufferSize), hash: sha256.New()}
	if d.sealed, err = age.Encrypt(d.buffer, key.Recipient()); err != nil {
		d.Abort()
		return nil, fmt.Errorf("packages: encrypt: %w", err)
	}
	return d, nil
}

// draft is a file that is being written: hash → age → buffer → file.
type draft struct {
	path   string
	key    *age.X25519Identity
	file   *os.File
	buffer *bufio.Writer
	sealed io.WriteCloser
	hash   hash.Hash
	size   int64
	done   bool
}

// Write adds to the file.
func (d *draft) Write(p []byte) (int, error) {
	n, err := d.sealed.Write(p)
	d.hash.Write(p[:n])
	d.size += int64(n)
	return n, err
}

// Finish ends every layer and makes the file durable under its name: a name is either a whole file or nothing.
func (d *draft) Finish() (sum string, size int64, secret string, err error) {
	for _, step := range []func() error{
		d.sealed.Close, d.buffer.Flush, d.file.Sync, d.file.Close,
		func() error { return os.Rename(d.path+partial, d.path) },
		func() error { return syncDir(filepath.Dir(d.path)) },
	} {
		if err := step(); err != nil {
			return "", 0, "", fmt.Errorf("packages: seal: %w", err)
		}
	}
	d.done = true
	return hex.EncodeToString(d.hash.Sum(nil)), d.size, d.key.String(), nil
}

// Abort deletes what was written.
func (d *draft) Abort() {
	if d.done {
		return
	}
	d.done = true
	// The file may be closed already; what cannot be deleted now is deleted at the next start.
	_ = errors.Join(d.file.Close(), os.Remove(d.path+partial), os.Remove(d.path))
}

func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Remove deletes a file; see evidence.Folder.
func (f *Folder) Remove(file evidence.FileID) error {
	path, err := f.path(file)
	if err != nil {
		return err
	}
	for _, p := range []string{path + partial, path} {
		if err := os.Remove(p); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("packages: remove: %w", err)
		}
	}
	return nil
}

// List names every file that the folder holds whole or in part.
func (f *Folder) List() ([]evidence.FileID, error) {
	entries, err := os.ReadDir(f.dir)
	if err != nil {
		return nil, fmt.Errorf("packages: list: %w", err)
	}
	var out []evidence.FileID
	for _, e := range entries {
		if name := strings.TrimSuffix(strings.TrimSuffix(e.Name(), partial), extension); fileName.MatchString(name) {
			out = append(out, evidence.FileID(name))
		}
	}
	return out, nil
}

// Spool gives a file without a name, which is gone when it is closed, however the process ends.
func (f *Folder) Spool() (*os.File, error) {
	file, err := os.CreateTemp(f.dir, ".spool-*")
	if err != nil {
		return nil, fmt.Errorf("packages: spool: %w", err)
	}
	if err := os.Remove(file.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("packages: spool: %w", err), file.Close())
	}
	return file, nil
}

// content is an open file, decrypted on the way out. Altered bytes are errors.
type content struct {
	io.ReaderAt
	size int64
	file *os.File
}

func (c *content) Size() int64  { return c.size }
func (c *content) Close() error { return c.file.Close() }

// Open opens a file; see evidence.Folder.
func (f *Folder) Open(file evidence.FileID, secret string) (evidence.Content, error) {
	path, err := f.path(file)
	if err != nil {
		return nil, err
	}
	key, err := age.ParseX25519Identity(secret)
	if err != nil {
		return nil, errors.New("packages: the secret of a file is damaged")
	}
	from, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("packages: open: %w", err)
	}
	info, err := from.Stat()
	if err != nil {
		return nil, errors.Join(err, from.Close())
	}
	plain, size, err := age.DecryptReaderAt(from, info.Size(), key)
	if err != nil {
		return nil, errors.Join(errors.New("packages: a file does not open: it was altered or is not whole"), from.Close())
	}
	return &content{plain, size, from}, nil
}
