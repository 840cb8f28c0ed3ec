package audit

import (
	"context"
	"errors"
	"fmt"
	"maps"
)

// batch is what one turn adds to the log.
type batch struct {
	heads   Heads
	entries []Placed
	// known are the events that were recorded before, and those of entries.
	known map[EventID]Known
	bytes int
}

// record puts the new events of drafted reports into the log and gives every event its receipt.
func (r *Recorder) record(ctx context.Context, calls []*report) error {
	if err := r.follower.failed(); err != nil {
		return err
	}
	if !r.sound {
		if err := r.recover(ctx); err != nil {
			return fmt.Errorf("%w: %w", ErrBusy, err)
		}
	}
	known, err := r.lookUp(ctx, calls)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBusy, err)
	}
	if r.news(calls, known) {
		if err := r.turnYear(ctx); err != nil {
			return r.turning(err)
		}
	}
	b := r.number(calls, known)
	if len(b.entries) == 0 {
		return nil
	}
	if !r.follower.room() {
		return fmt.Errorf("%w: the index is too far behind the log", ErrBusy)
	}
	return r.add(ctx, b)
}

// lookUp finds the events that were recorded before. What the follower does not know any more when it is asked, the index knows when
// it is asked after it; and nobody else records meanwhile.
func (r *Recorder) lookUp(ctx context.Context, calls []*report) (map[EventID]Known, error) {
	known := map[EventID]Known{}
	var ids []EventID
	for _, c := range calls {
		for i := range c.events {
			id := c.events[i].ID
			if k, recent := r.follower.recent(id); recent {
				known[id] = k
			} else {
				ids = append(ids, id)
			}
		}
	}
	indexed, err := r.index.Known(ctx, ids)
	if err != nil {
		return nil, err
	}
	maps.Copy(known, indexed)
	return known, nil
}

// number stamps the events that are new and writes the receipts of all, as they will hold once the log has the batch.
func (r *Recorder) number(calls []*report, known map[EventID]Known) *batch {
	events := 0
	for _, c := range calls {
		events += len(c.drafts)
	}
	b := &batch{heads: Heads{Next: r.heads.Next, LastReceived: r.heads.LastReceived, Sequences: map[ControllerID]uint64{}}, known: known,
		entries: make([]Placed, 0, events)}
	if now := canonicalTime(r.clock.Now()); now.After(b.heads.LastReceived) {
		b.heads.LastReceived = now
	}
	for _, c := range calls {
		for i := range c.drafts {
			c.receipts[i] = r.stamp(b, &c.drafts[i])
		}
	}
	return b
}

// stamp makes an entry of an event unless it is known, and returns its receipt.
func (r *Recorder) stamp(b *batch, d *draft) Receipt {
	id, c := d.event.ID, d.event.Controller
	if k, again := b.known[id]; again {
		if k.Digest != d.digest {
			return Receipt{ID: id, Status: Conflict}
		}
		return Receipt{id, Duplicate, k.ReceivedTime, k.ControllerSequence}
	}
	last, begun := b.heads.Sequences[c]
	if !begun {
		last = r.heads.Sequences[c]
	}
	sequence, received := last+1, b.heads.LastReceived
	b.heads.Sequences[c] = sequence
	leaf := stamped(d.leaf, d.stamps, sequence, received)
	b.entries = append(b.entries, Placed{
		Entry: Entry{Event: d.event, ReceivedTime: received, ControllerSequence: sequence},
		Leaf:  leaf, Digest: d.digest, Index: b.heads.Next,
	})
	b.heads.Next++
	b.bytes += len(leaf)
	b.known[id] = Known{d.digest, received, sequence}
	return Receipt{id, Accepted, received, sequence}
}

// add adds a batch to the log and, once the log has it, counts what it has used and hands it to the follower. After an error the
// log's end is read before anything else is added.
func (r *Recorder) add(ctx context.Context, b *batch) error {
	leaves := make([][]byte, len(b.entries))
	for i := range b.entries {
		leaves[i] = b.entries[i].Leaf
	}
	r.sound = false
	indices, err := r.log.Append(ctx, leaves)
	if err != nil {
		return fmt.Errorf("audit: adding to the log: %w", err)
	}
	for i, index := range indices {
		if index != b.entries[i].Index {
			err := fmt.Errorf("%w: the entry for index %d is at index %d", ErrDiverged, b.entries[i].Index, index)
			r.follower.fail(err)
			return err
		}
	}
	r.sound = true
	r.count(b)
	r.note(b)
	return nil
}

// note keeps how large a batch was, and when it was in the log.
func (r *Recorder) note(b *batch) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last.at, r.last.events, r.last.bytes = r.clock.Now(), len(b.entries), b.bytes
}

// count takes over what a batch that the log has has used, and hands it to the follower.
func (r *Recorder) count(b *batch) {
	r.heads.Next, r.heads.LastReceived = b.heads.Next, b.heads.LastReceived
	maps.Copy(r.heads.Sequences, b.heads.Sequences)
	r.follower.take(b.entries)
}

// news reports whether any of the events is new.
func (r *Recorder) news(calls []*report, known map[EventID]Known) bool {
	for _, c := range calls {
		for i := range c.drafts {
			if _, again := known[c.drafts[i].event.ID]; !again {
				return true
			}
		}
	}
	return false
}

// turning is what a failure at the turn of the year means: nothing of the reports is in the log.
func (r *Recorder) turning(err error) error {
	if errors.Is(err, ErrDiverged) {
		r.follower.fail(err)
		return err
	}
	return fmt.Errorf("%w: %w", ErrBusy, err)
}

// Restore records entries that were stamped before and that the log lacks, those of a store from before the log came first. They
// keep their stamps, which continue the log. It is called after Recover and before anything is accepted.
func (r *Recorder) Restore(ctx context.Context, leaves [][]byte) error {
	r.turn <- struct{}{}
	defer func() { <-r.turn }()
	for _, raw := range leaves {
		entry, err := PlacedLeaf(r.heads.Next, raw)
		if err != nil {
			return fmt.Errorf("%w: an entry that waits: %w", ErrDiverged, err)
		}
		known, err := r.index.Known(ctx, []EventID{entry.ID})
		if err != nil {
			return err
		}
		if _, recorded := known[entry.ID]; recorded {
			continue
		}
		if entry.ControllerSequence != r.heads.Sequences[entry.Controller]+1 {
			return fmt.Errorf("%w: an entry that waits does not continue its controller's numbers", ErrDiverged)
		}
		if _, err := r.log.Append(ctx, [][]byte{raw}); err != nil {
			return fmt.Errorf("audit: adding to the log: %w", err)
		}
		if err := r.recover(ctx); err != nil {
			return err
		}
	}
	return nil
}
