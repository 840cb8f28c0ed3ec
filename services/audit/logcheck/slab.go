package logcheck

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/mod/sumdb/tlog"
)

// slab is level 0 of up to 256 entries: what the tile says and what the entries say.
type slab struct {
	index uint64
	width int

	stored []tlog.Hash // from the tile; nil where it cannot be read
	hashed []tlog.Hash // from the entries; nil where they cannot be read or are not at hand

	storedRoot, hashedRoot tlog.Hash // of a full tile

	// first and last are the entries, by place in the slab, on which the two differ; first is -1 where they do not.
	first, last int

	stamps   []stamp // of the entries, where they are those of the tile
	findings []Finding
}

// from is the index of the slab's first entry.
func (s *slab) from() uint64 { return s.index * tileWidth }

// all is a finding about every entry of the slab.
func (s *slab) all(kind Kind, level int, problem string) Finding {
	return Finding{Kind: kind, First: s.from(), Last: s.from() + uint64(s.width) - 1, File: tilePath(level, s.index, s.width), Problem: problem}
}

// loader reads and hashes slabs. It keeps nothing between them but the cache, so several may be loaded at once.
type loader struct {
	source Source
	cache  *Cache
	// compare gives the first and last place at which the hashes of entries differ from those of the tile, -1 where none does.
	compare func(stored, hashed []tlog.Hash) (first, last int)
}

// load reads the tile, the bundle and what lies beside them.
func (l *loader) load(ctx context.Context, index uint64, width int) (*slab, error) {
	s := &slab{index: index, width: width, first: -1}
	tile, err := l.tile(ctx, s)
	if err != nil {
		return nil, err
	}
	if !l.source.HasEntries() {
		s.fromTile(tile)
		return s, l.leftovers(ctx, s, 0, tile, tlog.HashSize)
	}
	bundle, err := l.bundle(ctx, s)
	if err != nil {
		return nil, err
	}
	key := l.cache.keyOf(width, tile, bundle)
	if seen := l.cache.get(key); seen != nil && len(s.findings) == 0 {
		s.stored, s.hashed, s.storedRoot, s.hashedRoot, s.stamps = seen.stored, seen.hashed, seen.storedRoot, seen.hashedRoot, seen.stamps
	} else {
		s.fromTile(tile)
		l.fromBundle(s, bundle)
		if len(s.findings) == 0 && s.first < 0 {
			l.cache.put(key, s)
		}
	}
	if len(s.findings) > 0 || s.first >= 0 {
		return s, nil // what is beside them could only be compared with what is wrong itself
	}
	if err := l.leftovers(ctx, s, 0, tile, tlog.HashSize); err != nil {
		return nil, err
	}
	return s, l.leftovers(ctx, s, entryLevel, bundle, 0)
}

// read gives a resource of a width: as such, or else cut from the full one that has replaced it. The width is that of what was read.
func read(ctx context.Context, source Source, level int, index uint64, width int) (raw []byte, got int, err error) {
	raw, err = source.Tile(ctx, level, index, width)
	if errors.Is(err, fs.ErrNotExist) && width < tileWidth {
		width = tileWidth
		raw, err = source.Tile(ctx, level, index, width)
	}
	return raw, width, err
}

// readTile gives the first width hashes of a tile. The problem is empty when they could be had.
func readTile(ctx context.Context, source Source, level int, index uint64, width int) (raw []byte, problem string, err error) {
	raw, got, err := read(ctx, source, level, index, width)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, "the tile is missing", nil
	case err != nil:
		return nil, "", err
	case len(raw) != got*tlog.HashSize:
		return nil, fmt.Sprintf("the tile is %d bytes long instead of %d", len(raw), got*tlog.HashSize), nil
	}
	return raw[:width*tlog.HashSize], "", nil
}

func (l *loader) tile(ctx context.Context, s *slab) ([]byte, error) {
	raw, problem, err := readTile(ctx, l.source, 0, s.index, s.width)
	if problem != "" {
		s.findings = append(s.findings, s.all(Tile, 0, problem))
	}
	return raw, err
}

// bundle reads the entries' bundle and cuts it to the slab's width.
func (l *loader) bundle(ctx context.Context, s *slab) ([]byte, error) {
	raw, got, err := read(ctx, l.source, entryLevel, s.index, s.width)
	if errors.Is(err, fs.ErrNotExist) {
		s.findings = append(s.findings, s.all(Entry, entryLevel, "the entries are missing"))
		return nil, nil
	}
	if err == nil && got != s.width {
		raw = raw[:lengthOf(raw, s.width)]
	}
	return raw, err
}

// split gives the next entry of a bundle: two bytes of length, then the entry.
func split(raw []byte) (entry, rest []byte, ok bool) {
	if len(raw) < 2 {
		return nil, nil, false
	}
	n := 2 + int(binary.BigEndian.Uint16(raw))
	if len(raw) < n {
		return nil, nil, false
	}
	return raw[2:n], raw[n:], true
}

// lengthOf is how many bytes the first entries of a bundle take, all of it where it has fewer.
func lengthOf(raw []byte, entries int) int {
	rest := raw
	for range entries {
		_, next, ok := split(rest)
		if !ok {
			return len(raw)
		}
		rest = next
	}
	return len(raw) - len(rest)
}

func (s *slab) fromTile(raw []byte) {
	if raw == nil {
		return
	}
	s.stored = hashesOf(raw)
	if s.width == tileWidth {
		s.storedRoot = perfectRoot(s.stored)
	}
}

// fromBundle hashes the entries, compares them with the tile, and reads those that are the tile's.
func (l *loader) fromBundle(s *slab, raw []byte) {
	if raw == nil {
		return
	}
	entries := make([][]byte, 0, s.width)
	hashed := make([]tlog.Hash, 0, s.width)
	for range s.width {
		entry, rest, ok := split(raw)
		if !ok {
			break
		}
		entries, hashed, raw = append(entries, entry), append(hashed, tlog.RecordHash(entry)), rest
	}
	if s.stored != nil {
		s.first, s.last = l.compare(s.stored, hashed)
	}
	if len(hashed) == s.width {
		s.hashed = hashed
		s.rootOfHashed()
	}
	switch {
	case s.first >= 0:
	case len(hashed) < s.width:
		s.cutShort(len(hashed), "the bundle ends before these entries")
	case len(raw) > 0:
		s.cutShort(s.width-1, "the bundle goes on after its last entry")
	default:
		s.readLeaves(entries)
	}
}

// cutShort reports a bundle whose length is wrong, from a place in the slab on.
func (s *slab) cutShort(place int, problem string) {
	f := s.all(Entry, entryLevel, problem)
	f.First += uint64(place)
	s.findings = append(s.findings, f)
}

func (s *slab) rootOfHashed() {
	switch {
	case s.width < tileWidth:
	case s.stored != nil && s.first < 0:
		s.hashedRoot = s.storedRoot
	default:
		s.hashedRoot = perfectRoot(s.hashed)
	}
}

func (s *slab) readLeaves(entries [][]byte) {
	s.stamps = make([]stamp, len(entries))
	for i, entry := range entries {
		var problem string
		if s.stamps[i], problem = stampOf(entry); problem != "" {
			at := s.from() + uint64(i)
			s.findings = append(s.findings, Finding{Kind: Leaf, First: at, Last: at, File: tilePath(entryLevel, s.index, s.width), Problem: problem})
		}
	}
}

// differences compares the hashes of the entries that could be read with those of the tile.
func differences(stored, hashed []tlog.Hash) (first, last int) {
	first, last = -1, -1
	for i, h := range hashed {
		if h != stored[i] {
			if first < 0 {
				first = i
			}
			last = i
		}
	}
	return first, last
}

// leftovers compares the partial files that lie beside a resource with it: what both have must be the same. The unit is the length of a
// hash, or 0 for entries.
func (l *loader) leftovers(ctx context.Context, s *slab, level int, raw []byte, unit int) error {
	widths, err := l.source.Partials(ctx, level, s.index)
	if err != nil || raw == nil {
		return err
	}
	for _, w := range widths {
		if w == s.width {
			continue
		}
		other, err := l.source.Tile(ctx, level, s.index, w)
		if errors.Is(err, fs.ErrNotExist) {
			continue // tidied away meanwhile
		}
		if err != nil {
			return err
		}
		if at, same := agree(raw, other, s.width, w, unit); !same {
			kind := Tile
			if level == entryLevel {
				kind = Entry
			}
			index := s.from() + uint64(at)
			s.findings = append(s.findings, Finding{Kind: kind, First: index, Last: index, File: tilePath(level, s.index, w),
				Problem: "the partial file contradicts the one that the checkpoint rests on"})
		}
	}
	return nil
}

// agree reports whether a resource of a width and another one say the same as far as both reach, and if not, at which entry they part.
func agree(raw, other []byte, width, otherWidth, unit int) (at int, same bool) {
	whole := len(other) == otherWidth*unit
	if unit == 0 {
		whole = otherWidth > width || lengthOf(raw, otherWidth) == len(other)
	}
	n := min(len(raw), len(other))
	if bytes.Equal(raw[:n], other[:n]) && whole {
		return 0, true
	}
	common := 0
	for common < n && raw[common] == other[common] {
		common++
	}
	if unit > 0 {
		return min(common/unit, width-1), false
	}
	for at < width-1 && lengthOf(raw, at+1) <= common {
		at++
	}
	return at, false
}
