package audit

import (
	"encoding/binary"
	"math"
)

// The decisions of a leaf are packed: they are the field `decisions` of the message privacyops.audit.v1.DecisionBatch in the
// wire format of protocol buffers, fields in the order of their numbers and zero values left out. Whoever has that definition
// can read them. They are written by hand here, since what a log holds must not depend on the version of a library: protocol
// buffers promise no canonical form.

// Tags of the wire format: a field's number and how its value is written.
const (
	tagDecisions = 3<<3 | 2
	tagID        = 1<<3 | 2
	tagActor     = 2 << 3
	tagOffset    = 3 << 3
	tagTrace     = 4<<3 | 2
	tagSubject   = 5<<3 | 2
	tagActivity  = 6 << 3
	tagVersion   = 7 << 3
	tagAllowed   = 8 << 3
	tagReason    = 9 << 3
	tagRecipient = 10 << 3
	tagConsent   = 11<<3 | 2
	tagPerson    = 12<<3 | 2
)

// pack writes decisions. It is the inverse of unpack.
func pack(decisions []Decision) []byte {
	out := make([]byte, 0, 128*len(decisions))
	var one []byte
	for i := range decisions {
		one = decisions[i].appendTo(one[:0])
		out = appendBytes(out, tagDecisions, one)
	}
	return out
}

func (d *Decision) appendTo(out []byte) []byte {
	out = appendSet(out, tagID, d.ID)
	out = appendNumber(out, tagActor, uint64(d.Actor))
	out = appendNumber(out, tagOffset, uint64(d.Offset))
	out = appendSet(out, tagTrace, d.Trace)
	for _, r := range d.SubjectRefs {
		out = appendBytes(out, tagSubject, r)
	}
	out = appendNumber(out, tagActivity, uint64(d.Activity))
	out = appendNumber(out, tagVersion, uint64(d.Version))
	if d.Allowed {
		out = appendNumber(out, tagAllowed, 1)
	}
	out = appendNumber(out, tagReason, uint64(d.Reason))
	out = appendNumber(out, tagRecipient, uint64(d.Recipient))
	out = appendSet(out, tagConsent, d.Consent)
	for i := range d.People {
		out = appendBytes(out, tagPerson, d.People[i][:])
	}
	return out
}

func appendNumber(out []byte, tag byte, v uint64) []byte {
	if v == 0 {
		return out
	}
	return binary.AppendUvarint(append(out, tag), v)
}

func appendSet(out []byte, tag byte, v []byte) []byte {
	if len(v) == 0 {
		return out
	}
	return appendBytes(out, tag, v)
}

func appendBytes[T ~string | ~[]byte](out []byte, tag byte, v T) []byte {
	out = binary.AppendUvarint(append(out, tag), uint64(len(v)))
	return append(out, v...)
}

// unpack reads decisions. It takes whatever has the right fields, in any order: that there is one way to write them is for the
// caller to check, by packing them again. The result shares raw's memory.
func unpack(raw []byte) ([]Decision, bool) {
	var out []Decision
	r := wire{rest: raw}
	for r.more() {
		if r.tag() != tagDecisions {
			return nil, false
		}
		d, ok := unpackOne(r.bytes())
		if !ok {
			return nil, false
		}
		out = append(out, d)
	}
	return out, !r.bad
}

func unpackOne(raw []byte) (d Decision, ok bool) {
	r := wire{rest: raw}
	for r.more() {
		switch r.tag() {
		case tagID:
			d.ID = r.bytes()
		case tagActor:
			d.Actor = r.uint32()
		case tagOffset:
			d.Offset = int64(r.number())
		case tagTrace:
			d.Trace = r.bytes()
		case tagSubject:
			d.SubjectRefs = append(d.SubjectRefs, SubjectRef(r.bytes()))
		case tagActivity:
			d.Activity = r.uint32()
		case tagVersion:
			d.Version = int64(r.number())
		case tagAllowed:
			d.Allowed = r.number() != 0
		case tagReason:
			d.Reason = r.uint32()
		case tagRecipient:
			d.Recipient = r.uint32()
		case tagConsent:
			d.Consent = r.bytes()
		case tagPerson:
			d.People = append(d.People, r.keyID())
		default:
			return d, false
		}
	}
	return d, !r.bad
}

// wire reads the wire format. After the first thing that cannot be read it is bad and gives zero values.
type wire struct {
	rest []byte
	bad  bool
}

func (r *wire) more() bool { return !r.bad && len(r.rest) > 0 }

// tag reads a tag of one byte: no field has a number beyond 15.
func (r *wire) tag() byte {
	t := r.rest[0]
	r.rest = r.rest[1:]
	return t
}

func (r *wire) number() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

// keyID reads the id of a key.
func (r *wire) keyID() (id KeyID) {
	if raw := r.bytes(); copy(id[:], raw) != len(raw) || len(raw) != len(id) {
		r.bad = true
	}
	return id
}

func (r *wire) uint32() uint32 {
	v := r.number()
	if v > math.MaxUint32 {
		r.bad = true
		return 0
	}
	return uint32(v)
}

func (r *wire) bytes() []byte {
	n := r.number()
	if n > uint64(len(r.rest)) {
		r.bad = true
		return nil
	}
	out := r.rest[:n:n]
	r.rest = r.rest[n:]
	return out
}
