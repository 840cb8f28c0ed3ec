package access

import (
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"time"

	"github.com/google/uuid"
)

// The actions of log-ins. The suite has no sessions: somebody logs in by the first call with a token.
const (
	// LoginAction is a token's first call at a door: the gateway, or a service that is called directly.
	LoginAction = "access.login"
	// RefuseAction stands for calls without a good token.
	RefuseAction = "access.refuse"
)

const (
	// maxSeen bounds the tokens that a door remembers. When it forgets, a log-in is reported again under the same id, and counts once.
	maxSeen = 50_000
	// refuseEvery is how often refusals for one reason make an event, and maxReasons how many reasons there are.
	refuseEvery = time.Minute
	maxReasons  = 32
)

// LoginID gives the id of a log-in's event, a UUID (version 8), made of the token under the suite's key: whoever reports it, and
// however often, reports one event. A door is the name of the service that the call came to.
func (v *Verifier) LoginID(token, door, controller string) string {
	digest := sha256.Sum256([]byte(token))
	raw, err := hex.DecodeString(v.cfg.Keyring.Digest("access/login", hex.EncodeToString(digest[:]), door, controller))
	if err != nil { // Digest writes hex
		panic("access: login id: " + err.Error())
	}
	id := uuid.UUID(raw[:16])
	id[6], id[8] = id[6]&0x0f|0x80, id[8]&0x3f|0x80
	return id.String()
}

// Doors is what a door remembers of who came: digests of tokens, and when it last told of refusals. The zero value is ready.
type Doors struct {
	mu      sync.Mutex
	seen    map[[sha256.Size]byte]struct{}
	refused map[string]*refusals
}

type refusals struct {
	told  time.Time
	since int64
}

// First reports whether a token comes for the first time.
func (d *Doors) First(token string) bool {
	digest := sha256.Sum256([]byte(token))
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, known := d.seen[digest]; known {
		return false
	}
	if d.seen == nil || len(d.seen) >= maxSeen {
		d.seen = map[[sha256.Size]byte]struct{}{}
	}
	d.seen[digest] = struct{}{}
	return true
}

// Forget makes a token count as one that has not come yet: that it came could not be told.
func (d *Doors) Forget(token string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.seen, sha256.Sum256([]byte(token)))
}

// Refusal counts a refused call, and says whether it is time to tell of those that there were for this reason since the last time.
func (d *Doors) Refusal(reason string, now time.Time) (count int64, due bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.refused[reason]
	if r == nil {
		if d.refused == nil || len(d.refused) >= maxReasons {
			d.refused = map[string]*refusals{}
		}
		r = &refusals{}
		d.refused[reason] = r
	}
	r.since++
	if !r.told.IsZero() && now.Sub(r.told) < refuseEvery {
		return 0, false
	}
	count, r.told, r.since = r.since, now, 0
	return count, true
}
