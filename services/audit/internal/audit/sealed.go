package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"
)

// MinSealed is the least that sealing adds to what it seals: a salt and a tag, 16 bytes each.
const MinSealed = 32

// ErrSealed reports that what was sealed does not hold what an event may hold.
var ErrSealed = errors.New("audit: the sealed part of an event cannot be read")

// secret is the JSON form of what is sealed of an event that names people.
type secret struct {
	AfterDigest  string            `json:"afterDigest,omitempty"`
	BeforeDigest string            `json:"beforeDigest,omitempty"`
	Detail       map[string]string `json:"detail,omitempty"`
	Resource     string            `json:"resource,omitempty"`
	SubjectRefs  []SubjectRef      `json:"subjectRefs"`
}

// IsSealed reports whether the event names people by keys.
func (e Event) IsSealed() bool {
	return len(e.People) > 0 || e.Batch != nil && slices.ContainsFunc(e.Batch.Decisions, func(d Decision) bool { return len(d.People) > 0 })
}

// Secret returns what must be sealed of an event that names people in the open. A batch has nothing of the kind.
func (e Event) Secret() []byte { return writeSecret(&e) }

// Sealing returns the event with keys in the place of the people whom it names and with its secret sealed under them.
func (e Event) Sealing(people []KeyID, sealed []byte) Event {
	e.SubjectRefs, e.Detail, e.BeforeDigest, e.AfterDigest = nil, nil, "", ""
	if !standing(e.Resource) {
		e.Resource = ""
	}
	e.People, e.Sealed = people, sealed
	return e
}

// standing reports whether a resource is named in the open also where people are. The events of an erasure are its proof (GDPR
// art. 5(2)): they must be found, and shown to belong together, when the keys of the person are gone with the person. The name says
// that somebody was erased, not who: it ends in a UUID, which the suite has made.
func standing(resource string) bool {
	parts := strings.Split(resource, "/")
	if len(parts) != 4 || parts[0] != "controllers" || parts[2] != "erasures" {
		return false
	}
	_, made := EventID(parts[3]).binary()
	return made
}

// Opened returns a sealed event as it was before, with the secret that its keys have made readable.
func (e Event) Opened(raw []byte) (Event, error) {
	var s secret
	if err := json.Unmarshal(raw, &s); err != nil {
		return e, ErrSealed
	}
	e.SubjectRefs, e.Resource, e.Detail, e.BeforeDigest, e.AfterDigest = s.SubjectRefs, s.Resource, s.Detail, s.BeforeDigest, s.AfterDigest
	e.People, e.Sealed = nil, nil
	return e, e.Validate()
}

// Binding names an event and its people for what seals it: what is sealed opens in this event and in no other.
func (e Event) Binding() []byte {
	out := append([]byte(e.ID), 0)
	out = append(append(out, e.Controller...), 0)
	for i := range e.People {
		out = append(out, e.People[i][:]...)
	}
	return out
}

// open returns the event without its people and its sealed part, if it is sealed.
func (e Event) open() Event {
	if !e.IsSealed() {
		return e
	}
	e.People, e.Sealed = nil, nil
	if e.Batch != nil {
		b := *e.Batch
		b.Decisions = slices.Clone(b.Decisions)
		for i := range b.Decisions {
			b.Decisions[i].People = nil
		}
		e.Batch = &b
	}
	return e
}

// validateSealed checks that an event is sealed either whole or not at all.
func (e Event) validateSealed() error {
	hidden := len(e.SubjectRefs) == 0 && (e.Resource == "" || standing(e.Resource)) && len(e.Detail) == 0 && e.BeforeDigest == "" && e.AfterDigest == ""
	switch {
	case len(e.People) == 0 && len(e.Sealed) == 0:
		return nil
	case !hidden:
		return &FieldError{"sealed", "must hold what is not in the open"}
	case len(e.Sealed) <= MinSealed:
		return &FieldError{"sealed", "is too short"}
	case len(e.People) == 0 || len(e.People) > MaxSubjectRefs || !ascending(e.People):
		return &FieldError{"people", "must hold the keys of people in ascending order, each once"}
	}
	return nil
}

// ascending reports whether ids are in ascending order, each once.
func ascending(ids []KeyID) bool {
	for i := 1; i < len(ids); i++ {
		if bytes.Compare(ids[i-1][:], ids[i][:]) >= 0 {
			return false
		}
	}
	return true
}
