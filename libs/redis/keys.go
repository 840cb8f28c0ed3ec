package redis

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"regexp"
	"strings"
)

// Controller is the id of a controller, as the operator chose it: `^[a-z0-9][a-z0-9-]{0,62}$`. Empty: the suite itself.
type Controller string

// kind says what a key holds.
type kind string

const (
	kindRevision kind = "revision"
	kindLimit    kind = "limit"
	kindReply    kind = "reply"
	kindEvents   kind = "events"
)

// suiteTag is the hash tag of what belongs to no controller. A controller of that name shares the slot and no key.
const suiteTag = "suite"

var plainTag = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// keyOf names a value. Parts are hashed with their lengths in front, and the controller is one of them: no delimiter in a part,
// and no controller with braces in its id, makes two names one.
func keyOf(controller Controller, k kind, parts ...string) string {
	return "v1:{" + tagOf(controller) + "}:" + string(k) + ":" + digest(append([]string{string(controller)}, parts...))
}

func tagOf(controller Controller) string {
	switch {
	case controller == "":
		return suiteTag
	case plainTag.MatchString(string(controller)):
		return string(controller)
	default:
		return digest([]string{string(controller)})
	}
}

func digest(parts []string) string {
	var b strings.Builder
	for _, p := range parts {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(p)))
		b.Write(n[:])
		b.WriteString(p)
	}
	sum := sha256.Sum256([]byte(b.String()))
	return hex.EncodeToString(sum[:])
}
