package audit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"
)

// RetentionIndex is what dropping a shard needs of an index.
type RetentionIndex interface {
	Window(ctx context.Context, from uint64, limit int) ([]Row, error)
	// Numbers returns the last number of each controller that has an entry before a place.
	Numbers(ctx context.Context, end uint64) (map[ControllerID]uint64, error)
	// Drop removes the rows of a shard that was dropped, and those of no other; and it makes the index go on behind it, also one that
	// never had those rows. It may be called again, to finish.
	Drop(ctx context.Context, t Tombstone) error
}

// RetentionLog is what dropping a shard needs of a log.
type RetentionLog interface {
	Sharded
	// Covered gives the places up to which checkpoints reach.
	Covered(ctx context.Context) (published, witnessed uint64, err error)
	// Bury drops the oldest shard that is not dropped yet: a tombstone takes its place.
	Bury(ctx context.Context, t Tombstone) error
}

// Acceptor takes the event that a shard is dropped; see Recorder.
type Acceptor interface {
	Accept(ctx context.Context, events []Event) ([]Receipt, error)
}

// Retention drops shards whose time is over, the oldest one first. It is the only thing that removes anything from the log: a whole year,
// never an entry; what it removes, and that, is recorded before.
type Retention struct {
	// Years is how many whole years are kept beside the current one; 0: all.
	Years int
	Index RetentionIndex
	// Entries finds what was recorded a moment ago.
	Entries  Finder
	Log      RetentionLog
	Recorder Acceptor
	Clock    Clock
	// Poll is how often the log is asked whether a checkpoint covers the event.
	Poll time.Duration
	// Step, unless nil, is told of each step once it is done. Tests end the process there.
	Step func(step string)
}

// The steps, as Retention.Step is told.
const (
	StepRecorded = "recorded" // the log has the event
	StepRemoved  = "removed"  // and the index has no rows of the shard
)

// Apply makes the index know which shards were dropped. It comes before the index follows the log.
func (r *Retention) Apply(ctx context.Context) error {
	shards, err := r.Log.Shards(ctx)
	if err != nil {
		return err
	}
	for _, s := range shards {
		if s.Tombstone == nil {
			break
		}
		if err := r.Index.Drop(ctx, *s.Tombstone); err != nil {
			return err
		}
	}
	return nil
}

// Run drops every shard whose time is over, and finishes what was begun whatever the setting is now. It returns how many it dropped.
func (r *Retention) Run(ctx context.Context) (dropped int, err error) {
	for {
		shards, err := r.Log.Shards(ctx)
		if err != nil {
			return dropped, err
		}
		numbers, next := map[ControllerID]uint64{}, -1
		for i, s := range shards {
			if s.Tombstone == nil {
				next = i
				break
			}
			numbers = s.Tombstone.Numbers
		}
		if next < 0 || !shards[next].Sealed {
			return dropped, nil
		}
		if done, err := r.drop(ctx, shards[next], numbers); err != nil || !done {
			return dropped, err
		}
		dropped++
	}
}

// drop drops a shard if its time is over or its drop was begun.
func (r *Retention) drop(ctx context.Context, s Shard, before map[ControllerID]uint64) (done bool, err error) {
	id := dropID(s)
	recorded, err := r.Entries.Get(ctx, "", id)
	begun := err == nil
	if err != nil && !errors.Is(err, ErrNotFound) {
		return false, err
	}
	t := Tombstone{Origin: s.Origin, Size: s.Head.Size, Root: s.Head.Root, First: s.First, Numbers: maps.Clone(before)}
	if t.Start, err = r.received(ctx, s.First); err == nil {
		t.End, err = r.received(ctx, s.End()-1)
	}
	if err != nil {
		return false, err
	}
	if over := r.Years > 0 && t.End.Year() < r.Clock.Now().UTC().Year()-r.Years; !over && !begun {
		return false, nil
	}
	numbers, err := r.Index.Numbers(ctx, s.End())
	if err != nil {
		return false, err
	}
	maps.Copy(t.Numbers, numbers)
	if !begun {
		if recorded, err = r.record(ctx, dropEvent(id, t, canonicalTime(r.Clock.Now()))); err != nil {
			return false, err
		}
	}
	if recorded.Action != DropAction || recorded.Detail[detailNumbers] != t.NumbersDigest() {
		return false, fmt.Errorf("%w: what is recorded of the drop of %s is not what it has", ErrDiverged, s.Origin)
	}
	t.Dropped, t.Position = recorded.ReceivedTime, recorded.Index
	if err := r.published(ctx, t.Position); err != nil {
		return false, err
	}
	r.step(StepRecorded)
	if err := r.Log.Bury(ctx, t); err != nil {
		return false, err
	}
	if err := r.Index.Drop(ctx, t); err != nil {
		return false, err
	}
	r.step(StepRemoved)
	return true, nil
}

func (r *Retention) step(name string) {
	if r.Step != nil {
		r.Step(name)
	}
}

// received is when an entry was received.
func (r *Retention) received(ctx context.Context, position uint64) (time.Time, error) {
	rows, err := r.Index.Window(ctx, position, 1)
	if err != nil {
		return time.Time{}, err
	}
	if len(rows) == 0 || rows[0].Index != position {
		return time.Time{}, fmt.Errorf("%w: the index has no row for index %d", ErrDiverged, position)
	}
	return rows[0].Keys.ReceivedTime, nil
}

// record puts the event into the log and finds it there.
func (r *Retention) record(ctx context.Context, e Event) (Record, error) {
	receipts, err := r.Recorder.Accept(ctx, []Event{e})
	if err != nil {
		return Record{}, err
	}
	if receipts[0].Status == Conflict {
		return Record{}, fmt.Errorf("%w: another event has the id of a shard's drop", ErrDiverged)
	}
	return r.Entries.Get(ctx, "", e.ID)
}

// published waits until a checkpoint covers a place.
func (r *Retention) published(ctx context.Context, position uint64) error {
	for {
		published, _, err := r.Log.Covered(ctx)
		if err != nil || published > position {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(r.Poll):
		}
	}
}

// The details of a drop, beside those of the shard.
const (
	detailStart   = "startTime"
	detailEnd     = "endTime"
	detailNumbers = "numbersSha256"
)

// dropEvent is the event that a shard is dropped: its final checkpoint, its period, and a digest of each controller's last number, which
// the tombstone has.
func dropEvent(id EventID, t Tombstone, at time.Time) Event {
	return Event{
		ID: id, Service: logService, Actor: Actor{Kind: ActorService, Ref: logService}, Action: DropAction, Kind: KindDelete, Outcome: OutcomeOK, OccurredTime: at,
		Detail: map[string]string{
			"origin": t.Origin, "size": strconv.FormatUint(t.Size, 10), "root": hex.EncodeToString(t.Root), detailFirst: strconv.FormatUint(t.First, 10),
			detailStart: stampOf(t.Start), detailEnd: stampOf(t.End), detailNumbers: t.NumbersDigest(),
		},
	}
}

// dropID is the id of the event of a shard's drop, which follows from the shard: so it is recorded once, however often it is begun.
func dropID(s Shard) EventID {
	h := sha256.New()
	fmt.Fprintf(h, "%s\n%s\n%d\n%x", DropAction, s.Origin, s.Head.Size, s.Head.Root)
	sum := h.Sum(nil)
	sum[6], sum[8] = sum[6]&0x0f|0x80, sum[8]&0x3f|0x80 // a UUID of version 8
	x := hex.EncodeToString(sum[:16])
	return EventID(x[:8] + "-" + x[8:12] + "-" + x[12:16] + "-" + x[16:20] + "-" + x[20:])
}
