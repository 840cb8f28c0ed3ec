package logcheck

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"
)

// Cache remembers tiles and bundles that were found to agree, by their content's hash, so that who verifies a growing log again and
// again hashes each byte of it once instead of each entry, and parses no entry twice. It holds some 40 KB for 256 entries. It is safe
// for concurrent use.
type Cache struct {
	mu    sync.Mutex
	limit int
	slabs map[[sha256.Size]byte]*slab
}

// NewCache makes a cache of at most so many tiles of 256 entries.
func NewCache(tiles int) *Cache {
	return &Cache{limit: tiles, slabs: map[[sha256.Size]byte]*slab{}}
}

// keyOf is what a tile and its bundle are remembered by: a hash of both, each with its length.
func (c *Cache) keyOf(width int, tile, bundle []byte) (key [sha256.Size]byte) {
	if c == nil {
		return key
	}
	h := sha256.New()
	var lengths [24]byte
	binary.BigEndian.PutUint64(lengths[:], uint64(width))
	binary.BigEndian.PutUint64(lengths[8:], uint64(len(tile)))
	binary.BigEndian.PutUint64(lengths[16:], uint64(len(bundle)))
	h.Write(lengths[:])
	h.Write(tile)
	h.Write(bundle)
	h.Sum(key[:0])
	return key
}

func (c *Cache) get(key [sha256.Size]byte) *slab {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.slabs[key]
}

func (c *Cache) put(key [sha256.Size]byte, s *slab) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.slabs) < c.limit {
		kept := *s
		c.slabs[key] = &kept
	}
}
