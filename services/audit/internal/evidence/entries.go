package evidence

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/privacyops/privacyops/services/audit/internal/dossier"
)

// leaves writes the entries and, on the way, finds the hashes that prove them. Those wait in a file without a name: there may be more
// of them than the memory should hold, and a ZIP takes one member after the other.
func (g *gathering) leaves() error {
	spool, err := g.Spool()
	if err != nil {
		return fmt.Errorf("evidence: spool: %w", err)
	}
	defer spool.Close()
	buffer := bufio.NewWriterSize(spool, 1<<16)
	err = g.w.Member(dossier.LeavesPath, func(w io.Writer) error { return g.trees(w, buffer) })
	if err != nil {
		return fmt.Errorf("evidence: entries: %w", err)
	}
	if err := buffer.Flush(); err != nil {
		return fmt.Errorf("evidence: spool: %w", err)
	}
	if _, err := spool.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("evidence: spool: %w", err)
	}
	return g.w.Member(dossier.ProofPath, func(w io.Writer) error {
		_, err := io.Copy(w, spool)
		return err
	})
}

// trees goes through the shards that have the entries from the last one before the period to the first one after it.
func (g *gathering) trees(leaves, hashes io.Writer) error {
	next := g.each(g.cover.from(), g.cover.After)
	entry, err := next() // there is one: that after the period
	if err != nil {
		return err
	}
	more := true
	for _, s := range g.cover.shards {
		wanted := func() (uint64, dossier.Hash, bool, error) {
			if !more || entry.Index >= s.End() {
				return 0, dossier.Hash{}, false, nil
			}
			index, leaf := entry.Index-s.First, dossier.LeafHash(entry.Leaf)
			if err := dossier.WriteLeaf(leaves, entry.Index, entry.Leaf); err != nil {
				return 0, leaf, false, err
			}
			if entry, err = next(); errors.Is(err, io.EOF) {
				more, err = false, nil
			}
			return index, leaf, true, err
		}
		if err := g.tree(s, wanted, hashes); err != nil {
			return err
		}
	}
	return nil
}

// tree computes a shard's root from the wanted entries and the hashes between them, which it writes.
func (g *gathering) tree(s Shard, wanted dossier.Wanted, hashes io.Writer) error {
	nodes := dossier.NewNodes(s.Size, func(level, index uint64, width uint8) ([]byte, error) {
		return g.Log.Tile(g.ctx, s.Year, level, index, width)
	})
	root, err := dossier.Fold(s.Size, wanted, func(lo, hi uint64) (dossier.Hash, error) {
		h, err := nodes.Part(lo, hi)
		if err == nil {
			g.manifest.Counts.Hashes++
			_, err = hashes.Write(h[:])
		}
		return h, err
	})
	if err == nil && !bytes.Equal(root[:], s.Root) {
		err = fmt.Errorf("%w: the index has other entries than the log", ErrContradiction)
	}
	return err
}

// each gives the entries behind a place up to a number, included, one after the other; io.EOF after the last. It refuses a gap.
func (g *gathering) each(at Cursor, to uint64) func() (Entry, error) {
	var page []Entry
	return func() (Entry, error) {
		if at.Number >= to {
			return Entry{}, io.EOF
		}
		if len(page) == 0 {
			var err error
			if page, err = g.Entries.Following(g.ctx, g.evidence.Controller, at, int(min(pageSize, to-at.Number))); err != nil {
				return Entry{}, err
			}
		}
		if len(page) == 0 || page[0].Number != at.Number+1 {
			return Entry{}, fmt.Errorf("%w: an entry is missing", ErrContradiction)
		}
		entry := page[0]
		page, at = page[1:], entry.Cursor
		return entry, nil
	}
}
