// Package entryline makes the lines of an evidence package of entries of the log. Who makes a package and who verifies one both do it
// with this code, from the same bytes, so a line that says something else than its entry is found.
package entryline

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/hex"
	"errors"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
	"github.com/privacyops/privacyops/services/audit/internal/dossier"
)

// ErrKey says that a key does not open an entry.
var ErrKey = errors.New("entryline: the key does not open the entry")

// saltSize is the length of the salt that a sealed part begins with: of it and of its people's keys the entry's key was made.
const saltSize = 16

// Read is a [dossier.Read] for the leaves of this log. An entry that stands for decisions gives a line for each.
func Read(leaf, key []byte) (dossier.Entry, error) {
	entry, err := audit.ParseLeaf(leaf)
	if err != nil {
		return dossier.Entry{}, err
	}
	out := dossier.Entry{Controller: string(entry.Controller), Number: entry.ControllerSequence, Received: entry.ReceivedTime}
	if entry.Batch == nil {
		event, reading, err := opened(entry.Event, key)
		if err != nil {
			return dossier.Entry{}, err
		}
		line := lineOf(event, out, reading)
		line.People, line.Key = people(entry.People), key
		out.Lines = []dossier.Line{line}
		return out, nil
	}
	if len(key) > 0 { // a batch has nothing sealed
		return dossier.Entry{}, ErrKey
	}
	for place := range entry.Batch.Decisions {
		decision := entry.Decision(place)
		line := lineOf(decision, out, dossier.Open)
		line.Place, line.People = place+1, people(decision.People)
		out.Lines = append(out.Lines, line)
	}
	return out, nil
}

// opened opens what is sealed in an event.
func opened(e audit.Event, key []byte) (audit.Event, dossier.Reading, error) {
	switch {
	case len(e.Sealed) == 0 && len(key) > 0:
		return e, "", ErrKey
	case len(e.Sealed) == 0:
		return e, dossier.Open, nil
	case len(key) == 0:
		return e, dossier.Unreadable, nil
	}
	block, err := aes.NewCipher(key)
	if err != nil || len(e.Sealed) < audit.MinSealed {
		return e, "", ErrKey
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return e, "", ErrKey
	}
	plain, err := aead.Open(nil, make([]byte, aead.NonceSize()), e.Sealed[saltSize:], e.Binding()) // each key encrypts once
	if err != nil {
		return e, "", ErrKey
	}
	readable, err := e.Opened(plain)
	return readable, dossier.Opened, err
}

func people(ids []audit.KeyID) []string {
	var out []string
	for _, id := range ids {
		out = append(out, hex.EncodeToString(id[:]))
	}
	return out
}

func lineOf(e audit.Event, entry dossier.Entry, reading dossier.Reading) dossier.Line {
	line := dossier.Line{
		ID: string(e.ID), ReceivedTime: entry.Received, OccurredTime: e.OccurredTime, Service: e.Service,
		Actor:  dossier.Actor{Kind: string(e.Actor.Kind), Ref: e.Actor.Ref, Roles: e.Actor.Roles},
		Action: e.Action, Kind: string(e.Kind), Outcome: string(e.Outcome), Reason: e.Reason, Resource: e.Resource, Detail: e.Detail,
		BeforeDigest: e.BeforeDigest, AfterDigest: e.AfterDigest, TraceParent: e.TraceParent, Reading: reading,
	}
	for _, ref := range e.SubjectRefs {
		line.SubjectRefs = append(line.SubjectRefs, string(ref))
	}
	return line
}
