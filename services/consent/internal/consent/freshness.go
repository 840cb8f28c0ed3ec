package consent

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"sync"

	"github.com/privacyops/privacyops/libs/fault"
)

// Tokens makes and reads consistency tokens: a revision of one controller with a MAC, so that nobody can make one up, use
// another controller's, or learn more from one than an opaque text.
type Tokens struct {
	key []byte
	// made are the tokens of the newest revisions, by controller: most calls are given the same as the call before.
	made *sync.Map
}

// made is a token that was made.
type made struct {
	rev   Revision
	token string
}

// NewTokens makes tokens under a secret key, which nothing else uses.
func NewTokens(key []byte) Tokens { return Tokens{key, &sync.Map{}} }

const (
	revisionSize = 8
	macSize      = 16
)

// Make gives the token for a revision.
func (t Tokens) Make(controller ControllerID, rev Revision) string {
	if last, ok := t.made.Load(controller); ok && last.(made).rev == rev {
		return last.(made).token
	}
	token := t.make(controller, rev)
	t.made.Store(controller, made{rev, token})
	return token
}

func (t Tokens) make(controller ControllerID, rev Revision) string {
	raw := binary.BigEndian.AppendUint64(nil, uint64(rev))
	return base64.RawURLEncoding.EncodeToString(append(raw, t.mac(controller, raw)...))
}

// Read gives the revision of a token that Make made for this controller. Everything else is an Invalid fault with reason
// TOKEN_INVALID, the same for an altered token and for another controller's.
func (t Tokens) Read(controller ControllerID, token string) (Revision, error) {
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(raw) != revisionSize+macSize {
		return 0, notOurs()
	}
	rev := Revision(binary.BigEndian.Uint64(raw))
	// The decoder passes over line breaks and loose bits; only the one spelling that Make writes is accepted.
	if !hmac.Equal([]byte(t.make(controller, rev)), []byte(token)) {
		return 0, notOurs()
	}
	return rev, nil
}

func notOurs() error {
	return fault.New(fault.Invalid, "TOKEN_INVALID",
		"The consistency token was not given for this controller, or was altered. Send it as it was received, or leave it out.")
}

func (t Tokens) mac(controller ControllerID, revision []byte) []byte {
	h := hmac.New(sha256.New, t.key)
	h.Write(revision) // of fixed length, so the parts cannot run into one another
	h.Write([]byte(controller))
	return h.Sum(nil)[:macSize]
}
