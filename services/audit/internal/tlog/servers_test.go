package tlog

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"

	"github.com/privacyops/privacyops/services/audit/internal/storagetest"
)

// lease is short: what waits for its end is tested.
const lease = 2 * time.Second

// onServers is a place in a MariaDB database and a bucket.
func onServers(t *testing.T) *place {
	t.Helper()
	p, _ := onServersOf(t)
	return p
}

func onServersOf(t *testing.T) (*place, *storagetest.Place) {
	t.Helper()
	at := storagetest.New(t)
	in := bucketFS{at.Objects, at.Prefix}
	return &place{shared: &Shared{Database: at.Database, PasswordFile: at.PasswordFile, Bucket: at.Bucket, KeyFile: at.KeyFile, Lease: lease}, fsys: in,
		read: func(name string) []byte {
			raw, err := in.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			return raw
		},
		write: func(name string, content []byte) {
			if _, err := at.Objects.PutObject(storagetest.BucketName, at.Prefix+name, map[string]string{}, bytes.NewReader(content), int64(len(content)), nil); err != nil {
				t.Fatal(err)
			}
		},
		remove: func(name string) {
			for _, key := range in.keys(name) {
				if _, err := at.Objects.DeleteObject(storagetest.BucketName, key); err != nil {
					t.Fatal(err)
				}
			}
		}}, at
}

// bucketFS is what is in a bucket behind a prefix, as files.
type bucketFS struct {
	objects gofakes3.Backend
	prefix  string
}

func (b bucketFS) keys(prefix string) (keys []string) {
	list, err := b.objects.ListBucket(storagetest.BucketName, &gofakes3.Prefix{HasPrefix: true, Prefix: b.prefix + prefix}, gofakes3.ListBucketPage{MaxKeys: 100_000})
	if err != nil {
		return nil
	}
	for _, c := range list.Contents {
		keys = append(keys, c.Key)
	}
	return keys
}

// ReadFile implements fs.ReadFileFS.
func (b bucketFS) ReadFile(name string) ([]byte, error) {
	object, err := b.objects.GetObject(storagetest.BucketName, b.prefix+name, nil)
	if gofakes3.HasErrorCode(err, gofakes3.ErrNoSuchKey) {
		return nil, fs.ErrNotExist
	}
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(object.Contents)
	return raw, errors.Join(err, object.Contents.Close())
}

// ReadDir implements fs.ReadDirFS.
func (b bucketFS) ReadDir(name string) (entries []fs.DirEntry, err error) {
	for _, key := range b.keys(name + "/") {
		if rest := strings.TrimPrefix(key, b.prefix+name+"/"); !strings.Contains(rest, "/") {
			entries = append(entries, fs.FileInfoToDirEntry(objectInfo{path.Base(key), 0}))
		}
	}
	return entries, nil
}

// Open implements fs.FS.
func (b bucketFS) Open(name string) (fs.File, error) {
	raw, err := b.ReadFile(name)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return objectFile{bytes.NewReader(raw), objectInfo{path.Base(name), int64(len(raw))}}, nil
}

type objectFile struct {
	*bytes.Reader
	info objectInfo
}

func (f objectFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f objectFile) Close() error               { return nil }

type objectInfo struct {
	name string
	size int64
}

func (i objectInfo) Name() string       { return i.name }
func (i objectInfo) Size() int64        { return i.size }
func (i objectInfo) Mode() fs.FileMode  { return 0o444 }
func (i objectInfo) ModTime() time.Time { return time.Time{} }
func (i objectInfo) IsDir() bool        { return false }
func (i objectInfo) Sys() any           { return nil }
