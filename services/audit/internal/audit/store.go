package audit

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"reflect"
	"slices"
	"time"
)

// Errors of stores and logs.
var (
	// ErrNotFound reports that there is no such entry, or that it is another controller's.
	ErrNotFound = errors.New("audit: no such entry")
	// ErrDiverged reports that the index and the log contradict each other: one of them was altered. Nothing is added to the
	// log until someone has looked.
	ErrDiverged = errors.New("audit: the log and its index contradict each other")
	// ErrBusy reports that nothing can be accepted now: the log could not take it, or the index is too far behind.
	ErrBusy = errors.New("audit: events cannot be accepted now")
)

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

// Placed is an entry of the log and its place there: what the index is made of.
type Placed struct {
	Entry
	// Leaf is the entry's bytes in the log, and Digest what its event is known again by (Event.Digest).
	Leaf   []byte
	Digest [sha256.Size]byte
	Index  uint64
}

// PlacedLeaf returns what an index holds of the leaf at a place of the log.
func PlacedLeaf(index uint64, raw []byte) (Placed, error) {
	entry, err := ParseLeaf(raw)
	if err != nil {
		return Placed{}, err
	}
	return Placed{entry, raw, entry.Digest(), index}, nil
}

// Known is what an index knows of an event that is reported again.
type Known struct {
	Digest             [sha256.Size]byte
	ReceivedTime       time.Time
	ControllerSequence uint64
}

// Heads are the ends of what the next entries continue.
type Heads struct {
	// Next is the first place of the log that the index has no entry of; it has those of all before.
	Next uint64
	// LastReceived is the time of receipt of the last entry, and Sequences the last number of each controller.
	LastReceived time.Time
	Sequences    map[ControllerID]uint64
}

// Index follows the log: it holds a row for each entry, by which the entry is found.
type Index interface {
	// Add adds the rows of entries, all or none, when it returns durably. Their places run on from Heads.Next and their numbers
	// from Heads.Sequences; it fails with ErrDiverged when they do not, or when an event is known already.
	Add(ctx context.Context, entries []Placed) error
	// Heads returns where the index ends.
	Heads(ctx context.Context) (Heads, error)
	// Known returns those of the events that the index has an entry of.
	Known(ctx context.Context, ids []EventID) (map[EventID]Known, error)

	Finder

	// Window returns the rows from a place of the log on, at most limit, in the order of the log, without judging what they
	// hold. A place without a row is passed over.
	Window(ctx context.Context, from uint64, limit int) ([]Row, error)
	// Strays returns how many rows stand at no place that a log has. There are none in an index that nobody has altered.
	Strays(ctx context.Context) (uint64, error)
}

// Finder finds entries.
type Finder interface {
	// Get returns an entry of a controller by its event's id, or a decision of a batch by its own id, or ErrNotFound.
	Get(ctx context.Context, controller ControllerID, id EventID) (Record, error)
	// Search returns entries of q.Controller that fit q, newest first: at most q.Limit, starting after q.After. Entries
	// accepted between the pages of a search do not disturb it. In the place of a batch it returns those of its decisions that
	// fit, each as an event of its own, the last one first.
	Search(ctx context.Context, q Query) ([]Record, error)
}

// Record is an entry as a store returns it. A decision of a batch is returned as an event of its own, with the batch's time of
// receipt, number, leaf and index.
type Record struct {
	Entry
	// Place of the decision within its batch, from 0; 0 for a single event.
	Place int
	// Leaf is the entry's bytes in the log.
	Leaf []byte
	// Index is the entry's place in the log.
	Index uint64
	// Erased tells that whom it names, and what, cannot be read any more: a key was destroyed.
	Erased bool
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
	// People whom a single event names, in ascending order, each once. Of a batch, Marks holds their marks.
	People []KeyID
	Marks  []byte
	// Decisions is how many the event stands for, and IDRanges, in ascending order, cover their ids.
	Decisions int
	IDRanges  []IDRange
}

// KeysOf returns the keys of an entry.
func KeysOf(e Entry) Keys {
	k := Keys{
		ID: e.ID, Controller: e.Controller, ControllerSequence: e.ControllerSequence, ReceivedTime: e.ReceivedTime,
		Service: e.Service, Action: e.Action, Kind: e.Kind, ActorRef: e.Actor.Ref, Resource: e.Resource,
		Outcome: e.Outcome, TraceID: e.TraceID(),
	}
	people := peopleOf(e.Event)
	if e.Batch == nil {
		k.People = people
		return k
	}
	k.Marks, k.Decisions, k.IDRanges = Marks(people), len(e.Batch.Decisions), e.Batch.ranges()
	return k
}

func (k Keys) equal(o Keys) bool {
	lists := slices.Equal(k.People, o.People) && bytes.Equal(k.Marks, o.Marks) && slices.Equal(k.IDRanges, o.IDRanges)
	times := k.ReceivedTime.Equal(o.ReceivedTime)
	k.People, o.People, k.Marks, o.Marks, k.IDRanges, o.IDRanges = nil, nil, nil, nil, nil, nil
	k.ReceivedTime, o.ReceivedTime = time.Time{}, time.Time{}
	return lists && times && reflect.DeepEqual(k, o)
}

// Query is a search for entries of one controller.
type Query struct {
	Controller ControllerID
	Filter     Filter
	// SubjectRefs and People: the entry names at least one of these people, in the open or by a key; none of both means any entry.
	SubjectRefs []SubjectRef
	People      []KeyID
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

// person reports whether the search is for people.
func (q Query) person() bool { return len(q.SubjectRefs)+len(q.People) > 0 }

// Persons returns those whom the search is for as the index knows them.
func (q Query) Persons() []KeyID {
	out := slices.Clone(q.People)
	for _, ref := range q.SubjectRefs {
		out = append(out, KeyIDOf(ref))
	}
	return sortedIDs(out)
}

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
		if d := &r.Batch.Decisions[place]; q.person() && !d.about(q.People, q.SubjectRefs) {
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
	// Index of the leaf in its tree, from 0.
	Index uint64
	// TreeSize of the checkpoint.
	TreeSize uint64
	// Hashes are the siblings from the leaf up, 32 bytes each.
	Hashes [][]byte
	// Checkpoint is the signed note (C2SP tlog-checkpoint).
	Checkpoint []byte
	// First is the place of the tree's first leaf in the whole log, and Key checks the checkpoint; empty: the log's own key.
	First uint64
	Key   string
}
