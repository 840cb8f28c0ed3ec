package audit

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"
)

// reader reads what writer writes. It takes other texts too, without a comma for example: that an entry is written in one way is for
// the caller to check, by writing it again. After the first thing that cannot be read it is bad and gives zero values. What it
// gives shares the text's memory.
type reader struct {
	rest string
	bad  bool
}

// readEntry reads a leaf.
func readEntry(raw []byte) (e Entry, ok bool) {
	r := reader{rest: string(raw)}
	r.want("{")
	e.Action = r.text("action")
	if r.next("actor") {
		e.Actor = r.actor()
	}
	e.AfterDigest = r.text("afterDigest")
	e.BeforeDigest = r.text("beforeDigest")
	e.Controller = ControllerID(r.text("controller"))
	e.ControllerSequence = r.number("controllerSequence")
	e.Batch = r.batch()
	e.Detail = r.detail()
	e.ID = EventID(r.text("id"))
	e.Kind = Kind(r.text("kind"))
	e.OccurredTime = r.time("occurredTime")
	e.Outcome = Outcome(r.text("outcome"))
	for _, id := range readTexts[string](&r, "people") {
		e.People = append(e.People, r.keyID(id))
	}
	e.Reason = r.text("reason")
	e.ReceivedTime = r.time("receivedTime")
	e.Resource = r.text("resource")
	r.text("schema")
	e.Sealed = r.bytes("sealed")
	e.Service = r.text("service")
	e.SubjectRefs = readTexts[SubjectRef](&r, "subjectRefs")
	e.TraceParent = r.text("traceParent")
	r.want("}")
	return e, !r.bad && r.rest == ""
}

// skip steps over a text, if it comes next.
func (r *reader) skip(text string) (found bool) {
	r.rest, found = strings.CutPrefix(r.rest, text)
	return found
}

func (r *reader) want(text string) {
	if !r.skip(text) {
		r.fail()
	}
}

func (r *reader) fail() { r.rest, r.bad = "", true }

// next steps over a member's name, if it comes next.
func (r *reader) next(name string) bool {
	at := strings.TrimPrefix(r.rest, ",")
	if n := len(name); len(at) < n+3 || at[0] != '"' || at[1:n+1] != name || at[n+1:n+3] != `":` {
		return false
	}
	r.rest = at[len(name)+3:]
	return true
}

func (r *reader) quoted() (s string) {
	r.want(`"`)
	end := strings.IndexByte(r.rest, '"')
	if end < 0 {
		r.fail()
		return ""
	}
	s, r.rest = r.rest[:end], r.rest[end+1:]
	return s
}

func (r *reader) text(name string) string {
	if !r.next(name) {
		return ""
	}
	return r.quoted()
}

func (r *reader) number(name string) uint64 {
	if !r.next(name) {
		return 0
	}
	end := strings.IndexAny(r.rest, ",}")
	n, err := strconv.ParseUint(r.rest[:max(end, 0)], 10, 64)
	if err != nil {
		r.fail()
		return 0
	}
	r.rest = r.rest[end:]
	return n
}

func (r *reader) time(name string) time.Time {
	t, err := time.Parse(timeLayout, r.text(name))
	if err != nil {
		r.fail()
	}
	return t
}

func (r *reader) bytes(name string) []byte {
	text := r.text(name)
	if text == "" {
		return nil
	}
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		r.fail()
	}
	return raw
}

func (r *reader) keyID(text string) (id KeyID) {
	if id.UnmarshalText([]byte(text)) != nil {
		r.fail()
	}
	return id
}

// each calls fn for each value of a list or object.
func (r *reader) each(opening, closing string, fn func()) {
	r.want(opening)
	for !r.bad && !r.skip(closing) {
		r.skip(",")
		fn()
	}
}

func readTexts[T ~string](r *reader, name string) (out []T) {
	if r.next(name) {
		r.each("[", "]", func() { out = append(out, T(r.quoted())) })
	}
	return out
}

func (r *reader) detail() (out map[string]string) {
	if !r.next("detail") {
		return nil
	}
	out = map[string]string{}
	r.each("{", "}", func() {
		key := r.quoted()
		r.want(":")
		out[key] = r.quoted()
	})
	return out
}

func (r *reader) actor() (a Actor) {
	r.want("{")
	a.Kind, a.Ref, a.Roles = ActorKind(r.text("kind")), r.text("ref"), readTexts[string](r, "roles")
	r.want("}")
	return a
}

func (r *reader) batch() *Batch {
	if !r.next("decisions") {
		return nil
	}
	b := &Batch{}
	r.want("{")
	if r.next("actors") {
		r.each("[", "]", func() { b.Actors = append(b.Actors, r.actor()) })
	}
	decisions, ok := unpack(r.bytes("packed"))
	if !ok {
		r.fail()
	}
	b.Decisions, b.Texts = decisions, readTexts[string](r, "texts")
	r.want("}")
	return b
}
