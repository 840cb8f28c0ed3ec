package audit

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// A log is divided into shards, one for each calendar year (UTC) of receipt. Each shard is a tree of its own. Places run on through all
// of them, and so do the numbers of controllers: an entry's place is that of its shard's first entry and its index in the tree.

// Shard is a part of the log.
type Shard struct {
	// Year of the receipt of its entries; 0 for the first shard, which begins with the log.
	Year int
	// Origin is the name that its checkpoints carry, and Key checks them, in the text form of signed notes.
	Origin, Key string
	// First is the place of its first entry.
	First uint64
	// Sealed: its checkpoint is its last one. The last shard is the one that is not.
	Sealed bool
	// Head is the latest checkpoint. Of a dropped shard, it is what the tombstone says, without the note.
	Head Head
	// Opening is its first entry, which says what shard was before it; nil in the first one and in one that was dropped.
	Opening []byte
	// Tombstone, unless nil, stands for a shard that was dropped.
	Tombstone *Tombstone
	// Note is the tombstone as it was signed.
	Note []byte
}

// End is the place behind the shard's last entry.
func (s Shard) End() uint64 { return s.First + s.Head.Size }

// Sharded says what shards a log has.
type Sharded interface {
	// Shards gives all, in order, also those that were dropped.
	Shards(ctx context.Context) ([]Shard, error)
}

// Years turns from one shard to the next.
type Years interface {
	// Seal ends the last shard: its checkpoint covers all its entries, and nothing is ever added to it.
	Seal(ctx context.Context) (Shard, error)
	// Begin begins the shard of a year with its first entry, which is durable and integrated when it returns.
	Begin(ctx context.Context, year int, opening []byte) error
	// Settle puts right what a turn that failed has left: either it has not happened, or it is complete.
	Settle(ctx context.Context) error
}

// ErrDropped reports that an entry was in a shard that was dropped.
var ErrDropped = errors.New("audit: the entry's shard was dropped under the retention period")

// OpenAction is what a shard's first entry records, and DropAction what is recorded before a shard is dropped.
const (
	OpenAction = "log.open"
	DropAction = "log.drop"
)

// The details of the two.
const (
	detailOrigin = "previousOrigin"
	detailSize   = "previousSize"
	detailRoot   = "previousRoot"
	detailFirst  = "position"
)

// logService reports what the log does by itself.
const logService = "audit"

// openEvent is the first event of a shard: it carries the final checkpoint of the one before, so that shards are chained.
func openEvent(id EventID, before Shard, at time.Time) Event {
	return Event{
		ID: id, Service: logService, Actor: Actor{Kind: ActorService, Ref: logService}, Action: OpenAction, Kind: KindAdmin, Outcome: OutcomeOK, OccurredTime: at,
		Detail: map[string]string{
			detailOrigin: before.Origin, detailSize: strconv.FormatUint(before.Head.Size, 10),
			detailRoot: hex.EncodeToString(before.Head.Root), detailFirst: strconv.FormatUint(before.End(), 10),
		},
	}
}

// Opens checks that an entry is the first one of a shard that continues another.
func (s Shard) Opens(opening []byte) error {
	entry, err := ParseLeaf(opening)
	if err != nil {
		return err
	}
	want := openEvent(entry.ID, s, entry.OccurredTime)
	for key, value := range want.Detail {
		if entry.Detail[key] != value {
			return fmt.Errorf("%w: the first entry of a shard says another %s than that of the shard before it", ErrDiverged, key)
		}
	}
	if entry.Action != OpenAction || entry.Service != logService || entry.Controller != "" || len(entry.Detail) != len(want.Detail) {
		return fmt.Errorf("%w: the first entry of a shard does not say what shard was before it", ErrDiverged)
	}
	return nil
}

// CheckOrigin reports whether the shards of a log of a name can be chained: the name is a detail of an event.
func CheckOrigin(origin string) error {
	if !validText(origin) || len(origin) > maxText-len("/2000") {
		return errors.New("audit: the origin may hold ASCII letters, digits and ._:~/=,- only")
	}
	return nil
}

// turnYear seals the shard of the years before and begins that of a new entry's, if the year has turned.
func (r *Recorder) turnYear(ctx context.Context) error {
	if r.opts.Years == nil || r.heads.Next == 0 {
		return nil
	}
	received := canonicalTime(r.clock.Now())
	year := received.Year()
	if year <= r.heads.LastReceived.Year() {
		return nil
	}
	r.sound = false
	before, err := r.opts.Years.Seal(ctx)
	if err != nil {
		return fmt.Errorf("audit: sealing the shard: %w", err)
	}
	if before.End() != r.heads.Next {
		return fmt.Errorf("%w: the sealed shard ends at %d and not at %d", ErrDiverged, before.End(), r.heads.Next)
	}
	d, ferr := newDraft(openEvent(EventID(r.opts.NewID()), before, received))
	if ferr != nil {
		return fmt.Errorf("audit: opening a shard: %w", ferr)
	}
	b := &batch{heads: Heads{Next: r.heads.Next, LastReceived: received, Sequences: map[ControllerID]uint64{}}, known: map[EventID]Known{}}
	r.stamp(b, &d)
	if err := r.opts.Years.Begin(ctx, year, b.entries[0].Leaf); err != nil {
		return fmt.Errorf("audit: opening a shard: %w", err)
	}
	r.sound = true
	r.count(b)
	return nil
}
