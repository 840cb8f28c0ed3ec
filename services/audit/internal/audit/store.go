package audit

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"time"
)

// Errors of stores and logs.
var (
	// ErrNotFound reports that there is no such entry, or that it is another controller's.
	ErrNotFound = errors.New("audit: no such entry")
	// ErrDiverged reports that the index and the log contradict each other: one of them was altered or restored from
	// a copy. Nothing is added to the log until someone has looked.
	ErrDiverged = errors.New("audit: the log and its index contradict each other")
)

// Inbox takes events in.
type Inbox interface {
	// Accept stores events in one transaction, in their order, and returns one receipt for each. Either all that are new
	// are durable when it returns, or none is.
	//
	// A new event becomes an entry: its time of receipt is `now`, but never before that of an entry accepted earlier; its
	// number is the next of its controller; and it joins the end of the queue. An event whose id is known, also from
	// earlier in the same call, adds nothing: its receipt is that of the entry, marked Duplicate when the contents are
	// equal (Event.Digest) and Conflict when they are not.
	//
	// Concurrent calls behave as if they came one after the other.
	Accept(ctx context.Context, now time.Time, events []Event) ([]Receipt, error)
}

// ReceiptStatus says what became of a reported event.
type ReceiptStatus int

// What can become of a reported event.
const (
	// Accepted: the event is new and is now an entry.
	Accepted ReceiptStatus = iota + 1
	// Duplicate: the same event was accepted before.
	Duplicate
	// Conflict: another event was accepted under this id before; this one was refused.
	Conflict
)

// Receipt answers one reported event. With Conflict only ID and Status are set.
type Receipt struct {
	ID                 EventID
	Status             ReceiptStatus
	ReceivedTime       time.Time
	ControllerSequence uint64
}

// Queued is an entry that the log does not have yet.
type Queued struct {
	ID   EventID
	Leaf []byte
}

// Placement says at which index of the log the entry of an event is.
type Placement struct {
	ID    EventID
	Index uint64
}

// Queue is the sequencer's side of a store. Only one sequencer works on a queue at a time.
type Queue interface {
	// Pending returns the first entries of the queue, at most limit, in the order of their acceptance.
	Pending(ctx context.Context, limit int) ([]Queued, error)
	// Place notes where entries are in the log and takes them off the queue, all or none. Indices are taken in order: the next
	// one is Placed. The same placement may be noted again. It fails with ErrDiverged when an entry is already at another
	// index, an index holds another entry or one would be left out, and with ErrNotFound when there is no entry of that id.
	Place(ctx context.Context, placements []Placement) error
	// Placed returns the first index of the log that no entry is placed at; all smaller ones are taken.
	Placed(ctx context.Context) (uint64, error)
	// Adopt stores an entry found in the log but not in the store, as it is, placed at index. It serves a store that was
	// restored from a copy older than the log. It fails with ErrDiverged when the id, the number or the index is taken.
	Adopt(ctx context.Context, index uint64, entry Entry) error
}

// Index reads entries.
type Index interface {
	// Get returns an entry of a controller by its event's id, or a decision of a batch by its own id, or ErrNotFound.
	Get(ctx context.Context, controller ControllerID, id EventID) (Record, error)
	// Search returns entries of q.Controller that fit q, newest first: at most q.Limit, starting after q.After. Entries
	// accepted between the pages of a search do not disturb it. In the place of a batch it returns those of its decisions that
	// fit, each as an event of its own, the last one first.
	Search(ctx context.Context, q Query) ([]Record, error)
	// Window returns the rows of the entries placed at the log's indices from `from` on, at most limit, in the order of the
	// log, without judging what they hold. An index without an entry is passed over.
	Window(ctx context.Context, from uint64, limit int) ([]Row, error)
	// Backlog returns how many entries wait in the queue, and since when the oldest does (the zero time if none does).
	Backlog(ctx context.Context) (count uint64, oldest time.Time, err error)
	// Strays returns how many entries are neither placed nor queued. There are none in a store that nobody has altered.
	Strays(ctx context.Context) (uint64, error)
}

// Store is all of a store.
type Store interface {
	Inbox
	Queue
	Index
}

// Record is an entry as a store returns it. A decision of a batch is returned as an event of its own, with the batch's time of
// receipt, number, leaf and index.
type Record struct {
	Entry
	// Place of the decision within its batch, from 0; 0 for a single event.
	Place int
	// Leaf is the entry's bytes in the log.
	Leaf []byte
	// Placed tells whether the entry's place in the log is known yet, and Index which it is.
	Placed bool
	Index  uint64
}

// Row is what a store holds at one index of the log, as it is.
type Row struct {
	Index uint64
	Leaf  []byte
	// Keys are the columns by which the store finds the entry. Honest ones are those of KeysOf.
	Keys Keys
}

// Keys are the values by which a store finds an entry.
type Keys struct {
	ID                 EventID
	Controller         ControllerID
	ControllerSequence uint64
	ReceivedTime       time.Time
	Service            string
	Action             string
	Kind               Kind
	ActorRef           string
	Resource           string
	Outcome            Outcome
	TraceID            string
	// SubjectRefs, of the decisions too, in ascending order, each once.
	SubjectRefs []SubjectRef
	// Decisions is how many the event stands for, and IDRanges, in ascending order, cover their ids.
	Decisions int
	IDRanges  []IDRange
}

// KeysOf returns the keys of an entry.
func KeysOf(e Entry) Keys {
	k := Keys{
		ID: e.ID, Controller: e.Controller, ControllerSequence: e.ControllerSequence, ReceivedTime: e.ReceivedTime,
		Service: e.Service, Action: e.Action, Kind: e.Kind, ActorRef: e.Actor.Ref, Resource: e.Resource,
		Outcome: e.Outcome, TraceID: e.TraceID(), SubjectRefs: sortedSet(e.SubjectRefs),
	}
	if e.Batch != nil {
		k.SubjectRefs, k.Decisions, k.IDRanges = e.Batch.subjects(), len(e.Batch.Decisions), e.Batch.ranges()
	}
	return k
}

func (k Keys) equal(o Keys) bool {
	refs := slices.Equal(k.SubjectRefs, o.SubjectRefs) && slices.Equal(k.IDRanges, o.IDRanges)
	times := k.ReceivedTime.Equal(o.ReceivedTime)
	k.SubjectRefs, o.SubjectRefs, k.IDRanges, o.IDRanges = nil, nil, nil, nil
	k.ReceivedTime, o.ReceivedTime = time.Time{}, time.Time{}
	return refs && times && reflect.DeepEqual(k, o)
}

// Query is a search for entries of one controller.
type Query struct {
	Controller ControllerID
	Filter     Filter
	// SubjectRefs: the entry names at least one of these pseudonyms; none means any entry.
	SubjectRefs []SubjectRef
	// Start and End bound the time of receipt, Start included and End not; the zero time means no bound.
	Start, End time.Time
	// After continues behind the last entry of the page before; the zero cursor starts at the newest.
	After Cursor
	// Limit is the most entries that are returned; it is positive.
	Limit int
}

// Cursor is a place in a search: the last entry that was returned. Numbers never run backwards in time, so time and number
// order a controller's entries.
type Cursor struct {
	ReceivedTime       time.Time
	ControllerSequence uint64
	// Place of the decision that was returned last, within the batch of that entry; the decisions before it are still to come.
	Place int
}

// IsZero reports whether the cursor is at the beginning.
func (c Cursor) IsZero() bool { return c.ControllerSequence == 0 }

// CursorOf returns the cursor behind a record.
func CursorOf(r Record) Cursor { return Cursor{r.ReceivedTime, r.ControllerSequence, r.Place} }

// Unfold appends to `to` what a search shows of an entry that a store has found: the entry itself or, in the place of a batch,
// those of its decisions that fit the query, the last one first. It appends at most `limit` records.
func (q Query) Unfold(to []Record, r Record, limit int) []Record {
	if r.Batch == nil {
		return append(to, r)
	}
	from := len(r.Batch.Decisions)
	if q.After.ControllerSequence == r.ControllerSequence {
		from = min(from, q.After.Place)
	}
	for place := from - 1; place >= 0 && limit > 0; place-- {
		if d := &r.Batch.Decisions[place]; len(q.SubjectRefs) > 0 && !d.about(q.SubjectRefs) {
			continue
		}
		if one := r.decision(place); q.Filter.Fits(one.Event) {
			to = append(to, one)
			limit--
		}
	}
	return to
}

// Of returns what a record of an entry shows under an id: itself, or the decision of its batch that has this id.
func (r Record) Of(id EventID) (Record, bool) {
	if r.ID == id {
		return r, true
	}
	place, found := r.Batch.Find(id)
	if !found {
		return Record{}, false
	}
	return r.decision(place), true
}

func (r Record) decision(place int) Record {
	r.Place, r.Event = place, r.Event.Decision(place)
	return r
}

// Log is the append-only log of leaves.
type Log interface {
	// Append adds leaves at the end, in order, and returns the index of each once all are durable and integrated in the
	// tree. It does not return before the fate of each leaf is settled; after an error some of them may be in the log.
	Append(ctx context.Context, leaves [][]byte) ([]uint64, error)
	// Size is how many leaves are integrated.
	Size(ctx context.Context) (uint64, error)
	// Leaves returns the integrated leaves from index `from` on: at most limit, at least one unless from is the size.
	Leaves(ctx context.Context, from uint64, limit int) ([][]byte, error)
}

// Published gives proofs against signed checkpoints.
type Published interface {
	// Head returns the latest signed checkpoint, its signature checked.
	Head(ctx context.Context) (Head, error)
	// Inclusion proves that the leaf at index is in the tree of the latest checkpoint. It fails with ErrNotFound when that
	// tree is not larger than index.
	Inclusion(ctx context.Context, index uint64) (Inclusion, error)
}

// Head is a signed checkpoint.
type Head struct {
	// Size of the tree.
	Size uint64
	// Root of the tree (RFC 9162 section 2.1.1), 32 bytes.
	Root []byte
	// Checkpoint is the signed note (C2SP tlog-checkpoint).
	Checkpoint []byte
}

// Inclusion is an inclusion proof (RFC 9162 section 2.1.3) and the checkpoint it leads to.
type Inclusion struct {
	// Index of the leaf, from 0.
	Index uint64
	// TreeSize of the checkpoint.
	TreeSize uint64
	// Hashes are the siblings from the leaf up, 32 bytes each.
	Hashes [][]byte
	// Checkpoint is the signed note (C2SP tlog-checkpoint).
	Checkpoint []byte
}
