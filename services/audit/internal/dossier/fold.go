package dossier

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/bits"
)

// Hash is a node of the log's Merkle tree (RFC 9162 section 2.1.1).
type Hash = [sha256.Size]byte

// ErrOrder says that entries do not come in the order of the log, or lie outside of it.
var ErrOrder = errors.New("dossier: entries are not in the order of the log")

// LeafHash is the hash of an entry's bytes.
func LeafHash(leaf []byte) Hash {
	h := sha256.New()
	h.Write([]byte{0})
	h.Write(leaf)
	return Hash(h.Sum(nil))
}

// NodeHash is the hash of an inner node.
func NodeHash(left, right Hash) Hash {
	var buf [1 + 2*sha256.Size]byte
	buf[0] = 1
	copy(buf[1:], left[:])
	copy(buf[1+sha256.Size:], right[:])
	return sha256.Sum256(buf[:])
}

// Split is how many leaves of n, at least 2, are under the left child of a tree's root: the largest power of two below n.
func Split(n uint64) uint64 { return 1 << (bits.Len64(n-1) - 1) }

// Wanted gives the entries of a package one after the other, in the order of the log. After the last one ok is false.
type Wanted func() (index uint64, leaf Hash, ok bool, err error)

// Rest gives the hash of the part of the tree with the leaves from lo, included, to hi, not included, in which no entry is wanted.
type Rest func(lo, hi uint64) (Hash, error)

// Fold computes the root of a tree of `size` leaves from wanted entries and the hashes of the parts without any. It asks for both in
// the order of the log, each once, and holds no more than a path of the tree. Who makes a package gives the hashes of the log, and
// keeps them; who verifies one gives those that were kept.
func Fold(size uint64, wanted Wanted, rest Rest) (Hash, error) {
	f := &fold{wanted: wanted, rest: rest}
	if err := f.advance(); err != nil {
		return Hash{}, err
	}
	if size == 0 {
		if f.ok {
			return Hash{}, ErrOrder
		}
		return sha256.Sum256(nil), nil
	}
	root, err := f.part(0, size)
	if err == nil && f.ok {
		err = ErrOrder
	}
	return root, err
}

type fold struct {
	wanted Wanted
	rest   Rest
	index  uint64
	leaf   Hash
	ok     bool
	begun  bool
}

// advance reads the next wanted entry.
func (f *fold) advance() error {
	index, leaf, ok, err := f.wanted()
	if err != nil {
		return err
	}
	if ok && f.begun && index <= f.index {
		return fmt.Errorf("%w: %d after %d", ErrOrder, index, f.index)
	}
	f.index, f.leaf, f.ok, f.begun = index, leaf, ok, true
	return nil
}

func (f *fold) part(lo, hi uint64) (Hash, error) {
	if !f.ok || f.index >= hi {
		return f.rest(lo, hi)
	}
	if hi-lo == 1 {
		leaf := f.leaf
		return leaf, f.advance()
	}
	middle := lo + Split(hi-lo)
	left, err := f.part(lo, middle)
	if err != nil {
		return Hash{}, err
	}
	right, err := f.part(middle, hi)
	return NodeHash(left, right), err
}

// tileHashes is how many hashes a full tile has (C2SP tlog-tiles).
const (
	tileHeight = 8
	tileHashes = 1 << tileHeight
)

// Tiles gives the first `width` hashes, 32 bytes each, of a tile of the log; 0 means a full tile.
type Tiles func(level, index uint64, width uint8) ([]byte, error)

// Nodes reads hashes of a log from its tiles. It keeps one tile of each level, which is all that a walk in the order of the log needs.
type Nodes struct {
	size  uint64
	tiles Tiles
	kept  [64 / tileHeight]struct {
		index uint64
		raw   []byte
	}
}

// NewNodes reads the hashes of the tree of the first `size` leaves.
func NewNodes(size uint64, tiles Tiles) *Nodes { return &Nodes{size: size, tiles: tiles} }

// Part is a [Rest] over the whole log.
func (n *Nodes) Part(lo, hi uint64) (Hash, error) {
	count := hi - lo
	if count&(count-1) == 0 && lo%count == 0 {
		return n.node(uint64(bits.TrailingZeros64(count)), lo/count)
	}
	middle := lo + Split(count)
	left, err := n.Part(lo, middle)
	if err != nil {
		return Hash{}, err
	}
	right, err := n.Part(middle, hi)
	return NodeHash(left, right), err
}

// node gives the root of a complete subtree: the index-th one of 2^level leaves.
func (n *Nodes) node(level, index uint64) (Hash, error) {
	tile, below := level/tileHeight, level%tileHeight
	first := index << below // of the hashes on the tile's level that it is made of
	raw, err := n.tile(tile, first/tileHashes)
	if err != nil {
		return Hash{}, err
	}
	from := first % tileHashes * sha256.Size
	to := from + sha256.Size<<below
	if to > uint64(len(raw)) {
		return Hash{}, errors.New("dossier: a tile is too short")
	}
	return combine(raw[from:to]), nil
}

// combine gives the root over a power of two of hashes.
func combine(raw []byte) Hash {
	if len(raw) == sha256.Size {
		return Hash(raw)
	}
	half := len(raw) / 2
	return NodeHash(combine(raw[:half]), combine(raw[half:]))
}

func (n *Nodes) tile(level, index uint64) ([]byte, error) {
	kept := &n.kept[level]
	if kept.raw != nil && kept.index == index {
		return kept.raw, nil
	}
	width := min(n.size>>(level*tileHeight)-index*tileHashes, tileHashes)
	raw, err := n.tiles(level, index, uint8(width%tileHashes))
	if err != nil {
		return nil, fmt.Errorf("dossier: tile %d of level %d: %w", index, level, err)
	}
	kept.index, kept.raw = index, bytes.Clone(raw)
	return kept.raw, nil
}
