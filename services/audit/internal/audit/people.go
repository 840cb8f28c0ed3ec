package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"slices"
)

// KeyID stands for a person: the random id of the key under which the person is sealed, one for each pseudonym of a controller.
// It says nothing by itself, and nothing at all once the key is destroyed.
type KeyID [16]byte

// String returns the id in lower-case hex, as a leaf has it.
func (id KeyID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText implements encoding.TextMarshaler.
func (id KeyID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. It takes what MarshalText writes, and capitals.
func (id *KeyID) UnmarshalText(text []byte) error {
	if hex.DecodedLen(len(text)) != len(id) || len(text)%2 != 0 {
		return ErrLeaf
	}
	_, err := hex.Decode(id[:], text)
	return err
}

// KeyIDOf returns the id by which the index finds the entries that name a pseudonym in the open, as those do that were recorded
// before there were keys.
func KeyIDOf(ref SubjectRef) KeyID {
	digest := sha256.Sum256([]byte(ref))
	return KeyID(digest[:len(KeyID{})])
}

// peopleOf returns the people whom an event names, its decisions too, in ascending order, each once.
func peopleOf(e Event) []KeyID {
	out := slices.Clone(e.People)
	for _, ref := range e.SubjectRefs {
		out = append(out, KeyIDOf(ref))
	}
	if e.Batch != nil {
		out = slices.Grow(out, len(e.Batch.Decisions))
		for i := range e.Batch.Decisions {
			for _, ref := range e.Batch.Decisions[i].SubjectRefs {
				out = append(out, KeyIDOf(ref))
			}
			out = append(out, e.Batch.Decisions[i].People...)
		}
	}
	return sortedIDs(out)
}

// sortedIDs puts ids in ascending order, each once.
func sortedIDs(ids []KeyID) []KeyID {
	slices.SortFunc(ids, func(a, b KeyID) int { return bytes.Compare(a[:], b[:]) })
	return slices.Compact(ids)
}

// MarkSize is how many bytes of a person's id the row of a batch holds.
const MarkSize = 4

// Marks joins the marks of people, which are sorted by their ids: the first bytes of each, once. Batches name thousands of people
// a second. A row for each would go to a random place of an index; their marks go into one row, which a search looks through.
func Marks(people []KeyID) []byte {
	out := make([]byte, 0, MarkSize*len(people))
	for i, p := range people {
		if i == 0 || !bytes.Equal(p[:MarkSize], people[i-1][:MarkSize]) {
			out = append(out, p[:MarkSize]...)
		}
	}
	return out
}

// Marked reports whether marks may hold one of these people. Another person may have the same mark.
func Marked(marks []byte, people []KeyID) bool {
	for _, p := range people {
		low, high := 0, len(marks)/MarkSize
		for low < high {
			middle := (low + high) / 2
			switch at := marks[middle*MarkSize:][:MarkSize]; bytes.Compare(at, p[:MarkSize]) {
			case 0:
				return true
			case -1:
				low = middle + 1
			default:
				high = middle
			}
		}
	}
	return false
}
