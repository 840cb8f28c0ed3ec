package logcheck

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// difference is a place of a tile from level 1 on where something else stands than what is computed from below.
type difference struct {
	level       int
	index       uint64 // of the tile
	width       int
	first, last int // places
}

// entries are the entries below a place of the tile.
func (d difference) entries(first, last int) (uint64, uint64) {
	shift := 8 * d.level
	from := d.index*tileWidth + uint64(first)
	return from << shift, (d.index*tileWidth+uint64(last)+1)<<shift - 1
}

// memo is the last tile of level 1 that was asked for.
type memo struct {
	index  uint64
	hashes []tlog.Hash
}

// take goes one slab on.
func (c *checker) take(ctx context.Context, s *slab) error {
	c.report.add(s.findings...)
	if s.stored == nil && s.hashed == nil {
		return errBroken
	}
	c.number(s)
	if c.o.Progress != nil {
		c.o.Progress(s.from()+uint64(s.width), c.signed.size)
	}
	if s.width < tileWidth {
		c.edge = s
		return nil
	}
	hashes, root, err := c.choose(ctx, s)
	if err != nil {
		return err
	}
	if c.known.size >= s.from() && c.known.size < s.from()+tileWidth {
		c.rememberPast(hashes[:c.known.size-s.from()])
	}
	return c.push(ctx, 1, root)
}

func (c *checker) rememberPast(edge []tlog.Hash) {
	root := c.tree.root(edge)
	c.past = &root
}

// number checks the numbers and times of the slab's entries.
func (c *checker) number(s *slab) {
	if s.stamps == nil {
		c.numbers = nil
	}
	if c.numbers == nil {
		return
	}
	for i, stamp := range s.stamps {
		if problem := c.numbers.next(stamp); problem != "" {
			at := s.from() + uint64(i)
			c.find(Sequence, at, at, tilePath(entryLevel, s.index, s.width), problem)
		}
		if t := stamp.received; !t.IsZero() {
			if c.report.First.IsZero() || t.Before(c.report.First) {
				c.report.First = t
			}
			if t.After(c.report.Last) {
				c.report.Last = t
			}
		}
	}
	c.report.Controllers = len(c.numbers.last)
}

// choose says which hashes of a full slab the tree goes on with. Where tile and entries differ, the level above knows which is right.
func (c *checker) choose(ctx context.Context, s *slab) (hashes []tlog.Hash, root tlog.Hash, err error) {
	switch {
	case s.stored == nil:
		return s.hashed, s.hashedRoot, nil
	case s.first < 0:
		return s.stored, s.storedRoot, nil
	}
	above, err := c.above(ctx, s.index)
	switch {
	case err != nil:
		return nil, root, err
	case s.hashed != nil && above != nil && *above == s.hashedRoot:
		c.blameTile(s)
		return s.hashed, s.hashedRoot, nil
	}
	c.blameEntry(s)
	return s.stored, s.storedRoot, nil
}

func (c *checker) blameTile(s *slab) {
	c.find(Tile, s.from()+uint64(s.first), s.from()+uint64(s.last), tilePath(0, s.index, s.width), "the tile holds another hash than the entry's")
}

func (c *checker) blameEntry(s *slab) {
	c.find(Entry, s.from()+uint64(s.first), s.from()+uint64(s.last), tilePath(entryLevel, s.index, s.width), "the entry is not the one whose hash the tree holds")
}

// above is what level 1 holds for a tile of level 0; nil where that cannot be had.
func (c *checker) above(ctx context.Context, index uint64) (*tlog.Hash, error) {
	if tile := index / tileWidth; c.memo.hashes == nil || c.memo.index != tile {
		width := int(min(c.signed.size/tileWidth-tile*tileWidth, tileWidth))
		raw, problem, err := readTile(ctx, c.source, 1, tile, width)
		if err != nil || problem != "" {
			return nil, err
		}
		c.memo = memo{index: tile, hashes: hashesOf(raw)}
	}
	return &c.memo.hashes[index%tileWidth], nil
}

// push adds the root of a full tile to the level above it, and compares that level's tile when it is full.
func (c *checker) push(ctx context.Context, level int, root tlog.Hash) error {
	full := c.tree.push(level, root)
	if full == nil {
		return nil
	}
	if err := c.compareTile(ctx, level, full); err != nil {
		return err
	}
	c.tree.filled[level-1]++
	return c.push(ctx, level+1, perfectRoot(full))
}

// compareTile compares the next tile of a level with what was computed from below.
func (c *checker) compareTile(ctx context.Context, level int, nodes []tlog.Hash) error {
	d := difference{level: level, index: c.tree.filled[level-1], width: len(nodes)}
	raw, problem, err := readTile(ctx, c.source, level, d.index, d.width)
	if err != nil {
		return err
	}
	first, last := d.entries(0, d.width-1)
	file := tilePath(level, d.index, d.width)
	if problem != "" {
		c.find(Tile, first, last, file, problem)
		return nil
	}
	if d.first, d.last = differences(hashesOf(raw), nodes); d.first >= 0 {
		c.upper = append(c.upper, d)
		return nil
	}
	beside := &slab{index: d.index, width: d.width, first: -1}
	if err := c.leftovers(ctx, beside, level, raw, tlog.HashSize); err != nil {
		return err
	}
	for _, f := range beside.findings {
		f.First, f.Last = d.entries(int(f.First-beside.from()), int(f.First-beside.from()))
		c.report.add(f)
	}
	return nil
}

// finish compares what is left at the right edge, the root, and the past.
func (c *checker) finish(ctx context.Context) error {
	for i, nodes := range c.tree.levels {
		if len(nodes) > 0 {
			if err := c.compareTile(ctx, i+1, nodes); err != nil {
				return err
			}
		}
	}
	edge, sound := c.chooseEdge()
	if c.past == nil && c.known.size <= c.signed.size {
		c.rememberPast(edge[:c.known.size-(c.signed.size-uint64(len(edge)))])
	}
	if sound {
		c.blameUpper()
	} else {
		c.blameLower()
	}
	if sound && c.past != nil && c.o.Known != nil && *c.past != c.known.root {
		c.find(Fork, 0, lastOf(c.known.size), "checkpoint", "the log is not the one that the earlier checkpoint was signed for")
	}
	return nil
}

// chooseEdge says which hashes of the right edge are the signed ones, and whether the root is the one that was signed.
func (c *checker) chooseEdge() (edge []tlog.Hash, sound bool) {
	s := c.edge
	switch {
	case s == nil:
		return nil, c.tree.root(nil) == c.signed.root
	case s.stored == nil:
		return s.hashed, c.tree.root(s.hashed) == c.signed.root
	case s.first >= 0 && s.hashed != nil && c.tree.root(s.hashed) == c.signed.root:
		c.blameTile(s)
		return s.hashed, true
	case s.first >= 0:
		c.blameEntry(s)
	}
	return s.stored, c.tree.root(s.stored) == c.signed.root
}

// blameUpper reports the differences where the root shows that level 0 is right.
func (c *checker) blameUpper() {
	for _, d := range c.upper {
		first, last := d.entries(d.first, d.last)
		c.find(Tile, first, last, tilePath(d.level, d.index, d.width), "the tile holds another hash than that of the tile below it")
	}
}

// touches reports whether a finding concerns one of these entries.
func (r *Report) touches(first, last uint64) bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.First <= last && first <= f.Last })
}

// about reports whether there is a finding of one of these kinds.
func (r *Report) about(kinds ...Kind) bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool { return slices.Contains(kinds, f.Kind) })
}

// blameLower reports what is wrong where the root shows that level 0 is not right.
func (c *checker) blameLower() {
	slices.SortStableFunc(c.upper, func(a, b difference) int { return a.level - b.level })
	var known Report // of the levels below, which come first
	for _, d := range c.upper {
		first, last := d.entries(d.first, d.last)
		if known.touches(first, last) {
			continue
		}
		file, lower := "", d.index*tileWidth+uint64(d.first)
		if d.first == d.last {
			file = tilePath(d.level-1, lower, tileWidth)
		}
		known.add(Finding{Kind: Tile, First: first, Last: last, File: file,
			Problem: fmt.Sprintf("the hashes of these entries are not those that level %d was made from", d.level)})
	}
	c.report.add(known.Findings...)
	if c.report.about(Tile, Entry) {
		return
	}
	from := uint64(0)
	if c.o.Known != nil && c.past != nil && *c.past == c.known.root && c.known.size < c.signed.size {
		from = c.known.size
	}
	c.find(Root, from, lastOf(c.signed.size), "", "the tiles agree with each other, but they are not what the checkpoint was signed for")
}
