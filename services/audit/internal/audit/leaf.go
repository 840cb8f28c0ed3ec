package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// The schemas open every leaf, so that its bytes mean nothing else. Which one it is says how people are named: in the first form
// by pseudonym, in the open (what was written before there were keys for people) or not at all; in the second by their keys.
const (
	leafSchema   = "privacyops.audit.entry.v1"
	leafSchemaV2 = "privacyops.audit.entry.v2"
)

// timeLayout writes a time in UTC with exactly six decimals: one time, one text.
const timeLayout = "2006-01-02T15:04:05.000000Z"

// maxSequence is the largest number that JSON numbers hold exactly (RFC 8785 section 3.2.2.3).
const maxSequence = 1<<53 - 1

// ErrLeaf reports bytes that are not a leaf of this log.
var ErrLeaf = errors.New("audit: not a leaf")

// leaf is the JSON form of an entry. A field that is empty is left out.
//
// The fields stand in the order of their names, and the alphabets of Event.Validate hold nothing that JSON escapes. So what
// encoding/json writes is already the canonical form of RFC 8785; a test compares it with another implementation's. (Sending
// every leaf through that one was tried: reading back took twice as long, and a log is verified leaf by leaf.)
type leaf struct {
	Action             string            `json:"action"`
	Actor              leafActor         `json:"actor"`
	AfterDigest        string            `json:"afterDigest,omitempty"`
	BeforeDigest       string            `json:"beforeDigest,omitempty"`
	Controller         ControllerID      `json:"controller,omitempty"`
	ControllerSequence uint64            `json:"controllerSequence,omitempty"`
	Decisions          *leafBatch        `json:"decisions,omitempty"`
	Detail             map[string]string `json:"detail,omitempty"`
	ID                 EventID           `json:"id"`
	Kind               Kind              `json:"kind"`
	OccurredTime       string            `json:"occurredTime"`
	Outcome            Outcome           `json:"outcome"`
	People             []KeyID           `json:"people,omitempty"`
	Reason             string            `json:"reason,omitempty"`
	ReceivedTime       string            `json:"receivedTime,omitempty"`
	Resource           string            `json:"resource,omitempty"`
	Schema             string            `json:"schema"`
	Sealed             []byte            `json:"sealed,omitempty"`
	Service            string            `json:"service"`
	SubjectRefs        []SubjectRef      `json:"subjectRefs,omitempty"`
	TraceParent        string            `json:"traceParent,omitempty"`
}

type leafActor struct {
	Kind  ActorKind `json:"kind"`
	Ref   string    `json:"ref,omitempty"`
	Roles []string  `json:"roles,omitempty"`
}

// leafBatch is the JSON form of a batch: who asked and the words in the open, the decisions packed, in base64.
type leafBatch struct {
	Actors []leafActor `json:"actors"`
	Packed []byte      `json:"packed"`
	Texts  []string    `json:"texts"`
}

// Leaf returns the bytes of the entry in the log: its canonical JSON (RFC 8785). It refuses an entry that breaks
// the rules of [Event.Validate], has no time of receipt or no number, or is longer than MaxLeafBytes (MaxBatchLeafBytes with
// decisions and when it is sealed).
func (e Entry) Leaf() ([]byte, error) {
	if err := e.validate(); err != nil {
		return nil, err
	}
	l := eventLeaf(e.Event)
	l.ControllerSequence = e.ControllerSequence
	l.ReceivedTime = e.ReceivedTime.UTC().Format(timeLayout)
	raw, err := json.Marshal(l)
	if err != nil {
		return nil, err
	}
	if err := e.fits(len(raw)); err != nil {
		return nil, err
	}
	return raw, nil
}

// fits checks the length of the event's leaf. Sealing makes the leaf of an event longer by a third: it has the log's own bound.
func (e Event) fits(length int) *FieldError {
	switch {
	case e.Batch == nil && len(e.Sealed) == 0 && length > MaxLeafBytes:
		return &FieldError{"event", fmt.Sprintf("must be at most %d bytes as JSON", MaxLeafBytes)}
	case e.Batch == nil && length > MaxBatchLeafBytes:
		return &FieldError{"event", fmt.Sprintf("must be at most %d bytes as JSON when it is sealed; name fewer people or details in one event", MaxBatchLeafBytes)}
	case length > MaxBatchLeafBytes:
		return &FieldError{"decisions", fmt.Sprintf("must be at most %d bytes as JSON; report fewer decisions in one event", MaxBatchLeafBytes)}
	}
	return nil
}

// Digest returns the SHA-256 digest of what the reporter said, without what this service adds. Two reports with the
// same id are the same event exactly when their digests are equal.
//
// The digest of a sealed event is that of its open part alone. One of the whole would let whoever guesses the person and the
// detail see that the guess is right, long after the keys were destroyed; and an event that is reported again after that must be
// known again, although it cannot be sealed the same way any more.
func (e Event) Digest() ([sha256.Size]byte, error) {
	e = e.open()
	raw, err := json.Marshal(eventLeaf(e))
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	return sha256.Sum256(raw), nil
}

// ParseLeaf reads a leaf. It takes exactly the bytes that [Entry.Leaf] writes and nothing else: unknown or repeated
// members, another order, other white space and other spellings of a value are refused with ErrLeaf.
func ParseLeaf(raw []byte) (Entry, error) {
	if len(raw) > MaxBatchLeafBytes {
		return Entry{}, fmt.Errorf("%w: too long", ErrLeaf)
	}
	var l leaf
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&l); err != nil {
		return Entry{}, fmt.Errorf("%w: no JSON object of the known members", ErrLeaf)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) || l.Schema != leafSchema && l.Schema != leafSchemaV2 {
		return Entry{}, fmt.Errorf("%w: trailing bytes or another schema", ErrLeaf)
	}
	e, err := l.entry()
	if err != nil {
		return Entry{}, err
	}
	again, err := e.Leaf()
	if err != nil {
		return Entry{}, fmt.Errorf("%w: %w", ErrLeaf, err)
	}
	if !bytes.Equal(raw, again) {
		return Entry{}, fmt.Errorf("%w: not in canonical form", ErrLeaf)
	}
	return e, nil
}

func (e Entry) validate() error {
	switch {
	case !validTime(e.ReceivedTime):
		return &FieldError{"received_time", "must be set, to a year from 2000 to 9999"}
	case e.ControllerSequence == 0 || e.ControllerSequence > maxSequence:
		return &FieldError{"controller_sequence", "must be from 1 to 2^53-1"}
	}
	return e.Event.Validate()
}

func eventLeaf(e Event) leaf {
	schema := leafSchema
	if e.IsSealed() {
		schema = leafSchemaV2
	}
	return leaf{
		Schema: schema, People: e.People, Sealed: e.Sealed, ID: e.ID, Controller: e.Controller, Service: e.Service,
		Actor: leafActor(e.Actor), Decisions: batchLeaf(e.Batch),
		Action: e.Action, Kind: e.Kind, Resource: e.Resource, SubjectRefs: e.SubjectRefs,
		Outcome: e.Outcome, Reason: e.Reason, TraceParent: e.TraceParent,
		OccurredTime: e.OccurredTime.UTC().Format(timeLayout),
		Detail:       e.Detail, BeforeDigest: e.BeforeDigest, AfterDigest: e.AfterDigest,
	}
}

func batchLeaf(b *Batch) *leafBatch {
	if b == nil {
		return nil
	}
	out := &leafBatch{Actors: make([]leafActor, len(b.Actors)), Packed: pack(b.Decisions), Texts: b.Texts}
	for i, a := range b.Actors {
		out.Actors[i] = leafActor(a)
	}
	return out
}

func (l *leafBatch) batch() (*Batch, error) {
	if l == nil {
		return nil, nil
	}
	decisions, ok := unpack(l.Packed)
	if !ok {
		return nil, fmt.Errorf("%w: decisions", ErrLeaf)
	}
	out := &Batch{Actors: make([]Actor, len(l.Actors)), Texts: l.Texts, Decisions: decisions}
	for i, a := range l.Actors {
		out.Actors[i] = Actor(a)
	}
	return out, nil
}

func (l leaf) entry() (Entry, error) {
	occurred, err := time.Parse(timeLayout, l.OccurredTime)
	if err != nil {
		return Entry{}, fmt.Errorf("%w: occurredTime", ErrLeaf)
	}
	received, err := time.Parse(timeLayout, l.ReceivedTime)
	if err != nil {
		return Entry{}, fmt.Errorf("%w: receivedTime", ErrLeaf)
	}
	batch, err := l.Decisions.batch()
	if err != nil {
		return Entry{}, err
	}
	return Entry{
		Event: Event{
			ID: l.ID, Controller: l.Controller, Service: l.Service,
			Actor:  Actor(l.Actor),
			Action: l.Action, Kind: l.Kind, Resource: l.Resource, SubjectRefs: l.SubjectRefs,
			Outcome: l.Outcome, Reason: l.Reason, TraceParent: l.TraceParent, OccurredTime: occurred,
			Detail: l.Detail, BeforeDigest: l.BeforeDigest, AfterDigest: l.AfterDigest, Batch: batch,
			People: l.People, Sealed: l.Sealed,
		},
		ReceivedTime: received, ControllerSequence: l.ControllerSequence,
	}, nil
}
