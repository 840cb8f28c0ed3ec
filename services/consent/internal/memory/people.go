package memory

import (
	"encoding/binary"
	"encoding/hex"
	"strings"

	"github.com/VictoriaMetrics/fastcache"
	"github.com/google/uuid"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// people remembers what decides about persons, of all controllers, up to a size. The longest remembered make room.
//
// There may be a million, and the garbage collector would go through all of them again and again: that took a fourth of the
// processor's time. So they are bytes in memory that it does not know of.
type people struct{ cache *fastcache.Cache }

// leastSize is the least that a cache takes, in bytes.
const leastSize = 32 << 20

// newPeople makes a memory of so many bytes: three fourths for people, one for where they are found.
func newPeople(size int64) *people {
	return &people{fastcache.New(int(max(size*3/4, leastSize)))}
}

// keyOf writes a person's key: the school's number, and the pseudonym in a form that nothing else has.
func keyOf(to []byte, school uint32, ref consent.SubjectRef) []byte {
	to = binary.BigEndian.AppendUint32(to, school)
	if digits, ok := strings.CutPrefix(string(ref), pseudonym); ok && len(digits) == 40 && strings.ToLower(digits) == digits {
		if short, err := hex.AppendDecode(append(to, 1), []byte(digits)); err == nil {
			return short
		}
	}
	return append(append(to, 0), ref...)
}

// pseudonym begins the pseudonyms that the keyring makes; 40 hex digits follow.
const pseudonym = "sub_"

// get gives what decides about a person's part in one activity.
func (p *people) get(school uint32, ref consent.SubjectRef, activity consent.ActivityID) (consent.Person, bool) {
	var key [64]byte
	var value [256]byte
	found, ok := p.cache.HasGet(value[:0], keyOf(key[:0], school, ref))
	if !ok {
		return consent.Person{}, false
	}
	return decode(found, activity)
}

// set remembers a person. One whose consents cannot be held in the small form is not remembered, and is read each time.
func (p *people) set(school uint32, ref consent.SubjectRef, known consent.Person) {
	value, ok := encode(known)
	if !ok {
		p.drop(school, ref)
		return
	}
	p.cache.Set(keyOf(nil, school, ref), value)
}

func (p *people) drop(school uint32, ref consent.SubjectRef) { p.cache.Del(keyOf(nil, school, ref)) }

// What is said of a person, and of a consent, in one byte each.
const (
	erased     = 1 << 0
	demanding  = 1 << 1 // lists of what was demanded follow the consents
	sufficient = 1 << 0
)

// maxValue bounds what is remembered of one person, in bytes: the cache takes no more than 64 KiB of anything.
const maxValue = 60 << 10

// encode writes what decides about a person: flags, the number of consents, each of them (length of the rest, activity, id, flags,
// revisions and time of expiry), and the lists of what was demanded. It returns false for what decode would not give back.
func encode(known consent.Person) ([]byte, bool) {
	flags := byte(0)
	if known.Erased {
		flags |= erased
	}
	if len(known.Objected)+len(known.Restricted)+len(known.Linked) > 0 {
		flags |= demanding
	}
	out := binary.AppendUvarint([]byte{flags}, uint64(len(known.Consents)))
	var one []byte
	for _, c := range known.Consents {
		id, err := uuid.Parse(string(c.ID))
		if err != nil || id.String() != string(c.ID) {
			return nil, false
		}
		says := byte(0)
		if c.Sufficient {
			says |= sufficient
		}
		one = append(appendText(one[:0], string(c.Activity)), id[:]...)
		one = binary.AppendUvarint(append(one, says), uint64(c.GiveRevision))
		one = binary.AppendUvarint(one, uint64(c.WithdrawRevision))
		one = binary.AppendVarint(one, sqldb.Micros(c.ExpireTime))
		out = append(binary.AppendUvarint(out, uint64(len(one))), one...)
	}
	if flags&demanding != 0 {
		out = appendTexts(appendTexts(appendTexts(out, known.Objected), known.Restricted), known.Linked)
	}
	return out, len(out) <= maxValue
}

func appendText(out []byte, s string) []byte {
	return append(binary.AppendUvarint(out, uint64(len(s))), s...)
}

func appendTexts[T ~string](out []byte, list []T) []byte {
	out = binary.AppendUvarint(out, uint64(len(list)))
	for _, s := range list {
		out = appendText(out, string(s))
	}
	return out
}

// decode reads what encode wrote, of the consents only the first one to the activity. It returns false for anything else.
func decode(raw []byte, activity consent.ActivityID) (out consent.Person, ok bool) {
	r := reader{rest: raw}
	flags := r.byte()
	out.Erased = flags&erased != 0
	for n := r.number(); n > 0 && !r.bad; n-- {
		one := reader{rest: r.bytes()}
		if string(one.bytes()) != string(activity) || len(out.Consents) > 0 {
			continue
		}
		out.Consents = []consent.Consent{one.consent(activity)}
		r.bad = r.bad || one.bad
	}
	if flags&demanding != 0 {
		out.Objected, out.Restricted = texts[consent.ActivityID](&r), texts[consent.ActivityID](&r)
		out.Linked = texts[consent.SubjectRef](&r)
	}
	return out, !r.bad && len(r.rest) == 0
}

// reader reads what encode wrote. After the first thing that cannot be read it is bad and gives zero values.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) consent(activity consent.ActivityID) consent.Consent {
	var id uuid.UUID
	copy(id[:], r.take(uint64(len(id))))
	says := r.byte()
	c := consent.Consent{Activity: activity, ID: consent.ConsentID(id.String()), Sufficient: says&sufficient != 0}
	c.GiveRevision, c.WithdrawRevision = consent.Revision(r.number()), consent.Revision(r.number())
	expires, n := binary.Varint(r.rest)
	if r.bad = r.bad || n <= 0; !r.bad {
		c.ExpireTime = sqldb.Time(expires)
	}
	return c
}

func (r *reader) number() uint64 {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.rest = r.rest[n:]
	return v
}

func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.rest)) {
		r.bad = true
		return nil
	}
	out := r.rest[:n]
	r.rest = r.rest[n:]
	return out
}

func (r *reader) bytes() []byte { return r.take(r.number()) }

func (r *reader) byte() byte {
	if b := r.take(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

func texts[T ~string](r *reader) []T {
	var out []T
	for n := r.number(); n > 0 && !r.bad; n-- {
		out = append(out, T(r.bytes()))
	}
	return out
}
