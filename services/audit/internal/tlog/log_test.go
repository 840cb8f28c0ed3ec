package tlog

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"flag"
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
	"github.com/privacyops/privacyops/services/audit/internal/storagetest"
)

const origin = "audit.test/log"

// place is where a log of a test is kept.
type place struct {
	dir    string
	shared *Shared
	// read, write and remove do what the owner of the disk, or of the bucket, could; remove takes a file or all of a folder.
	read   func(name string) []byte
	write  func(name string, content []byte)
	remove func(name string)
	// fsys is all there is, as it is at the moment.
	fsys fs.FS
}

func (p *place) options(key Key) Options {
	o := Options{Dir: p.dir, Shared: p.shared, Key: key, BatchAge: time.Millisecond, CheckpointInterval: 100 * time.Millisecond}
	if p.shared != nil {
		o.collect = time.Second
	}
	return o
}

func (p *place) flip(name string) {
	raw := bytes.Clone(p.read(name))
	raw[len(raw)/2] ^= 1
	p.write(name, raw)
}

// everywhere runs a test on every storage.
func everywhere(t *testing.T, test func(t *testing.T, storage func(*testing.T) *place)) {
	t.Helper()
	for name, storage := range map[string]func(*testing.T) *place{"folder": inFolder, "servers": onServers} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, storage)
		})
	}
}

func inFolder(t *testing.T) *place {
	t.Helper()
	dir := storagetest.Folder(t)
	in := func(name string) string { return filepath.Join(dir, filepath.FromSlash(name)) }
	return &place{dir: dir, fsys: os.DirFS(dir), remove: func(name string) { remove(t, in(name)) }, write: func(name string, content []byte) { write(t, in(name), content) },
		read: func(name string) []byte {
			raw, err := os.ReadFile(in(name))
			if err != nil {
				t.Fatal(err)
			}
			return raw
		}}
}

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil { // most of them wait for a tick of Tessera's
		panic(err)
	}
	// Tessera's queue worker, checkpoint publisher, tidier and statistics all end with Close. On servers its pool of connections, which
	// it never closes, keeps a goroutine; the connections themselves end with ours.
	goleak.VerifyTestMain(storagetest.Around(m), goleak.IgnoreAnyFunction("database/sql.(*DB).connectionOpener"))
}

func testKey(t *testing.T) Key {
	t.Helper()
	key, err := CreateKey(rand.Reader, filepath.Join(t.TempDir(), "log.key"), origin)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func open(t *testing.T, p *place, key Key) *Log {
	t.Helper()
	l, err := Open(context.Background(), p.options(key))
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
	for range 500 {
		head, err := l.Head(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if head.Size >= size {
			return head
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("no checkpoint of size %d within ten seconds", size)
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
	everywhere(t, func(t *testing.T, storage func(*testing.T) *place) {
		key := testKey(t)
		l := open(t, storage(t), key)
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
	})
}

// TestProofsRefuseEveryChange flips each part of a proof; the check must fail each time.
func TestProofsRefuseEveryChange(t *testing.T) {
	t.Parallel()
	key := testKey(t)
	l := open(t, inFolder(t), key)
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
	everywhere(t, func(t *testing.T, storage func(*testing.T) *place) {
		l := open(t, storage(t), testKey(t))
		appendLeaves(t, l, 0, 300)
		if size, err := l.Size(context.Background()); err != nil || size != 300 {
			t.Fatalf("size %d, %v", size, err)
		}
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
	})
}

func TestReopen(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, storage func(*testing.T) *place) {
		dir, key := storage(t), testKey(t)
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
	})
}

func TestOneOwner(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, storage func(*testing.T) *place) {
		dir, key := storage(t), testKey(t)
		l := open(t, dir, key)
		if _, err := Open(context.Background(), dir.options(key)); !errors.Is(err, ErrInUse) {
			t.Fatalf("opening it twice: %v, want %v", err, ErrInUse)
		}
		closeLog(t, l)
		open(t, dir, key)
	})
}

// TestTampered alters a closed log in ways that an owner of the disk or the servers could; none may be opened.
func TestTampered(t *testing.T) {
	t.Parallel()
	other := testKey(t)
	both := map[string]func(t *testing.T, p *place, key *Key){
		"another key":          func(_ *testing.T, _ *place, key *Key) { *key = other },
		"no checkpoint":        func(_ *testing.T, p *place, _ *Key) { p.remove("checkpoint") },
		"no tile":              func(_ *testing.T, p *place, _ *Key) { p.remove("tile/0") },
		"a flipped hash":       func(_ *testing.T, p *place, _ *Key) { p.flip("tile/0/000.p/5") },
		"a flipped checkpoint": func(_ *testing.T, p *place, _ *Key) { p.flip("checkpoint") },
	}
	everywhere(t, func(t *testing.T, storage func(*testing.T) *place) {
		for name, test := range both {
			t.Run(name, func(t *testing.T) { t.Parallel(); refused(t, storage(t), test) })
		}
	})
	for name, test := range map[string]func(t *testing.T, p *place, key *Key){
		"no state": func(_ *testing.T, p *place, _ *Key) { p.remove(".state") },
		"an older state": func(_ *testing.T, p *place, _ *Key) {
			p.write(".state/treeState", []byte(`{"size":3,"root":"AAAA"}`))
		},
	} {
		t.Run("folder/"+name, func(t *testing.T) { t.Parallel(); refused(t, inFolder(t), test) })
	}
}

// refused closes a log, has it altered and opens it.
func refused(t *testing.T, p *place, alter func(t *testing.T, p *place, key *Key)) {
	t.Helper()
	key := testKey(t)
	l := open(t, p, key)
	appendLeaves(t, l, 0, 5)
	closeLog(t, l)
	alter(t, p, &key)
	reopened, err := Open(context.Background(), p.options(key))
	if err == nil {
		closeLog(t, reopened)
	}
	if !errors.Is(err, ErrTampered) {
		t.Errorf("Open: %v, want %v", err, ErrTampered)
	}
}

func TestTiles(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, storage func(*testing.T) *place) {
		key := testKey(t)
		l := open(t, storage(t), key)
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
	})
}

// TestStrayPartialTile plants a partial tile that no checkpoint covered, as a crash leaves behind: it is never served.
func TestStrayPartialTile(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, storage func(*testing.T) *place) {
		dir := storage(t)
		l := open(t, dir, testKey(t))
		appendLeaves(t, l, 0, 5)
		awaitHead(t, l, 5)
		dir.write("tile/0/000.p/3", make([]byte, 3*32))
		dir.write("tile/0/000.p/7", make([]byte, 7*32))
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
	})
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
