package witness

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// ErrInUse reports that another witness works on the folder: two would forget what each other signed.
var ErrInUse = errors.New("witness: the folder is in use by another witness")

// folder keeps the last cosigned checkpoint of each log.
type folder struct {
	dir  string
	lock *os.File
}

func openFolder(dir string) (*folder, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("witness: making the folder: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("witness: locking the folder: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(ErrInUse, lock.Close())
	}
	return &folder{dir: dir, lock: lock}, nil
}

func (f *folder) close() error { return f.lock.Close() }

// file is where a log's checkpoint is: an origin may hold any characters.
func (f *folder) file(origin string) string {
	sum := sha256.Sum256([]byte(origin))
	return filepath.Join(f.dir, hex.EncodeToString(sum[:])+".checkpoint")
}

// read gives the checkpoint of a log; nil where none was cosigned yet.
func (f *folder) read(origin string) ([]byte, error) {
	raw, err := os.ReadFile(f.file(origin))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("witness: reading a checkpoint: %w", err)
	}
	return raw, nil
}

// write replaces the checkpoint of a log. When it returns, the new one has reached the disk, with its name.
func (f *folder) write(origin string, checkpoint []byte) (err error) {
	target := f.file(origin)
	temp, err := os.OpenFile(target+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("witness: writing a checkpoint: %w", err)
	}
	if _, err = temp.Write(checkpoint); err == nil {
		err = temp.Sync()
	}
	if err = errors.Join(err, temp.Close()); err == nil {
		err = os.Rename(temp.Name(), target)
	}
	if err == nil {
		err = f.sync()
	}
	if err != nil {
		return fmt.Errorf("witness: writing a checkpoint: %w", err)
	}
	return nil
}

func (f *folder) sync() error {
	d, err := os.Open(f.dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
