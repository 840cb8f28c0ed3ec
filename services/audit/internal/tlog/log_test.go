package tlog

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/mod/sumdb/note"
	sumdb "golang.org/x/mod/sumdb/tlog"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

const origin = "audit.test/log"

func TestMain(m *testing.M) {
	// Tessera's queue worker, checkpoint publisher, tidier and statistics all end with Close; nothing is let through.
	goleak.VerifyTestMain(m)
}

func testKey(t *testing.T) Key {
	t.Helper()
	key, err := CreateKey(rand.Reader, filepath.Join(t.TempDir(), "log.key"), origin)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func open(t *testing.T, dir string, key Key) *Log {
	t.Helper()
	l, err := Open(context.Background(), Options{Dir: dir, Key: key, BatchAge: time.Millisecond, CheckpointInterval: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeLog(t, l) })
	return l
}

func closeLog(t *testing.T, l *Log) {
	t.Helper()
	if err := l.Close(context.Background()); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func leaves(first, n int) [][]byte {
	out := make([][]byte, n)
	for i := range out {
		out[i] = fmt.Appendf(nil, "leaf %d", first+i)
	}
	return out
}

func appendLeaves(t *testing.T, l *Log, first, n int) {
	t.Helper()
	indices, err := l.Append(context.Background(), leaves(first, n))
	if err != nil {
		t.Fatal(err)
	}
	for i, index := range indices {
		if index != uint64(first+i) {
			t.Fatalf("leaf %d landed at %d", first+i, index)
		}
	}
}

func awaitHead(t *testing.T, l *Log, size uint64) audit.Head {
	t.Helper()
	for range 200 {
		head, err := l.Head(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if head.Size >= size {
			return head
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("no checkpoint of size %d within four seconds", size)
	return audit.Head{}
}

// openedNote is a checkpoint as golang.org/x/mod reads it: none of the server's code.
func openedNote(t *testing.T, checkpoint []byte, public string) sumdb.Tree {
	t.Helper()
	verifier, err := note.NewVerifier(public)
	if err != nil {
		t.Fatal(err)
	}
	n, err := note.Open(checkpoint, note.VerifierList(verifier))
	if err != nil {
		t.Fatal(err)
	}
	var tree sumdb.Tree
	var root string
	if _, err := fmt.Sscanf(n.Text, origin+"\n%d\n%s\n", &tree.N, &root); err != nil {
		t.Fatal(err)
	}
	if tree.Hash, err = sumdb.ParseHash(root); err != nil {
		t.Fatal(err)
	}
	return tree
}

func recordProof(hashes [][]byte) sumdb.RecordProof {
	var p sumdb.RecordProof
	for _, h := range hashes {
		p = append(p, sumdb.Hash(h))
	}
	return p
}

// TestProofs checks every proof of a log, at sizes around the width of a tile, by golang.org/x/mod/sumdb/tlog.
func TestProofs(t *testing.T) {
	t.Parallel()
	key := testKey(t)
	l := open(t, t.TempDir(), key)
	size := 0
	for _, grow := range []int{1, 2, 253, 1, 60} { // 1, 3, 256, 257, 317
		appendLeaves(t, l, size, grow)
		size += grow
		awaitHead(t, l, uint64(size))
		for i, leaf := range leaves(0, size) {
			p, err := l.Inclusion(context.Background(), uint64(i))
			if err != nil {
				t.Fatal(err)
			}
			tree := openedNote(t, p.Checkpoint, key.Public)
			if tree.N != int64(size) || p.TreeSize != uint64(size) || p.Index != uint64(i) {
				t.Fatalf("the proof is for %d in %d (checkpoint %d), want %d in %d", p.Index, p.TreeSize, tree.N, i, size)
			}
			if err := sumdb.CheckRecord(recordProof(p.Hashes), tree.N, tree.Hash, int64(i), sumdb.RecordHash(leaf)); err != nil {
				t.Fatalf("proof of %d in %d: %v", i, size, err)
			}
		}
	}
	if _, err := l.Inclusion(context.Background(), uint64(size)); !errors.Is(err, audit.ErrNotFound) {
		t.Errorf("a proof beyond the checkpoint: %v, want %v", err, audit.ErrNotFound)
	}
}

// TestProofsRefuseEveryChange flips each part of a proof; the check must fail each time.
func TestProofsRefuseEveryChange(t *testing.T) {
	t.Parallel()
	key := testKey(t)
	l := open(t, t.TempDir(), key)
	appendLeaves(t, l, 0, 21)
	awaitHead(t, l, 21)
	p, err := l.Inclusion(context.Background(), 13)
	if err != nil {
		t.Fatal(err)
	}
	tree := openedNote(t, p.Checkpoint, key.Public)
	valid := func(hashes [][]byte, size int64, root sumdb.Hash, index int64, leaf []byte) bool {
		return sumdb.CheckRecord(recordProof(hashes), size, root, index, sumdb.RecordHash(leaf)) == nil
	}
	leaf := leaves(13, 1)[0]
	if !valid(p.Hashes, tree.N, tree.Hash, 13, leaf) {
		t.Fatal("the proof itself fails")
	}
	for i := range p.Hashes {
		for bit := range 8 * sha256.Size {
			hashes := make([][]byte, len(p.Hashes))
			for j := range hashes {
				hashes[j] = bytes.Clone(p.Hashes[j])
			}
			hashes[i][bit/8] ^= 1 << (bit % 8)
			if valid(hashes, tree.N, tree.Hash, 13, leaf) {
				t.Errorf("bit %d of hash %d may change", bit, i)
			}
		}
	}
	for index := range tree.N {
		if index != 13 && valid(p.Hashes, tree.N, tree.Hash, index, leaf) {
			t.Errorf("the proof of 13 also proves %d", index)
		}
	}
	if valid(p.Hashes[1:], tree.N, tree.Hash, 13, leaf) || valid(p.Hashes, tree.N, tree.Hash, 13, leaves(12, 1)[0]) {
		t.Error("a shorter proof or another leaf passes")
	}
	for i := range p.Checkpoint {
		changed := bytes.Clone(p.Checkpoint)
		changed[i] ^= 1
		if _, err := parseHead(changed, key); err == nil {
			t.Errorf("byte %d of the checkpoint may change", i)
		}
	}
}

func TestLeavesComeBack(t *testing.T) {
	t.Parallel()
	l := open(t, t.TempDir(), testKey(t))
	appendLeaves(t, l, 0, 300)
	for _, test := range []struct {
		from  uint64
		limit int
		want  int
	}{{0, 1000, 256}, {0, 3, 3}, {255, 10, 1}, {256, 1000, 44}, {290, 5, 5}, {299, 5, 1}, {300, 5, 0}, {0, 0, 0}} {
		got, err := l.Leaves(context.Background(), test.from, test.limit)
		if err != nil {
			t.Fatal(err)
		}
		want := leaves(int(test.from), test.want)
		if !bytes.Equal(bytes.Join(got, []byte{0}), bytes.Join(want, []byte{0})) {
			t.Errorf("%d leaves from %d: got %d, want %d", test.limit, test.from, len(got), test.want)
		}
	}
}

func TestReopen(t *testing.T) {
	t.Parallel()
	dir, key := t.TempDir(), testKey(t)
	for round := range 3 {
		l := open(t, dir, key)
		if size, err := l.Size(context.Background()); err != nil || size != uint64(10*round) {
			t.Fatalf("round %d: size %d (%v)", round, size, err)
		}
		appendLeaves(t, l, 10*round, 10)
		closeLog(t, l)
		closeLog(t, l) // twice is once
		if head, err := l.Head(context.Background()); err != nil || head.Size != uint64(10*round+10) {
			t.Errorf("after Close the checkpoint covers %d (%v), want all %d", head.Size, err, 10*round+10)
		}
		if _, err := l.Append(context.Background(), leaves(0, 1)); !errors.Is(err, ErrClosed) {
			t.Errorf("Append after Close: %v, want %v", err, ErrClosed)
		}
	}
}

func TestOneOwner(t *testing.T) {
	t.Parallel()
	dir, key := t.TempDir(), testKey(t)
	l := open(t, dir, key)
	if _, err := Open(context.Background(), Options{Dir: dir, Key: key}); !errors.Is(err, ErrInUse) {
		t.Fatalf("opening it twice: %v, want %v", err, ErrInUse)
	}
	closeLog(t, l)
	open(t, dir, key)
}

// TestTamperedFolders alters a closed log in ways that an owner of the disk could; none may be opened.
func TestTamperedFolders(t *testing.T) {
	t.Parallel()
	other := testKey(t)
	for name, test := range map[string]func(t *testing.T, dir string, key *Key){
		"another key": func(_ *testing.T, _ string, key *Key) { *key = other },
		"no state":    func(t *testing.T, dir string, _ *Key) { remove(t, filepath.Join(dir, ".state")) },
		"no checkpoint": func(t *testing.T, dir string, _ *Key) {
			remove(t, filepath.Join(dir, "checkpoint"))
		},
		"an older state": func(t *testing.T, dir string, _ *Key) {
			write(t, filepath.Join(dir, ".state", "treeState"), []byte(`{"size":3,"root":"AAAA"}`))
		},
		"no tile": func(t *testing.T, dir string, _ *Key) { remove(t, filepath.Join(dir, "tile", "0")) },
		"a flipped hash": func(t *testing.T, dir string, _ *Key) {
			flip(t, filepath.Join(dir, "tile", "0", "000.p", "5"))
		},
		"a flipped checkpoint": func(t *testing.T, dir string, _ *Key) { flip(t, filepath.Join(dir, "checkpoint")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, key := t.TempDir(), testKey(t)
			l := open(t, dir, key)
			appendLeaves(t, l, 0, 5)
			closeLog(t, l)
			test(t, dir, &key)
			reopened, err := Open(context.Background(), Options{Dir: dir, Key: key})
			if err == nil {
				closeLog(t, reopened)
			}
			if !errors.Is(err, ErrTampered) {
				t.Errorf("Open: %v, want %v", err, ErrTampered)
			}
		})
	}
}

func TestTiles(t *testing.T) {
	t.Parallel()
	key := testKey(t)
	l := open(t, t.TempDir(), key)
	appendLeaves(t, l, 0, 300)
	checkpoint := awaitHead(t, l, 300).Checkpoint
	for _, test := range []struct {
		level, index uint64
		width        uint8
		want         int // hashes; -1: not found
	}{
		{0, 0, 0, 256}, {0, 0, 1, 1}, {0, 0, 255, 255}, {0, 1, 44, 44}, {0, 1, 7, 7}, {1, 0, 1, 1},
		{0, 1, 45, -1}, {0, 1, 0, -1}, {0, 2, 1, -1}, {1, 0, 2, -1}, {2, 0, 1, -1}, {8, 0, 1, -1}, {1 << 40, 0, 1, -1},
		{0, 1 << 63, 1, -1}, {0, 1<<64 - 1, 0, -1},
	} {
		tile, err := l.Tile(context.Background(), test.level, test.index, test.width)
		if test.want < 0 {
			if !errors.Is(err, audit.ErrNotFound) {
				t.Errorf("tile %d/%d.p/%d: %v, want %v", test.level, test.index, test.width, err, audit.ErrNotFound)
			}
			continue
		}
		if err != nil || len(tile) != 32*test.want {
			t.Errorf("tile %d/%d.p/%d: %d bytes (%v), want %d hashes", test.level, test.index, test.width, len(tile), err, test.want)
		}
	}
	// A reader builds proofs from checkpoint and tiles alone, with code of its own.
	tree := openedNote(t, checkpoint, key.Public)
	reader := sumdb.TileHashReader(tree, publicTiles{t, l})
	for index := range tree.N {
		p, err := sumdb.ProveRecord(tree.N, index, reader)
		if err != nil {
			t.Fatalf("proving %d from tiles: %v", index, err)
		}
		if err := sumdb.CheckRecord(p, tree.N, tree.Hash, index, sumdb.RecordHash(leaves(int(index), 1)[0])); err != nil {
			t.Fatalf("proof of %d from tiles: %v", index, err)
		}
	}
}

// TestStrayPartialTile plants a partial tile that no checkpoint covered, as a crash leaves behind: it is never served.
func TestStrayPartialTile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := open(t, dir, testKey(t))
	appendLeaves(t, l, 0, 5)
	awaitHead(t, l, 5)
	write(t, filepath.Join(dir, "tile", "0", "000.p", "3"), make([]byte, 3*32))
	write(t, filepath.Join(dir, "tile", "0", "000.p", "7"), make([]byte, 7*32))
	five, err := l.Tile(context.Background(), 0, 0, 5)
	if err != nil {
		t.Fatal(err)
	}
	three, err := l.Tile(context.Background(), 0, 0, 3)
	if err != nil || !bytes.Equal(three, five[:3*32]) {
		t.Errorf("the tile of 3 is not the beginning of the tile of 5 (%v)", err)
	}
	if _, err := l.Tile(context.Background(), 0, 0, 7); !errors.Is(err, audit.ErrNotFound) {
		t.Errorf("a tile beyond the checkpoint: %v, want %v", err, audit.ErrNotFound)
	}
}

// publicTiles reads tiles as golang.org/x/mod asks for them.
type publicTiles struct {
	t *testing.T
	l *Log
}

func (publicTiles) Height() int                      { return 8 }
func (publicTiles) SaveTiles([]sumdb.Tile, [][]byte) {}
func (p publicTiles) ReadTiles(tiles []sumdb.Tile) ([][]byte, error) {
	var out [][]byte
	for _, tile := range tiles {
		raw, err := p.l.Tile(context.Background(), uint64(tile.L), uint64(tile.N), uint8(tile.W%256))
		if err != nil {
			return nil, err
		}
		out = append(out, raw)
	}
	return out, nil
}

func TestKeyFiles(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "keys", "log.key")
	if _, err := ReadKey(file, origin); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no key: %v, want %v", err, fs.ErrNotExist)
	}
	created, err := CreateKey(rand.Reader, file, origin)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the secret has mode %v (%v), want 0600", info.Mode(), err)
	}
	if public, err := os.ReadFile(file + ".pub"); err != nil || string(public) != created.Public+"\n" {
		t.Errorf("the public file holds %q (%v), want %q", public, err, created.Public)
	}
	for name, open := range map[string]func() (Key, error){
		"read":         func() (Key, error) { return ReadKey(file, origin) },
		"create again": func() (Key, error) { return CreateKey(rand.Reader, file, origin) },
	} {
		if key, err := open(); err != nil || key.Public != created.Public || key.Signer.KeyHash() != created.Signer.KeyHash() {
			t.Errorf("%s: %q (%v), want %q", name, key.Public, err, created.Public)
		}
	}
	if _, err := ReadKey(file, "another.test/log"); err == nil {
		t.Error("the key of another log was read")
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadKey(file, origin); err == nil {
		t.Error("a secret that others can read was read")
	}
	spoiled := filepath.Join(t.TempDir(), "spoiled.key")
	write(t, spoiled, []byte("PRIVATE+KEY+"+origin+"+00000000+AAAA"))
	if _, err := ReadKey(spoiled, origin); err == nil {
		t.Error("a file without a key was read")
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func flip(t *testing.T, path string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)/2] ^= 1
	write(t, path, raw)
}
