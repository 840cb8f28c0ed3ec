package dossier_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"github.com/privacyops/privacyops/services/audit/internal/dossier"
)

// tree is a log of numbered leaves, hashed by another implementation.
type tree struct {
	stored []tlog.Hash
	size   int64
}

func leaf(i int64) []byte { return fmt.Appendf(nil, "leaf %d", i) }

func newTree(t interface{ Fatal(...any) }, size int64) *tree {
	out := &tree{size: size}
	for i := range size {
		hashes, err := tlog.StoredHashes(i, leaf(i), tlog.HashReaderFunc(out.read))
		if err != nil {
			t.Fatal(err)
		}
		out.stored = append(out.stored, hashes...)
	}
	return out
}

func (t *tree) read(indexes []int64) (out []tlog.Hash, err error) {
	for _, i := range indexes {
		out = append(out, t.stored[i])
	}
	return out, nil
}

func (t *tree) tile(level, index uint64, width uint8) ([]byte, error) {
	w := int(width)
	if w == 0 {
		w = 256
	}
	return tlog.ReadTileData(tlog.Tile{H: 8, L: int(level), N: int64(index), W: w}, tlog.HashReaderFunc(t.read))
}

func wanted(indexes []uint64) dossier.Wanted {
	return func() (uint64, dossier.Hash, bool, error) {
		if len(indexes) == 0 {
			return 0, dossier.Hash{}, false, nil
		}
		at := indexes[0]
		indexes = indexes[1:]
		return at, dossier.LeafHash(leaf(int64(at))), true, nil
	}
}

// TestFold: for any log and any choice of its entries, the hashes that are kept when a package is made lead to the log's root, and no
// smaller number of them does than that of the parts without an entry.
func TestFold(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.Int64Range(1, 1500).Draw(t, "size")
		log := newTree(t, size)
		var indexes []uint64
		share := rapid.IntRange(1, 300).Draw(t, "one in")
		for i := range size {
			if rapid.IntRange(1, share).Draw(t, "taken") == 1 {
				indexes = append(indexes, uint64(i))
			}
		}
		want, err := tlog.TreeHash(size, tlog.HashReaderFunc(log.read))
		if err != nil {
			t.Fatal(err)
		}
		nodes := dossier.NewNodes(uint64(size), log.tile)
		var kept []dossier.Hash
		root, err := dossier.Fold(uint64(size), wanted(indexes), func(lo, hi uint64) (dossier.Hash, error) {
			h, err := nodes.Part(lo, hi)
			kept = append(kept, h)
			return h, err
		})
		if err != nil || root != dossier.Hash(want) {
			t.Fatalf("making: %x, %v, want %x", root, err, want)
		}
		again, err := dossier.Fold(uint64(size), wanted(indexes), func(_, _ uint64) (h dossier.Hash, err error) {
			h, kept = kept[0], kept[1:]
			return h, nil
		})
		if err != nil || again != root || len(kept) != 0 {
			t.Fatalf("verifying: %x, %v, %d hashes left", again, err, len(kept))
		}
	})
}

func TestFoldRefusesAnotherOrder(t *testing.T) {
	t.Parallel()
	zero := func(_, _ uint64) (dossier.Hash, error) { return dossier.Hash{}, nil }
	for name, indexes := range map[string][]uint64{"twice": {3, 3}, "backwards": {5, 2}, "outside": {2, 8}} {
		if _, err := dossier.Fold(8, wanted(indexes), zero); !errors.Is(err, dossier.ErrOrder) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func packed(t *testing.T) []byte {
	t.Helper()
	secret, _, err := note.GenerateKey(rand.Reader, "log.example")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w := dossier.NewWriter(&out)
	for _, path := range []string{"a.txt", "b/c.txt"} {
		if err := w.Member(path, func(w io.Writer) error {
			_, err := w.Write(bytes.Repeat([]byte(path), 500))
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Finish(&dossier.Manifest{Format: dossier.Format}, signer); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestContainer: what is written is what is opened; and of an altered file, either the frame or the compressed bytes of a member differ.
func TestContainer(t *testing.T) {
	t.Parallel()
	file := packed(t)
	sums := func(file []byte) (out []string, err error) {
		c, err := dossier.OpenContainer(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			return nil, err
		}
		for _, m := range c.Members {
			out = append(out, m.Path, m.StoredSHA256)
		}
		return out, nil
	}
	want, err := sums(file)
	if err != nil || len(want) != 8 {
		t.Fatal(want, err)
	}
	for i := range file {
		altered := bytes.Clone(file)
		altered[i] ^= 0x10
		if got, err := sums(altered); err == nil && fmt.Sprint(got) == fmt.Sprint(want) {
			t.Fatalf("byte %d of %d may be altered unseen", i, len(file))
		}
	}
	for _, more := range [][]byte{append(bytes.Clone(file), 0), append([]byte{0}, file...), file[:len(file)-1]} {
		if _, err := sums(more); !errors.Is(err, dossier.ErrContainer) {
			t.Errorf("a longer or shorter file: %v", err)
		}
	}
}
