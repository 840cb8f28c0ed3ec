package dossier

import (
	"encoding/json"
	"time"
)

// Reading says how far an event can be read.
type Reading string

// The readings.
const (
	// Open: nothing in the event is sealed.
	Open Reading = "OPEN"
	// Opened: what was sealed was opened with Line.Key, and stands in resource, subjectRefs and detail.
	Opened Reading = "OPENED"
	// Unreadable: the key is destroyed, because a person whom the event names was erased.
	Unreadable Reading = "UNREADABLE"
)

// Line is an event in events.jsonl. It follows from the entry in the log, and from Key where there is one: a verifier makes the same
// line of both. What is empty is left out.
type Line struct {
	// Index of the entry in the log, and Number among the controller's entries.
	Index  uint64 `json:"index"`
	Number uint64 `json:"number"`
	// Place of a decision among those of its entry, from 1; 0 for an event with an entry of its own.
	Place int    `json:"place,omitempty"`
	ID    string `json:"id"`
	// ReceivedTime by the log's clock, OccurredTime by that of the service that reported.
	ReceivedTime time.Time `json:"receivedTime"`
	OccurredTime time.Time `json:"occurredTime"`
	Service      string    `json:"service"`
	Actor        Actor     `json:"actor"`
	Action       string    `json:"action"`
	Kind         string    `json:"kind"`
	Outcome      string    `json:"outcome"`
	Reason       string    `json:"reason,omitempty"`
	Resource     string    `json:"resource,omitempty"`
	// SubjectRefs are pseudonyms of people, and People the ids of their keys.
	SubjectRefs  []string          `json:"subjectRefs,omitempty"`
	People       []string          `json:"people,omitempty"`
	Detail       map[string]string `json:"detail,omitempty"`
	BeforeDigest string            `json:"beforeDigest,omitempty"`
	AfterDigest  string            `json:"afterDigest,omitempty"`
	TraceParent  string            `json:"traceParent,omitempty"`
	Reading      Reading           `json:"reading"`
	// Key opens the sealed part of this entry, and of no other.
	Key []byte `json:"key,omitempty"`
}

// Actor is who did it.
type Actor struct {
	Kind  string   `json:"kind"`
	Ref   string   `json:"ref,omitempty"`
	Roles []string `json:"roles,omitempty"`
}

// Marshal writes the line with its line feed. The same line gives the same bytes.
func (l *Line) Marshal() ([]byte, error) {
	raw, err := json.Marshal(l)
	return append(raw, '\n'), err
}

// Entry is what of an entry in the log its lines are made of.
type Entry struct {
	Controller string
	Number     uint64
	Received   time.Time
	// Lines are without index and number.
	Lines []Line
}

// Read makes an entry's lines of its bytes. Key opens what is sealed; nil where there is none. A key that does not fit is an error.
type Read func(leaf, key []byte) (Entry, error)
