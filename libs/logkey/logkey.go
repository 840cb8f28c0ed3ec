// Package logkey says which keys are those of one audit log.
//
// A log is divided into shards, one for each year, and each shard is a log of its own with its own origin: that of the log, a slash
// and the year. They are all signed with one Ed25519 key. A verifier key of a signed note is made of a name and a key, so the verifier
// keys of the shards follow from the log's: whoever has pinned the log's key has pinned those of all its shards.
package logkey

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
)

// Origin is the name of the shard of a year, in a log of a name. The year 0 stands for the first shard, which has the log's own name.
func Origin(log string, year int) string {
	if year == 0 {
		return log
	}
	return fmt.Sprintf("%s/%04d", log, year)
}

// YearOf is the year of an origin in a log of a name; ok is false for an origin that is none of its shards.
func YearOf(log, origin string) (year int, ok bool) {
	if origin == log {
		return 0, true
	}
	digits, found := strings.CutPrefix(origin, log+"/")
	if !found {
		return 0, false
	}
	return ParseYear(digits)
}

// ParseYear reads the year of a shard: four digits from 2000 on, spelled in the one right way.
func ParseYear(digits string) (year int, ok bool) {
	year, err := strconv.Atoi(digits)
	return year, err == nil && len(digits) == 4 && year >= 2000 && strconv.Itoa(year) == digits
}

// Shard gives the verifier key of the shard of a year, in the text form of signed notes, from that of its log.
func Shard(public string, year int) (string, error) {
	name, raw, err := split(public)
	if err != nil {
		return "", err
	}
	return join(Origin(name, year), raw), nil
}

// Covers reports whether a key is the pinned one of a log, or that of one of its shards.
func Covers(pinned, key string) bool {
	if pinned == key {
		return true
	}
	log, _, err1 := split(pinned)
	origin, _, err2 := split(key)
	if err1 != nil || err2 != nil {
		return false
	}
	year, ok := YearOf(log, origin)
	if !ok {
		return false
	}
	shard, err := Shard(pinned, year)
	return err == nil && shard == key
}

// Hash is the number that a signed note identifies a key by; raw is the algorithm's byte and the public key.
func Hash(name string, raw []byte) uint32 {
	sum := sha256.Sum256(append([]byte(name+"\n"), raw...))
	return binary.BigEndian.Uint32(sum[:])
}

var errKey = errors.New("logkey: no verifier key of a log (name+hash+key)")

func split(public string) (name string, raw []byte, err error) {
	if _, err := note.NewVerifier(public); err != nil {
		return "", nil, errKey
	}
	parts := strings.SplitN(public, "+", 3)
	raw, err = base64.StdEncoding.DecodeString(parts[2])
	if err != nil {
		return "", nil, errKey
	}
	return parts[0], raw, nil
}

func join(name string, raw []byte) string {
	return fmt.Sprintf("%s+%08x+%s", name, Hash(name, raw), base64.StdEncoding.EncodeToString(raw))
}
