// Package page makes the page tokens of list calls and bounds their page sizes.
//
// A token carries the position at which the next page begins, and a MAC (HMAC-SHA256) over that position and over what was listed: the
// controller, the method and the filter. A token that was altered, that was made for another controller, or that is sent with another
// filter is refused with [ErrInvalid], and the service never sees a position that it did not write itself.
//
// The position is not encrypted, and tokens travel in URLs: it holds ids and times, never a personal identifier.
package page

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
)

// Page sizes, in items.
const (
	// DefaultSize is the size of a page where none is asked for.
	DefaultSize = 50
	// MaxSize is the largest size of a page; who asks for more gets this many.
	MaxSize = 1000
)

// MinKey is the least length of a key in bytes.
const MinKey = 32

// maxToken is far beyond any position in use, and keeps hostile tokens from costing anything.
const maxToken = 4096

// domain separates these MACs from any other use of the same key, and versions the form of the token.
const domain = "privacyops page token v1"

var (
	// ErrInvalid says that a token was not made by this service for this list; the caller starts again without one.
	ErrInvalid = errors.New("the page token does not belong to this list; start again without one")
	// ErrSize says that a negative page size was asked for.
	ErrSize = errors.New("the page size is negative; ask for 1 to 1000 items, or leave it out for 50")
	// ErrKey says that the key is shorter than MinKey: a mistake of configuration, not of the caller.
	ErrKey = errors.New("page token key is shorter than 32 bytes")
)

// Binding is what a token is good for.
type Binding struct {
	// Controller is the id of the controller whose items are listed.
	Controller string
	// Method is the full name of the method, such as "/privacyops.erasure.v1.ErasureService/ListErasures".
	Method string
	// Filter is the filter and order of the list in any fixed form; it enters the token only as part of the MAC.
	Filter string
}

// Size returns how many items to put on a page: 50 where requested is zero, at most 1000. A negative number is [ErrSize].
func Size(requested int32) (int, error) {
	switch {
	case requested < 0:
		return 0, ErrSize
	case requested == 0:
		return DefaultSize, nil
	default:
		return min(int(requested), MaxSize), nil
	}
}

// Encode returns the token for the page that begins at cursor. An empty cursor says that there is no further page: the token is
// empty, too. It fails with [ErrKey], and where the cursor is too long for a token.
func Encode(key []byte, b Binding, cursor []byte) (string, error) {
	if len(key) < MinKey {
		return "", ErrKey
	}
	if len(cursor) == 0 {
		return "", nil
	}
	token := base64.RawURLEncoding.EncodeToString(append(mac(key, b, cursor), cursor...))
	if len(token) > maxToken {
		return "", errors.New("page cursor is too long")
	}
	return token, nil
}

// Decode returns the cursor of a token that [Encode] made with the same key and binding, nil for the empty token (the first page), and
// [ErrInvalid] for everything else.
func Decode(key []byte, b Binding, token string) ([]byte, error) {
	if len(key) < MinKey {
		return nil, ErrKey
	}
	if token == "" {
		return nil, nil
	}
	if len(token) > maxToken {
		return nil, ErrInvalid
	}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	// The decoder skips line breaks and ignores the last bits; only the one spelling that Encode writes is accepted.
	if err != nil || len(raw) <= sha256.Size || base64.RawURLEncoding.EncodeToString(raw) != token {
		return nil, ErrInvalid
	}
	sum, cursor := raw[:sha256.Size], raw[sha256.Size:]
	if !hmac.Equal(sum, mac(key, b, cursor)) {
		return nil, ErrInvalid
	}
	return cursor, nil
}

// mac covers each part with its length before it, so that no two bindings can run into one another.
func mac(key []byte, b Binding, cursor []byte) []byte {
	h := hmac.New(sha256.New, key)
	for _, part := range [][]byte{[]byte(domain), []byte(b.Controller), []byte(b.Method), []byte(b.Filter), cursor} {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		h.Write(length[:])
		h.Write(part)
	}
	return h.Sum(nil)
}
