package tlog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/transparency-dev/tessera"
	"github.com/transparency-dev/tessera/api/layout"
	"github.com/transparency-dev/tessera/storage/posix"
)

// posixStorage keeps a log in a folder.
type posixStorage struct {
	dir  string
	lock *os.File
}

// claim takes the folder. The lock goes with the process, however it ends.
func (s *posixStorage) claim(context.Context) error {
	f, err := Lock(s.dir, "sequencer.lock")
	if err != nil {
		return err
	}
	s.lock = f
	return nil
}

// precheck implements storage: Tessera would begin a new log where it finds no state, over the checkpoint of the old one.
func (s *posixStorage) precheck(_ context.Context, key Key) error {
	raw, err := os.ReadFile(filepath.Join(s.dir, layout.CheckpointPath))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("tlog: reading the checkpoint: %w", err)
	}
	if _, err := parseHead(raw, key); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(s.dir, ".state", "treeState")); err != nil {
		return fmt.Errorf("%w: there is a checkpoint but no state of the tree: %w", ErrTampered, err)
	}
	return nil
}

func (s *posixStorage) exists() (bool, error) {
	_, err := os.Stat(filepath.Join(s.dir, layout.CheckpointPath))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func (s *posixStorage) tune(o Options) Options { return o }

func (s *posixStorage) open(ctx, life context.Context, o *tessera.AppendOptions) (*opened, error) {
	driver, err := posix.New(ctx, posix.Config{Path: s.dir})
	if err != nil {
		return nil, fmt.Errorf("tlog: opening the storage: %w", err)
	}
	appender, shutdown, r, err := tessera.NewAppender(life, driver, o)
	if err != nil {
		return nil, fmt.Errorf("tlog: opening the log: %w", err)
	}
	return &opened{appender, shutdown, posixReader{r}}, nil
}

// posixReader: a leaf that was added can be read.
type posixReader struct{ tessera.LogReader }

// End implements reader.
func (r posixReader) End(ctx context.Context) (uint64, error) { return r.IntegratedSize(ctx) }

// lost implements storage: nobody takes a lock away.
func (s *posixStorage) lost() <-chan struct{} { return nil }

func (s *posixStorage) recall(_ context.Context, name string) ([]byte, error) {
	return os.ReadFile(filepath.Join(s.dir, name))
}

func (s *posixStorage) keep(_ context.Context, name string, content []byte) error {
	return replaceFile(filepath.Join(s.dir, name), content)
}

func (s *posixStorage) release() error {
	if s.lock == nil {
		return nil
	}
	return s.lock.Close()
}

// replaceFile exchanges a file's content; it is on the disk when it returns.
func replaceFile(file string, content []byte) error {
	temp, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".new-")
	if err != nil {
		return err
	}
	_, err = temp.Write(content)
	if err = errors.Join(err, temp.Sync(), temp.Close()); err == nil {
		err = os.Rename(temp.Name(), file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	return nil
}
