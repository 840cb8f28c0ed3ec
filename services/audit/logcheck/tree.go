package logcheck

import (
	"crypto/sha256"
	"fmt"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"
)

// tileWidth is how many hashes a full tile has, and how many entries a full bundle (C2SP tlog-tiles).
const tileWidth = 256

// entryLevel stands for the entries where a level is asked for.
const entryLevel = -1

// tilePath is where a tile or bundle is, below the log's folder or address: `tile/<level>/<index>`, the index in groups of three digits,
// with `.p/<width>` for a partial one.
func tilePath(level int, index uint64, width int) string {
	name := fmt.Sprintf("%03d", index%1000)
	for index >= 1000 {
		index /= 1000
		name = fmt.Sprintf("x%03d/%s", index%1000, name)
	}
	if width < tileWidth {
		name = fmt.Sprintf("%s.p/%d", name, width)
	}
	if level == entryLevel {
		return "tile/entries/" + name
	}
	return fmt.Sprintf("tile/%d/%s", level, name)
}

// hashesOf reads a tile's bytes. The length was checked.
func hashesOf(raw []byte) []tlog.Hash {
	out := make([]tlog.Hash, len(raw)/tlog.HashSize)
	for i := range out {
		copy(out[i][:], raw[i*tlog.HashSize:])
	}
	return out
}

// perfectRoot is the root of a perfect tree over the nodes, whose number is a power of two.
func perfectRoot(nodes []tlog.Hash) tlog.Hash {
	var buffer [tileWidth]tlog.Hash
	level := buffer[:copy(buffer[:], nodes)]
	for len(level) > 1 {
		for i := range len(level) / 2 {
			level[i] = tlog.NodeHash(level[2*i], level[2*i+1])
		}
		level = level[:len(level)/2]
	}
	return level[0]
}

// frontier is the tree so far: for each level from 1 on, the roots of the full tiles below it that no full tile of that level has yet.
type frontier struct {
	levels [][]tlog.Hash // levels[0] belongs to level 1
	filled []uint64      // how many full tiles each level has
}

// root is the RFC 6962 root of the tree so far with some more leaf hashes, fewer than a tile's, at its end.
func (f *frontier) root(edge []tlog.Hash) tlog.Hash {
	var subtrees []tlog.Hash // perfect ones, from left to right
	for i := len(f.levels) - 1; i >= 0; i-- {
		subtrees = appendPerfect(subtrees, f.levels[i])
	}
	subtrees = appendPerfect(subtrees, edge)
	if len(subtrees) == 0 {
		return tlog.Hash(sha256.Sum256(nil))
	}
	root := subtrees[len(subtrees)-1]
	for i := len(subtrees) - 2; i >= 0; i-- {
		root = tlog.NodeHash(subtrees[i], root)
	}
	return root
}

// appendPerfect splits the nodes into the largest perfect trees, from the left, and appends their roots.
func appendPerfect(out, nodes []tlog.Hash) []tlog.Hash {
	for len(nodes) > 0 {
		n := 1 << (bits.Len(uint(len(nodes))) - 1)
		out = append(out, perfectRoot(nodes[:n]))
		nodes = nodes[n:]
	}
	return out
}

// push adds the root of the next full tile below a level. It gives the level's nodes back when they fill a tile, whose root then goes
// to the level above.
func (f *frontier) push(level int, node tlog.Hash) (full []tlog.Hash) {
	for len(f.levels) < level {
		f.levels, f.filled = append(f.levels, make([]tlog.Hash, 0, tileWidth)), append(f.filled, 0)
	}
	f.levels[level-1] = append(f.levels[level-1], node)
	if full = f.levels[level-1]; len(full) < tileWidth {
		return nil
	}
	f.levels[level-1] = make([]tlog.Hash, 0, tileWidth)
	return full
}
