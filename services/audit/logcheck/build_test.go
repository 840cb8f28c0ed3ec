package logcheck

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const origin = "audit.test/log"

// files is a log's folder in memory. A file of nil is one that was deleted.
type files map[string][]byte

func (f files) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
}

func (f files) ReadFile(name string) ([]byte, error) {
	if raw := f[name]; raw != nil {
		return raw, nil
	}
	return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrNotExist}
}

func (f files) ReadDir(dir string) (entries []fs.DirEntry, err error) {
	for w := range tileWidth {
		if f[fmt.Sprintf("%s/%d", dir, w)] != nil {
			entries = append(entries, entry(fmt.Sprint(w)))
		}
	}
	if entries == nil {
		err = &fs.PathError{Op: "readdir", Path: dir, Err: fs.ErrNotExist}
	}
	return entries, err
}

type entry string

func (e entry) Name() string               { return string(e) }
func (e entry) IsDir() bool                { return false }
func (e entry) Type() fs.FileMode          { return 0 }
func (e entry) Info() (fs.FileInfo, error) { return nil, fs.ErrInvalid }

// overlay is a folder of which one file is another.
type overlay struct {
	files
	dirs map[string][]fs.DirEntry
	name string
	raw  []byte
}

func (o overlay) ReadFile(name string) ([]byte, error) {
	if name == o.name {
		return o.raw, nil
	}
	return o.files.ReadFile(name)
}

func (o overlay) ReadDir(dir string) ([]fs.DirEntry, error) {
	if entries, ok := o.dirs[dir]; ok {
		return entries, nil
	}
	return nil, fs.ErrNotExist
}

// dirs lists the folders, so that a folder that is read often need not be searched for each time.
func (f files) dirs() map[string][]fs.DirEntry {
	out := map[string][]fs.DirEntry{}
	for _, name := range f.names() {
		out[path.Dir(name)] = append(out[path.Dir(name)], entry(path.Base(name)))
	}
	return out
}

func (f files) names() []string { return slices.Sorted(maps.Keys(f)) }

// with gives a copy with one file exchanged.
func (f files) with(name string, raw []byte) files {
	out := maps.Clone(f)
	out[name] = raw
	return out
}

// logKey is a key that signs checkpoints.
type logKey struct {
	signer   note.Signer
	verifier note.Verifier
	public   string
}

func newKey(tb testing.TB, name string) logKey {
	tb.Helper()
	secret, public, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		tb.Fatal(err)
	}
	k := logKey{public: public}
	if k.signer, err = note.NewSigner(secret); err != nil {
		tb.Fatal(err)
	}
	if k.verifier, err = note.NewVerifier(public); err != nil {
		tb.Fatal(err)
	}
	return k
}

func (k logKey) checkpoint(tb testing.TB, size uint64, root tlog.Hash) []byte {
	tb.Helper()
	raw, err := note.Sign(&note.Note{Text: fmt.Sprintf("%s\n%d\n%s\n", k.signer.Name(), size, base64.StdEncoding.EncodeToString(root[:]))}, k.signer)
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

// begun is when the test logs begin.
var begun = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

// leafOf is the n-th leaf of a log of three controllers.
func leafOf(n int) []byte {
	return fmt.Appendf(nil, `{"controller":"skole-%d","controllerSequence":%d,"receivedTime":%q,"schema":"privacyops.audit.entry.v1"}`,
		n%3, n/3+1, begun.Add(time.Duration(n)*time.Second).Format("2006-01-02T15:04:05.000000Z"))
}

func leavesTo(size int) [][]byte {
	out := make([][]byte, size)
	for i := range out {
		out[i] = leafOf(i)
	}
	return out
}

// build writes a log in the way of the specification's words, level by level: no code of the verifier's.
func build(tb testing.TB, k logKey, leaves [][]byte) files {
	tb.Helper()
	out := files{}
	level := make([]tlog.Hash, len(leaves))
	for i, leaf := range leaves {
		level[i] = tlog.RecordHash(leaf)
	}
	for from := 0; from < len(leaves); from += tileWidth {
		var b bytes.Buffer
		chunk := leaves[from:min(from+tileWidth, len(leaves))]
		for _, leaf := range chunk {
			b.Write(binary.BigEndian.AppendUint16(nil, uint16(len(leaf))))
			b.Write(leaf)
		}
		out[nameOf("entries", from/tileWidth, len(chunk))] = b.Bytes()
	}
	out["checkpoint"] = k.checkpoint(tb, uint64(len(leaves)), recursiveRoot(level))
	for l := 0; len(level) > 0; l++ {
		var above []tlog.Hash
		for from := 0; from < len(level); from += tileWidth {
			var b []byte
			chunk := level[from:min(from+tileWidth, len(level))]
			for _, h := range chunk {
				b = append(b, h[:]...)
			}
			out[nameOf(fmt.Sprint(l), from/tileWidth, len(chunk))] = b
			if len(chunk) == tileWidth {
				above = append(above, recursiveRoot(chunk))
			}
		}
		level = above
	}
	return out
}

func nameOf(level string, index, width int) string {
	t := tlog.Tile{H: 8, L: 0, N: int64(index), W: width}
	return "tile/" + level + t.Path()[len("tile/8/0"):]
}

// recursiveRoot is RFC 6962 section 2.1 as it stands there.
func recursiveRoot(hashes []tlog.Hash) tlog.Hash {
	switch len(hashes) {
	case 0:
		h, _ := tlog.TreeHash(0, nil)
		return h
	case 1:
		return hashes[0]
	}
	k := 1
	for k*2 < len(hashes) {
		k *= 2
	}
	return tlog.NodeHash(recursiveRoot(hashes[:k]), recursiveRoot(hashes[k:]))
}
