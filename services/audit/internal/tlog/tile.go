package tlog

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/transparency-dev/tessera/api/layout"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

// fullTile is how many hashes a full tile has (C2SP tlog-tiles).
const fullTile = layout.TileWidth

// Tile returns a public hash tile: the first `width` hashes, 32 bytes each, of tile `index` on level `level`; width 0 means
// a full tile, 256. It fails with audit.ErrNotFound when the latest checkpoint does not cover that much.
//
// A partial tile is cut from the one that the checkpoint rests on. So what is served never depends on which partial files
// lie in the folder: the storage tidies some away, and a crash may leave one behind that was never signed.
func (l *Log) Tile(ctx context.Context, level, index uint64, width uint8) ([]byte, error) {
	wanted := uint64(width)
	if wanted == 0 {
		wanted = fullTile
	}
	head, err := l.Head(ctx)
	if err != nil {
		return nil, err
	}
	covered := coveredWidth(level, index, head.Size)
	if wanted > covered {
		return nil, audit.ErrNotFound
	}
	raw, err := l.reader.ReadTile(ctx, level, index, uint8(covered%fullTile))
	if err != nil {
		return nil, fmt.Errorf("tlog: reading a tile: %w", err)
	}
	if uint64(len(raw)) < wanted*sha256.Size {
		return nil, fmt.Errorf("%w: tile %d of level %d is too short", ErrTampered, index, level)
	}
	return raw[:wanted*sha256.Size], nil
}

// coveredWidth is how many hashes of a tile a tree of the given size has.
func coveredWidth(level, index, size uint64) uint64 {
	if level > 63/layout.TileHeight {
		return 0
	}
	hashes := size >> (level * layout.TileHeight)
	if index > hashes/fullTile {
		return 0
	}
	return min(hashes-index*fullTile, fullTile)
}
