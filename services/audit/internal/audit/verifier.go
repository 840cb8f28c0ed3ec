package audit

import (
	"bytes"
	"context"
	"fmt"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
)

// Report is the result of comparing the log with its index.
type Report struct {
	// Checked is how many leaves of the log were read.
	Checked uint64
	// Root is the root of the tree over all of them (RFC 9162 section 2.1.1), recomputed from the leaves.
	Root []byte
	// Finding is the first contradiction; nil if there is none.
	Finding *Finding
}

// Finding is a contradiction between the log and its index.
type Finding struct {
	// Index of the log at which it shows.
	Index uint64
	// Problem says what is wrong; it holds no content of an entry.
	Problem string
}

// Verifier compares the log with its index.
type Verifier struct {
	index Index
	log   Log
	batch int
}

// NewVerifier returns a verifier.
func NewVerifier(index Index, log Log) *Verifier { return &Verifier{index: index, log: log, batch: 256} }

// Verify replays the log into a model and compares the index with it row by row: every leaf of the log has exactly one
// row, with the same bytes and with keys that follow from them; every event stands once; the numbers of each controller
// run on without gaps; time does not run backwards. It compares the first `size` leaves and stops at the first finding.
//
// Memory: 16 bytes and an id per event, for the check that each stands once.
func (v *Verifier) Verify(ctx context.Context, size uint64) (Report, error) {
	replay := newReplay()
	for replay.next < size {
		from := replay.next
		leaves, err := v.log.Leaves(ctx, from, int(min(uint64(v.batch), size-from)))
		if err != nil {
			return Report{}, fmt.Errorf("audit: reading the log at %d: %w", from, err)
		}
		rows, err := v.index.Window(ctx, from, len(leaves))
		if err != nil {
			return Report{}, fmt.Errorf("audit: reading the index at %d: %w", from, err)
		}
		for i, raw := range leaves {
			if problem := replay.take(raw, rowAt(rows, i, from+uint64(i))); problem != "" {
				return replay.report(&Finding{from + uint64(i), problem})
			}
		}
	}
	rows, err := v.index.Window(ctx, size, 1)
	if err != nil {
		return Report{}, fmt.Errorf("audit: reading the index at %d: %w", size, err)
	}
	if actual, err := v.log.Size(ctx); err != nil {
		return Report{}, fmt.Errorf("audit: reading the size of the log: %w", err)
	} else if len(rows) > 0 && rows[0].Index >= actual {
		return replay.report(&Finding{rows[0].Index, "the index has an entry that the log does not have"})
	}
	return replay.report(nil)
}

// rowAt returns the row of a window that is at index, if there is one.
func rowAt(rows []Record, i int, index uint64) *Record {
	for ; i >= 0; i-- {
		if i < len(rows) && rows[i].Index == index {
			return &rows[i]
		}
	}
	return nil
}

// replay is the model that the log is replayed into.
type replay struct {
	next      uint64
	seen      map[EventID]struct{}
	sequences map[ControllerID]uint64
	last      Entry
	tree      *compact.Range
}

func newReplay() *replay {
	factory := compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
	return &replay{seen: map[EventID]struct{}{}, sequences: map[ControllerID]uint64{}, tree: factory.NewEmptyRange(0)}
}

// take checks the next leaf of the log and its row, and says what is wrong with them, if anything.
func (r *replay) take(raw []byte, row *Record) string {
	entry, err := ParseLeaf(raw)
	if err != nil {
		return "the leaf cannot be read"
	}
	if _, twice := r.seen[entry.ID]; twice {
		return "the event stands in the log twice"
	}
	if entry.ControllerSequence != r.sequences[entry.Controller]+1 {
		return "the controller's numbers have a gap or a repetition"
	}
	if entry.ReceivedTime.Before(r.last.ReceivedTime) {
		return "the time of receipt runs backwards"
	}
	if problem := compareRow(entry, raw, row); problem != "" {
		return problem
	}
	if err := r.tree.Append(rfc6962.DefaultHasher.HashLeaf(raw), nil); err != nil {
		return "the tree cannot take the leaf"
	}
	r.seen[entry.ID] = struct{}{}
	r.sequences[entry.Controller] = entry.ControllerSequence
	r.last = entry
	r.next++
	return ""
}

func compareRow(entry Entry, raw []byte, row *Record) string {
	switch {
	case row == nil:
		return "the index has no entry for this leaf"
	case !bytes.Equal(row.Leaf, raw):
		return "the index holds other bytes than the log"
	case !row.Keys.equal(KeysOf(entry)):
		return "the index finds the entry by keys that are not its own"
	}
	return ""
}

func (r *replay) report(f *Finding) (Report, error) {
	root, err := r.tree.GetRootHash(nil)
	if err != nil {
		return Report{}, fmt.Errorf("audit: computing the root: %w", err)
	}
	if r.next == 0 {
		root = rfc6962.DefaultHasher.EmptyRoot()
	}
	return Report{Checked: r.next, Root: root, Finding: f}, nil
}
