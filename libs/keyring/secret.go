package keyring

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// maxSecret is more than any secret has, in bytes.
const maxSecret = 1 << 20

// ReadSecret reads a secret from a file. A file that [OpenSecret] refuses is no secret any more.
func ReadSecret(path string) (string, error) {
	f, err := OpenSecret(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSecret))
	if err != nil {
		return "", fmt.Errorf("keyring: read secret: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// OpenSecret opens a file that holds a secret. It refuses one that others than its owner can read, or its group can write.
//
// The group may read it only where root owns the file: that is how root hands a secret to a process that runs as somebody
// else, by the group (Kubernetes, fsGroup) or by an access list, whose mask stands where the group's bits are (systemd
// credentials).
func OpenSecret(path string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("keyring: read secret: %w", err)
	}
	info, err := f.Stat()
	if err == nil {
		err = private(path, info)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// private judges the mode and owner of a secret's file.
func private(path string, info fs.FileInfo) error {
	allowed := fs.FileMode(0o700)
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Uid == 0 {
		allowed |= 0o040
	}
	if mode := info.Mode().Perm(); mode&^allowed != 0 {
		return fmt.Errorf("keyring: %s can be read or changed by others (mode %04o); make a new secret and give the file mode 0600", path, mode)
	}
	return nil
}

// WriteSecret writes a secret to a new file of mode 0600, durably. An existing file is never overwritten.
func WriteSecret(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("keyring: write secret: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".secret-*")
	if err != nil {
		return fmt.Errorf("keyring: write secret: %w", err)
	}
	defer os.Remove(tmp.Name())
	_, werr := tmp.WriteString(text + "\n")
	if err := errors.Join(werr, tmp.Sync(), tmp.Close()); err != nil {
		return fmt.Errorf("keyring: write secret: %w", err)
	}
	// Link refuses to replace: two processes that start at once agree on one secret.
	if err := os.Link(tmp.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("keyring: write secret: %w", err)
	}
	return nil
}
