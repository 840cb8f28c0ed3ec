package logcheck

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// ReadState reads the checkpoint that a verification kept; nil where none did yet.
func ReadState(file string) ([]byte, error) {
	raw, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("logcheck: reading what was seen earlier: %w", err)
	}
	return raw, nil
}

// KeepState keeps a checkpoint for the next verification. It is on the disk when it returns; a crash leaves the old one or the new one.
func KeepState(file string, checkpoint []byte) (err error) {
	temp, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".new-")
	if err == nil {
		_, err = temp.Write(checkpoint)
		if err = errors.Join(err, temp.Sync(), temp.Close()); err == nil {
			err = os.Rename(temp.Name(), file)
		}
		if err != nil {
			err = errors.Join(err, os.Remove(temp.Name()))
		}
	}
	if err != nil {
		return fmt.Errorf("logcheck: keeping what was seen: %w", err)
	}
	return nil
}
