package audit

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/rfc6962"
)

// The time that settle allows: an entry is in the index milliseconds after it is in the log.
const (
	settleTries = 40
	settlePause = 50 * time.Millisecond
)

// Report is the result of comparing the log with its index.
type Report struct {
	// Checked is how many leaves of the log were found to be right.
	Checked uint64
	// Finding is the first contradiction; nil if there is none.
	Finding *Finding
}

// Finding is a contradiction between the checkpoint, the log and its index.
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
	head  Published
	batch int
}

// NewVerifier returns a verifier of a log, its checkpoints and its index.
func NewVerifier(index Index, log Log, head Published) *Verifier {
	return &Verifier{index: index, log: log, head: head, batch: 256}
}

// Verify replays the log, as far as the latest checkpoint reaches, into a model and compares the index with it row by row:
// the leaves of each shard give the root that was signed; its first one holds the final checkpoint of the shard before it; every leaf has
// exactly one row, with the same bytes and with keys that follow from them; the numbers of each controller run on without gaps; time does
// not run backwards; and no row exists beside the log. It stops at the first finding. Memory grows with the number of controllers, not
// of entries.
func (v *Verifier) Verify(ctx context.Context) (Report, error) {
	shards, err := v.shards(ctx)
	if err != nil {
		return Report{}, fmt.Errorf("audit: reading the checkpoints: %w", err)
	}
	if err := v.settle(ctx, shards[len(shards)-1].End()); err != nil {
		return Report{}, err
	}
	replay := newReplay()
	for i, shard := range shards {
		problem, err := v.shard(ctx, replay, shards[:i], shard)
		if err != nil || problem != "" {
			return replay.report(problem), err
		}
	}
	problem, err := v.ends(ctx, shards[len(shards)-1].End())
	return replay.report(problem), err
}

// shards gives the shards of the log; one that is not divided is a shard.
func (v *Verifier) shards(ctx context.Context) ([]Shard, error) {
	if log, divided := v.head.(Sharded); divided {
		return log.Shards(ctx)
	}
	head, err := v.head.Head(ctx)
	return []Shard{{Head: head}}, err
}

// shard replays a shard, the one after those before it.
func (v *Verifier) shard(ctx context.Context, replay *replay, before []Shard, shard Shard) (problem string, err error) {
	if shard.Tombstone != nil {
		replay.skip(*shard.Tombstone)
		return "", nil
	}
	replay.tree = newReplay().tree
	for replay.next < shard.End() {
		if problem, err := v.batchInto(ctx, replay, shard.End()); err != nil || problem != "" {
			return problem, err
		}
	}
	root, err := replay.root(shard.Head.Size)
	switch {
	case err != nil:
		return "", err
	case !bytes.Equal(root, shard.Head.Root):
		return "the leaves do not give the root that was signed", nil
	case len(before) == 0 || shard.Head.Size == 0:
		return "", nil
	}
	opening, err := v.log.Leaves(ctx, shard.First, 1)
	if err != nil {
		return "", fmt.Errorf("audit: reading the log at %d: %w", shard.First, err)
	}
	if chained := len(opening) > 0 && before[len(before)-1].Opens(opening[0]) == nil; !chained {
		replay.next = shard.First // where it shows
		return "the shard does not begin with the checkpoint of the one before it", nil
	}
	return "", nil
}

// settle gives a running follower a moment to add what the checkpoint covers already.
func (v *Verifier) settle(ctx context.Context, size uint64) error {
	if size == 0 {
		return nil
	}
	for range settleTries {
		rows, err := v.index.Window(ctx, size-1, 1)
		if err != nil {
			return fmt.Errorf("audit: reading the index at %d: %w", size-1, err)
		}
		if len(rows) > 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(settlePause):
		}
	}
	return nil
}

// batchInto replays the next leaves up to size.
func (v *Verifier) batchInto(ctx context.Context, replay *replay, size uint64) (problem string, err error) {
	from := replay.next
	leaves, err := v.log.Leaves(ctx, from, int(min(uint64(v.batch), size-from)))
	if err != nil {
		return "", fmt.Errorf("audit: reading the log at %d: %w", from, err)
	}
	if len(leaves) == 0 {
		return "the log ends before its checkpoint", nil
	}
	rows, err := v.index.Window(ctx, from, len(leaves))
	if err != nil {
		return "", fmt.Errorf("audit: reading the index at %d: %w", from, err)
	}
	byIndex := make(map[uint64]*Row, len(rows))
	for i := range rows {
		byIndex[rows[i].Index] = &rows[i]
	}
	for _, raw := range leaves {
		if problem := replay.take(raw, byIndex[replay.next]); problem != "" {
			return problem, nil
		}
	}
	return "", nil
}

// ends checks what can only be checked once all leaves are replayed.
func (v *Verifier) ends(ctx context.Context, end uint64) (problem string, err error) {
	beyond, err := v.index.Window(ctx, end, 1)
	if err != nil {
		return "", fmt.Errorf("audit: reading the index at %d: %w", end, err)
	}
	size, err := v.log.Size(ctx) // after the index: an entry is in the log before it is in the index
	if err != nil {
		return "", fmt.Errorf("audit: reading the size of the log: %w", err)
	}
	strays, err := v.index.Strays(ctx)
	switch {
	case err != nil:
		return "", fmt.Errorf("audit: looking for rows beside the log: %w", err)
	case len(beyond) > 0 && beyond[0].Index >= size:
		return "the index has an entry that the log does not have", nil
	case strays > 0:
		return "the index has an entry at no place of the log", nil
	}
	return "", nil
}

// replay is the model that the log is replayed into.
type replay struct {
	next      uint64
	first     uint64 // the first place that was not dropped
	sequences map[ControllerID]uint64
	last      Entry
	tree      *compact.Range
}

func newReplay() *replay {
	factory := compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}
	return &replay{sequences: map[ControllerID]uint64{}, tree: factory.NewEmptyRange(0)}
}

// take checks the next leaf of the log and its row, and says what is wrong with them, if anything.
func (r *replay) take(raw []byte, row *Row) (problem string) {
	entry, err := ParseLeaf(raw)
	switch {
	case err != nil:
		return "the leaf cannot be read"
	case entry.ControllerSequence != r.sequences[entry.Controller]+1:
		return "the controller's numbers have a gap or a repetition"
	case entry.ReceivedTime.Before(r.last.ReceivedTime):
		return "the time of receipt runs backwards"
	case row == nil:
		return "the index has no entry for this leaf"
	case !bytes.Equal(row.Leaf, raw):
		return "the index holds other bytes than the log"
	case !row.Keys.equal(KeysOf(entry)):
		return "the index finds the entry by keys that are not its own"
	}
	if err := r.tree.Append(rfc6962.DefaultHasher.HashLeaf(raw), nil); err != nil {
		return "the tree cannot take the leaf"
	}
	r.sequences[entry.Controller] = entry.ControllerSequence
	r.last = entry
	r.next++
	return ""
}

// skip goes past a shard that was dropped.
func (r *replay) skip(t Tombstone) {
	r.next, r.first = t.After(), t.After()
	r.last = Entry{ReceivedTime: t.End}
	r.sequences = maps.Clone(t.Numbers)
}

func (r *replay) root(size uint64) ([]byte, error) {
	if size == 0 {
		return rfc6962.DefaultHasher.EmptyRoot(), nil
	}
	root, err := r.tree.GetRootHash(nil)
	if err != nil {
		return nil, fmt.Errorf("audit: computing the root: %w", err)
	}
	return root, nil
}

func (r *replay) report(problem string) Report {
	if problem == "" {
		return Report{Checked: r.next - r.first}
	}
	return Report{Checked: r.next - r.first, Finding: &Finding{r.next, problem}}
}
