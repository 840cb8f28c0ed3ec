package redis

import (
	"context"
	"sync"

	"github.com/privacyops/privacyops/libs/clock"
)

// maxBuckets bounds the memory of a limiter. Callers are authenticated before they are counted, so they are not many.
const maxBuckets = 100_000

// LocalLimiter is [Limiter] in one process.
type LocalLimiter struct {
	clock clock.Clock

	mu   sync.Mutex
	full map[string]int64 // when a bucket is full again, in microseconds; one that is full is the same as none
}

// NewLocalLimiter makes one with full buckets.
func NewLocalLimiter(c clock.Clock) *LocalLimiter {
	return &LocalLimiter{clock: c, full: map[string]int64{}}
}

// Allow fulfils [Limiter].
func (l *LocalLimiter) Allow(_ context.Context, controller Controller, caller string, rate Rate) Verdict {
	if rate.Valid() != nil {
		return Verdict{}
	}
	key := keyOf(controller, kindLimit, caller)
	now := l.clock.Now().UnixMicro()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.makeRoom(now)
	v, next := verdict(rate, now, l.full[key])
	l.full[key] = next
	return v
}

// makeRoom forgets buckets that are full, and, where that is too few, some others.
func (l *LocalLimiter) makeRoom(now int64) {
	if len(l.full) < maxBuckets {
		return
	}
	for key, full := range l.full {
		if full <= now {
			delete(l.full, key)
		}
	}
	for key := range l.full {
		if len(l.full) <= maxBuckets*7/8 {
			return
		}
		delete(l.full, key)
	}
}
