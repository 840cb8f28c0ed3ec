package audit

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
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

// Leaf returns the bytes of the entry in the log: its canonical JSON (RFC 8785). It refuses an entry that breaks
// the rules of [Event.Validate], has no time of receipt or no number, or is longer than MaxLeafBytes (MaxBatchLeafBytes with
// decisions and when it is sealed).
func (e Entry) Leaf() ([]byte, error) {
	if err := e.validate(); err != nil {
		return nil, err
	}
	leaf, at := writeEvent(&e.Event)
	leaf = stamped(leaf, at, e.ControllerSequence, e.ReceivedTime)
	if err := e.fits(len(leaf)); err != nil {
		return nil, err
	}
	return leaf, nil
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
func (e Event) Digest() [sha256.Size]byte {
	e = e.open()
	leaf, _ := writeEvent(&e)
	return sha256.Sum256(leaf)
}

// ParseLeaf reads a leaf. It takes exactly the bytes that [Entry.Leaf] writes and nothing else: unknown or repeated
// members, another order, other white space and other spellings of a value are refused with ErrLeaf.
func ParseLeaf(raw []byte) (Entry, error) {
	if len(raw) > MaxBatchLeafBytes {
		return Entry{}, fmt.Errorf("%w: too long", ErrLeaf)
	}
	e, ok := readEntry(raw)
	if !ok {
		return Entry{}, fmt.Errorf("%w: no JSON object of the known members", ErrLeaf)
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

// schema is the one that the event's leaf opens with.
func (e *Event) schema() string {
	if e.IsSealed() {
		return leafSchemaV2
	}
	return leafSchema
}
