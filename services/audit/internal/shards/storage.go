package shards

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/privacyops/privacyops/libs/logkey"
	"github.com/privacyops/privacyops/services/audit/internal/tlog"
)

// Storage keeps the logs of shards, which are told apart by their years; 0 is the first one.
type Storage interface {
	// Years lists the shards that there are beside the first, in order; also empty and dropped ones.
	Years(ctx context.Context) ([]int, error)
	// Open goes on with a shard's log, or begins it. There is one at a time.
	Open(ctx context.Context, year int, key tlog.Key) (*tlog.Log, error)
	// Sealed opens the log of a shard that is not written any more.
	Sealed(ctx context.Context, year int, key tlog.Key) (*tlog.Log, error)
	// Discard removes a shard that has no entries.
	Discard(ctx context.Context, year int) error
	// Tombstone reads a shard's tombstone, or fails with fs.ErrNotExist.
	Tombstone(ctx context.Context, year int) ([]byte, error)
	// Mark puts a tombstone in a shard's place; it is durable when it returns.
	Mark(ctx context.Context, year int, tombstone []byte) error
	// Clear removes everything of a shard but its tombstone. It may be called again, to finish.
	Clear(ctx context.Context, year int) error
	// Close gives the storage free.
	Close() error
}

// folders is the storage on a file system.
type folders struct {
	options tlog.Options
	lock    *os.File
}

// The names below the log's folder.
const (
	shardsFolder  = "shards"
	tombstoneFile = "tombstone"
	lockFile      = "log.lock"
)

// Folders keeps shards below the folder of the options, whose key is not used. A second one on the same folder fails with tlog.ErrInUse.
func Folders(options tlog.Options) (Storage, error) {
	lock, err := tlog.Lock(options.Dir, lockFile)
	if err != nil {
		return nil, err
	}
	return &folders{options, lock}, nil
}

// Begun reports whether there is a log in a folder.
func Begun(dir string) bool {
	for _, name := range []string{"checkpoint", tombstoneFile, shardsFolder} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	return false
}

func (f *folders) Close() error { return f.lock.Close() }

func (f *folders) dir(year int) string {
	if year == 0 {
		return f.options.Dir
	}
	return filepath.Join(f.options.Dir, shardsFolder, fmt.Sprintf("%04d", year))
}

func (f *folders) Years(context.Context) (years []int, err error) {
	entries, err := os.ReadDir(filepath.Join(f.options.Dir, shardsFolder))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		if year, ok := logkey.ParseYear(e.Name()); ok && e.IsDir() {
			years = append(years, year)
		}
	}
	slices.Sort(years)
	return years, err
}

func (f *folders) Open(ctx context.Context, year int, key tlog.Key) (*tlog.Log, error) {
	o := f.options
	o.Dir, o.Key = f.dir(year), key
	l, err := tlog.Open(ctx, o)
	if err != nil || year == 0 {
		return l, err
	}
	// The shard's name must be on the disk before an entry in it counts.
	if err := errors.Join(syncFolder(filepath.Dir(o.Dir)), syncFolder(f.options.Dir)); err != nil {
		return nil, errors.Join(err, l.Close(ctx))
	}
	return l, nil
}

func (f *folders) Sealed(ctx context.Context, year int, key tlog.Key) (*tlog.Log, error) {
	return tlog.Sealed(ctx, f.dir(year), key)
}

// discardTries is how often a folder is removed in which the storage of a log that was closed a moment ago may end some write.
const discardTries = 10

func (f *folders) Discard(_ context.Context, year int) (err error) {
	if year == 0 {
		return errors.New("shards: the first shard is never discarded")
	}
	for range discardTries {
		if err = os.RemoveAll(f.dir(year)); err == nil {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return err
}

func (f *folders) Tombstone(_ context.Context, year int) ([]byte, error) {
	return os.ReadFile(filepath.Join(f.dir(year), tombstoneFile))
}

func (f *folders) Mark(_ context.Context, year int, tombstone []byte) error {
	if err := writeDurably(filepath.Join(f.dir(year), tombstoneFile), tombstone); err != nil {
		return fmt.Errorf("shards: writing the tombstone: %w", err)
	}
	return nil
}

func (f *folders) Clear(_ context.Context, year int) error {
	dir := f.dir(year)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if name := e.Name(); name != tombstoneFile && name != shardsFolder && name != lockFile {
			err = errors.Join(err, os.RemoveAll(filepath.Join(dir, name)))
		}
	}
	return errors.Join(err, syncFolder(dir))
}

// writeDurably writes a file whole or not at all.
func writeDurably(path string, content []byte) error {
	temp, err := os.OpenFile(path+".new", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o640) //nolint:gosec // it is public
	if err != nil {
		return err
	}
	_, err = temp.Write(content)
	if err = errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp.Name(), path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
