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
	nodes := dossier.NewNodes(g.head.Size, func(level, index uint64, width uint8) ([]byte, error) {
		return g.Log.Tile(g.ctx, level, index, width)
	})
	buffer := bufio.NewWriterSize(spool, 1<<16)
	err = g.w.Member(dossier.LeavesPath, func(w io.Writer) error {
		root, err := dossier.Fold(g.head.Size, g.wanted(w), func(lo, hi uint64) (dossier.Hash, error) {
			h, err := nodes.Part(lo, hi)
			if err == nil {
				g.manifest.Counts.Hashes++
				_, err = buffer.Write(h[:])
			}
			return h, err
		})
		if err == nil && !bytes.Equal(root[:], g.head.Root) {
			err = fmt.Errorf("%w: the index has other entries than the log", ErrContradiction)
		}
		return err
	})
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

// wanted reads the entries from the last one before the period to the first one after it, and writes them to w.
func (g *gathering) wanted(w io.Writer) dossier.Wanted {
	from := g.span.Before
	if from.Number > 0 {
		from.Number-- // behind it is the last one before the period
	}
	next := g.each(from, g.span.After)
	return func() (uint64, dossier.Hash, bool, error) {
		entry, err := next()
		if errors.Is(err, io.EOF) {
			return 0, dossier.Hash{}, false, nil
		}
		if err != nil {
			return 0, dossier.Hash{}, false, err
		}
		return entry.Index, dossier.LeafHash(entry.Leaf), true, dossier.WriteLeaf(w, entry.Index, entry.Leaf)
	}
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
