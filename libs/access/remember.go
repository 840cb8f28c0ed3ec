package access

import (
	"crypto/sha256"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwk"
)

const (
	// rememberFor is how long a verified token is taken without looking at its signature again, which costs more than most calls. It
	// bounds how long a token may pass after its issuer's key was taken away.
	rememberFor = 5 * time.Second
	// askEvery is how long a remembered token is taken without asking whether the issuer's keys are still the same.
	askEvery = time.Second
	// maxRemembered bounds the memory. Only tokens that were good get in.
	maxRemembered = 10_000
)

// remembered are tokens that were verified lately, by their SHA-256: the tokens themselves are not kept.
type remembered struct {
	mu sync.RWMutex
	of map[[sha256.Size]byte]*good
}

// good is a token that was verified.
type good struct {
	caller Caller
	keys   jwk.Set // with which it was verified: other keys, another look
	at     time.Time
	until  time.Time
	// asked is when the keys were last seen to be the same, in Unix nanoseconds.
	asked atomic.Int64
}

// get gives the caller of a token that was verified lately. Keys are asked for at most once a second: they are in a file.
func (r *remembered) get(token string, now time.Time, keys func() (jwk.Set, error)) (Caller, bool) {
	digest := sha256.Sum256([]byte(token))
	r.mu.RLock()
	g, ok := r.of[digest]
	r.mu.RUnlock()
	if !ok || now.Before(g.at) || !now.Before(g.until) {
		return Caller{}, false
	}
	if asked := g.asked.Load(); now.UnixNano()-asked >= int64(askEvery) {
		if set, err := keys(); err != nil || set != g.keys {
			return Caller{}, false
		}
		g.asked.Store(now.UnixNano())
	}
	return g.caller, true
}

// put remembers a token for a while, and never beyond its own end.
func (r *remembered) put(token string, g *good) {
	g.asked.Store(g.at.UnixNano())
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.of == nil || len(r.of) >= maxRemembered {
		r.of = map[[sha256.Size]byte]*good{}
	}
	r.of[sha256.Sum256([]byte(token))] = g
}
