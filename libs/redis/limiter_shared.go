package redis

import (
	"context"
	"sync"
	"time"

	goredis "github.com/redis/go-redis/v9"

	"github.com/privacyops/privacyops/libs/clock"
)

// A caller that is far from its limit need not be counted call by call: a replica takes some of its calls out of the bucket at
// once and grants them by itself, for a moment.
const (
	// leaseShare is which part of a burst is taken at once, at most.
	leaseShare = 20
	// leaseTime is how long what was taken may be used. What is left then is lost to the caller, until the bucket has filled.
	leaseTime = time.Second
	// maxLeases bounds the memory for leases.
	maxLeases = 100_000
)

// limitScript is [verdict] in Redis, by Redis' clock, for several calls at once: interval, burst, calls wanted → calls granted,
// remaining, wait, reset (microseconds). Near the limit fewer are granted, so that the last ones are counted one by one. Numbers of
// microseconds stay below 2^53, so they are exact.
var limitScript = goredis.NewScript(`
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, burst, wanted = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local window = interval * burst
local full = tonumber(redis.call('GET', KEYS[1]) or '0') or 0
full = math.min(math.max(full, now), now + window)
local wait = full + interval - window - now
if wait > 0 then
	return {ARGV[1], KEYS[1], 0, 0, wait, full - now}
end
local room = math.floor((window - (full - now)) / interval)
local granted = math.max(1, math.min(wanted, math.floor(room / 4)))
local following = full + granted * interval
redis.call('SET', KEYS[1], string.format('%.0f', following), 'PX', math.ceil((following - now) / 1000))
return {ARGV[1], KEYS[1], granted, math.floor((window - (following - now)) / interval), 0, following - now}
`)

// SharedLimiter is [Limiter] of several replicas, in at most one round trip for a call, and far from the limit in one for many.
// While Redis is away each replica counts for itself, from full buckets on: a caller may then have its rate once per replica.
type SharedLimiter struct {
	client *Client
	local  *LocalLimiter
	clock  clock.Clock

	mu     sync.Mutex
	leases map[string]lease
}

// lease is what is left of calls that were taken out of a bucket.
type lease struct {
	left  int
	until time.Time
	last  Verdict
}

// NewSharedLimiter makes one.
func NewSharedLimiter(client *Client, c clock.Clock) *SharedLimiter {
	return &SharedLimiter{client: client, local: NewLocalLimiter(c), clock: c, leases: map[string]lease{}}
}

// Allow fulfils [Limiter].
func (l *SharedLimiter) Allow(ctx context.Context, controller Controller, caller string, rate Rate) Verdict {
	if rate.Valid() != nil {
		return Verdict{}
	}
	key := keyOf(controller, kindLimit, caller)
	if v, ok := l.leased(key); ok {
		return v
	}
	reply, err := l.client.call(ctx, limitScript, key, rate.interval(), rate.Burst, max(1, rate.Burst/leaseShare))
	if err != nil || len(reply) < 4 {
		return l.local.Allow(ctx, controller, caller, rate)
	}
	v := Verdict{
		Allowed: number(reply, 0) > 0, Remaining: int(number(reply, 1)),
		RetryAfter: micros(number(reply, 2)), ResetAfter: micros(number(reply, 3)),
	}
	l.keep(key, int(number(reply, 0))-1, v)
	return v
}

// leased grants a call that was taken out of the bucket before.
func (l *SharedLimiter) leased(key string) (Verdict, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	have, ok := l.leases[key]
	if !ok {
		return Verdict{}, false
	}
	if have.left == 0 || !l.clock.Now().Before(have.until) {
		delete(l.leases, key)
		return Verdict{}, false
	}
	have.left--
	l.leases[key] = have
	v := have.last
	v.Remaining += have.left
	return v, true
}

// keep notes what may be granted without asking.
func (l *SharedLimiter) keep(key string, left int, v Verdict) {
	if left < 1 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.leases) >= maxLeases {
		clear(l.leases)
	}
	l.leases[key] = lease{left: left + l.leases[key].left, until: l.clock.Now().Add(leaseTime), last: v}
}
