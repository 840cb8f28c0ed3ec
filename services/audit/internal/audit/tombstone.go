package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Tombstone stands in the place of a shard that was dropped: what it was, and where the log says that it was dropped. It is what a
// reader needs to follow the log past it: the chain of checkpoints, and the numbers that the entries after it continue.
type Tombstone struct {
	// Origin, Size and Root are those of the shard's final checkpoint.
	Origin string
	Size   uint64
	Root   []byte
	// First is the place of its first entry.
	First uint64
	// Start and End are the times of receipt of its first and of its last entry.
	Start, End time.Time
	// Dropped is when, and Position the place of the entry that says so.
	Dropped  time.Time
	Position uint64
	// Numbers are the last number of each controller that had any at the shard's end.
	Numbers map[ControllerID]uint64
}

// tombstoneSchema opens a tombstone's text, so that its signature means nothing else.
const tombstoneSchema = "privacyops.audit.tombstone.v1"

// suiteName stands for the suite itself among the controllers, whose names hold no dash alone.
const suiteName = "-"

// After is the place behind the shard's last entry.
func (t Tombstone) After() uint64 { return t.First + t.Size }

// Text is what is signed: a line for each thing, in the one order and spelling.
func (t Tombstone) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\norigin %s\nsize %d\nroot %s\nposition %d\n", tombstoneSchema, t.Origin, t.Size, hex.EncodeToString(t.Root), t.First)
	fmt.Fprintf(&b, "received %s %s\ndropped %s\nentry %d\n", stampOf(t.Start), stampOf(t.End), stampOf(t.Dropped), t.Position)
	b.WriteString(t.numbers())
	return b.String()
}

func stampOf(t time.Time) string { return t.UTC().Format(timeLayout) }

func (t Tombstone) numbers() string {
	var b strings.Builder
	for _, c := range slices.Sorted(maps.Keys(t.Numbers)) {
		name := string(c)
		if name == "" {
			name = suiteName
		}
		fmt.Fprintf(&b, "number %s %d\n", name, t.Numbers[c])
	}
	return b.String()
}

// NumbersDigest is what the entry that records the drop says of the numbers, of which there may be more than an event holds.
func (t Tombstone) NumbersDigest() string {
	sum := sha256.Sum256([]byte(t.numbers()))
	return hex.EncodeToString(sum[:])
}

var errTombstone = errors.New("audit: no tombstone")

// ParseTombstone reads exactly what Text writes.
func ParseTombstone(text string) (t Tombstone, err error) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if len(lines) < 8 || lines[0] != tombstoneSchema {
		return t, errTombstone
	}
	var root, start, end, dropped string
	for i, f := range []struct {
		format string
		into   []any
	}{
		{"origin %s", []any{&t.Origin}}, {"size %d", []any{&t.Size}}, {"root %s", []any{&root}}, {"position %d", []any{&t.First}},
		{"received %s %s", []any{&start, &end}}, {"dropped %s", []any{&dropped}}, {"entry %d", []any{&t.Position}},
	} {
		if _, err := fmt.Sscanf(lines[1+i], f.format, f.into...); err != nil {
			return t, errTombstone
		}
	}
	var errs []error
	if t.Root, err = hex.DecodeString(root); err != nil || len(t.Root) != sha256.Size {
		return t, errTombstone
	}
	t.Start, err = time.Parse(timeLayout, start)
	errs = append(errs, err)
	t.End, err = time.Parse(timeLayout, end)
	errs = append(errs, err)
	t.Dropped, err = time.Parse(timeLayout, dropped)
	if errors.Join(append(errs, err)...) != nil {
		return t, errTombstone
	}
	t.Numbers = make(map[ControllerID]uint64, len(lines)-8)
	for _, line := range lines[8:] {
		name, number, _ := strings.Cut(strings.TrimPrefix(line, "number "), " ")
		n, err := strconv.ParseUint(number, 10, 63)
		if err != nil {
			return t, errTombstone
		}
		if name == suiteName {
			name = ""
		}
		t.Numbers[ControllerID(name)] = n
	}
	if t.Text() != text {
		return t, errTombstone
	}
	return t, nil
}
