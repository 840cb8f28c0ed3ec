package suite

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/sys/unix"

	"github.com/privacyops/privacyops/libs/keyring"
)

// layout is where an embedded installation keeps what.
type layout struct{ dir string }

func (l layout) path(parts ...string) string {
	return filepath.Join(append([]string{l.dir}, parts...)...)
}

func (l layout) keys() string               { return l.path("keys") }
func (l layout) masterKey() string          { return l.path("keys", "master.key") }
func (l layout) certificateKey() string     { return l.path("keys", "certificate.key") }
func (l layout) certificatePub() string     { return l.path("keys", "certificate.pub") }
func (l layout) exportKey() string          { return l.path("keys", "export.key") }
func (l layout) logKey() string             { return l.path("keys", "log.key") }
func (l layout) tls() string                { return l.path("tls") }
func (l layout) database(svc string) string { return "sqlite:" + l.path(svc+".db") }

// prepare makes the folder and its keys where they are missing. A folder that others can read is refused.
func (l layout) prepare() error {
	for _, d := range []string{l.dir, l.keys(), l.tls(), l.path("audit"), l.path("packages"), l.path("ledger")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return fmt.Errorf("make the data folder: %w", err)
		}
	}
	if info, err := os.Stat(l.dir); err != nil || info.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("the data folder %s can be read by others; give it mode 0700", l.dir)
	}
	if _, err := keyring.OpenOrCreate(l.masterKey()); err != nil {
		return err
	}
	return errors.Join(noteKey(l.certificateKey(), "privacyops.internal/certificates"), noteKey(l.exportKey(), "privacyops.internal/exports"))
}

// noteKey makes a signing key where there is none, and lays its public half beside it.
func noteKey(path, name string) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	secret, public, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		return fmt.Errorf("make the key %s: %w", name, err)
	}
	pub := path[:len(path)-len(filepath.Ext(path))] + ".pub"
	if err := os.WriteFile(pub, []byte(public+"\n"), 0o600); err != nil {
		return fmt.Errorf("make the key %s: %w", name, err)
	}
	return keyring.WriteSecret(path, secret)
}

// lock keeps a second suite off the same folder; the system gives the lock back when the process ends, however it ends.
func (l layout) lock() (*os.File, error) {
	f, err := os.OpenFile(l.path("lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the data folder: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another suite runs on the data folder %s; stop it, or name another folder with --data", l.dir), f.Close())
	}
	return f, nil
}
