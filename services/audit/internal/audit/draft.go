package audit

import (
	"context"
	"crypto/sha256"
	"fmt"
)

// draft is an event on its way to become an entry: its leaf is written but for the two stamps, which are known last.
type draft struct {
	event  Event
	leaf   []byte
	stamps stamps
	digest [sha256.Size]byte
}

// newDraft writes the leaf of an event, which is valid and sealed if it is to be. It refuses one that is too long.
func newDraft(e Event) (draft, *FieldError) {
	leaf, at := writeEvent(&e)
	d := draft{event: e, leaf: leaf, stamps: at}
	if e.IsSealed() { // known again by its open part
		d.digest = e.Digest()
	} else {
		d.digest = sha256.Sum256(leaf)
	}
	return d, e.fits(len(leaf) + stampsLength)
}

// draft seals the events of reports and writes their leaves, and returns the reports that go on. All are sealed at once: what that
// takes for each event is little beside what it takes for each call. Where it fails each report is tried alone, so that the keys of
// one controller stop nobody else.
func (r *Recorder) draft(ctx context.Context, calls []*report) (drafted []*report) {
	if err := r.seal(ctx, calls); err != nil {
		for _, c := range calls {
			c.err = r.seal(ctx, []*report{c})
		}
	}
	for _, c := range calls {
		if c.err == nil {
			c.err = c.write()
		}
		if c.err == nil {
			drafted = append(drafted, c)
		}
	}
	return drafted
}

// seal seals the events of reports, if they are to be.
func (r *Recorder) seal(ctx context.Context, calls []*report) error {
	if r.opts.Sealer == nil {
		return nil
	}
	n := 0
	for _, c := range calls {
		n += len(c.events)
	}
	events := make([]Event, 0, n)
	for _, c := range calls {
		events = append(events, c.events...)
	}
	sealed, err := r.opts.Sealer.Seal(ctx, events)
	if err != nil {
		return fmt.Errorf("audit: sealing events: %w", err)
	}
	for _, c := range calls {
		sealed = sealed[copy(c.events, sealed):]
	}
	return nil
}

// write writes the leaves of a report.
func (c *report) write() error {
	c.drafts = make([]draft, len(c.events))
	for i, e := range c.events {
		var err *FieldError
		if c.drafts[i], err = newDraft(e); err != nil {
			return &InvalidEventError{i, err}
		}
	}
	return nil
}

// size is about how long the event's leaf will be.
func (e *Event) size() int {
	n := 700 + 100*len(e.SubjectRefs)
	for key, value := range e.Detail {
		n += len(key) + len(value)
	}
	if e.Batch != nil {
		n += 170 * len(e.Batch.Decisions)
	}
	return n
}
