package audit

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strconv"
	"time"
)

// DecisionAction is the action of decisions on a legal basis, and of an event that stands for a batch of them.
const DecisionAction = "legal_basis.check"

// Batch is many decisions of one controller in one event, and so in one leaf of the log. The event itself is never shown: who
// searches sees each decision as an event of its own ([Event.Decision]).
type Batch struct {
	// Actors are those who asked. Decisions refer to them by place, from 0.
	Actors []Actor
	// Texts are activities, reasons and recipients. Decisions refer to them by place, from 0.
	Texts []string
	// Decisions in the order in which they were given, 1 to MaxDecisions.
	Decisions []Decision
}

// Decision is one decision of a batch. Ids are in their binary form; places are those of Batch.
type Decision struct {
	// ID of the decision, a UUID: 16 bytes.
	ID []byte
	// Actor who asked, a place in Actors.
	Actor uint32
	// Offset of the decision's time from the event's, in microseconds.
	Offset int64
	// Trace in which it was asked, 16 bytes; empty where there is none.
	Trace []byte
	// SubjectRefs are the pseudonyms of the person, at most MaxSubjectRefs.
	SubjectRefs []SubjectRef
	// People are the keys of the person, in ascending order, in place of SubjectRefs once the event is sealed.
	People []KeyID
	// Activity that was asked about, a place in Texts.
	Activity uint32
	// Version of the activity; 0 where it is unknown.
	Version int64
	// Allowed is the answer, and Reason, a place in Texts, why it was given.
	Allowed bool
	Reason  uint32
	// Recipient of the data, a place in Texts plus one; 0: nobody else.
	Recipient uint32
	// Consent that decided, a UUID: 16 bytes; empty where none did.
	Consent []byte
}

// Decision returns the decision at a place of the event's batch as the event that it would have been, had it been reported
// alone. Its trace context holds the trace only: the span it was asked in is not kept. The event is valid and so is the place.
func (e Event) Decision(place int) Event {
	b := e.Batch
	d := &b.Decisions[place]
	out := Event{
		ID: eventID(d.ID), Controller: e.Controller, Service: e.Service, Actor: b.Actors[d.Actor],
		Action: e.Action, Kind: e.Kind, Outcome: e.Outcome, SubjectRefs: d.SubjectRefs, People: d.People,
		Resource:     "controllers/" + string(e.Controller) + "/activities/" + b.Texts[d.Activity],
		OccurredTime: e.OccurredTime.Add(time.Duration(d.Offset) * time.Microsecond),
		Detail:       b.detail(d),
	}
	if len(d.Trace) > 0 {
		out.TraceParent = "00-" + hex.EncodeToString(d.Trace) + "-0000000000000000-00"
	}
	return out
}

// detail says what was decided, with the keys that the consent service gives to a decision that it reports alone.
func (b *Batch) detail(d *Decision) map[string]string {
	out := map[string]string{
		"decision": "DENY", "reason": b.Texts[d.Reason], "activity": b.Texts[d.Activity],
		"version": strconv.FormatInt(d.Version, 10),
	}
	if d.Allowed {
		out["decision"] = "ALLOW"
	}
	if d.Recipient > 0 {
		out["recipient"] = b.Texts[d.Recipient-1]
	}
	if len(d.Consent) > 0 {
		out["consent"] = string(eventID(d.Consent))
	}
	return out
}

// about reports whether a decision names one of these people: by key or, where it was recorded before there were keys, by pseudonym.
func (d *Decision) about(people []KeyID, refs []SubjectRef) bool {
	return slices.ContainsFunc(d.SubjectRefs, func(r SubjectRef) bool { return slices.Contains(refs, r) }) ||
		slices.ContainsFunc(d.People, func(p KeyID) bool { return slices.Contains(people, p) })
}

// Find returns the place of the decision with an id, and whether the batch has it.
func (b *Batch) Find(id EventID) (place int, found bool) {
	if b == nil {
		return 0, false
	}
	raw, ok := id.binary()
	if !ok {
		return 0, false
	}
	place = slices.IndexFunc(b.Decisions, func(d Decision) bool { return bytes.Equal(d.ID, raw[:]) })
	return max(place, 0), place >= 0
}

// IDRange is a range of decisions' ids, both ends included, that is at most idWindow long by the times in the ids.
type IDRange struct {
	First, Last [16]byte
}

// idWindow bounds an IDRange, in milliseconds, so that the ranges which may hold an id are few, however many there are.
const idWindow = 60_000

// ranges covers the ids of all decisions. UUIDv7 begin with their time in milliseconds; those of one batch, made together, give
// one range.
func (b *Batch) ranges() []IDRange {
	ids := make([][16]byte, len(b.Decisions))
	for i := range b.Decisions {
		copy(ids[i][:], b.Decisions[i].ID)
	}
	slices.SortFunc(ids, func(x, y [16]byte) int { return bytes.Compare(x[:], y[:]) })
	var out []IDRange
	for _, id := range ids {
		if n := len(out); n > 0 && idMillis(id)-idMillis(out[n-1].First) <= idWindow {
			out[n-1].Last = id
			continue
		}
		out = append(out, IDRange{id, id})
	}
	return out
}

// RangesWith bounds the ranges that may hold an id: they begin at `from` or later and not after the id, and end not before it.
// It returns false for an id that no decision can have.
func RangesWith(id EventID) (from, at [16]byte, ok bool) {
	at, ok = id.binary()
	var head [8]byte
	binary.BigEndian.PutUint64(head[:], uint64(max(idMillis(at)-idWindow, 0))<<16)
	copy(from[:], head[:6])
	return from, at, ok
}

func idMillis(id [16]byte) int64 { return int64(binary.BigEndian.Uint64(id[:8]) >> 16) }

// eventID writes a UUID of 16 bytes as text.
func eventID(raw []byte) EventID {
	var t [36]byte
	hex.Encode(t[0:8], raw[0:4])
	hex.Encode(t[9:13], raw[4:6])
	hex.Encode(t[14:18], raw[6:8])
	hex.Encode(t[19:23], raw[8:10])
	hex.Encode(t[24:36], raw[10:16])
	t[8], t[13], t[18], t[23] = '-', '-', '-', '-'
	return EventID(t[:])
}

// binary is the inverse of eventID. It returns false for what eventID does not write.
func (id EventID) binary() (raw [16]byte, ok bool) {
	if len(id) != 36 || id[8] != '-' || id[13] != '-' || id[18] != '-' || id[23] != '-' {
		return raw, false
	}
	var text [32]byte
	for at, part := range [][2]int{{0, 8}, {9, 13}, {14, 18}, {19, 23}, {24, 36}} {
		copy(text[part[0]-at:], id[part[0]:part[1]])
	}
	for _, c := range text {
		if !hexAlphabet[c] {
			return raw, false
		}
	}
	_, err := hex.Decode(raw[:], text[:])
	return raw, err == nil
}
