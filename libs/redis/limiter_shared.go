package redis

import (
	"context"

	goredis "github.com/redis/go-redis/v9"

	"github.com/privacyops/privacyops/libs/clock"
)

// limitScript is [verdict] in Redis, by Redis' clock: interval, burst → allowed, remaining, wait, reset (microseconds). Numbers of
// microseconds stay below 2^53, so they are exact.
var limitScript = goredis.NewScript(`
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local interval, burst = tonumber(ARGV[2]), tonumber(ARGV[3])
local window = interval * burst
local full = tonumber(redis.call('GET', KEYS[1]) or '0') or 0
full = math.min(math.max(full, now), now + window)
local following = full + interval
local wait = following - window - now
if wait > 0 then
	return {ARGV[1], KEYS[1], 0, 0, wait, full - now}
end
redis.call('SET', KEYS[1], string.format('%.0f', following), 'PX', math.ceil((following - now) / 1000))
return {ARGV[1], KEYS[1], 1, math.floor((window - (following - now)) / interval), 0, following - now}
`)

// SharedLimiter is [Limiter] of several replicas, in one round trip. While Redis is away each replica counts for itself, from
// full buckets on: a caller may then have its rate once per replica.
type SharedLimiter struct {
	client *Client
	local  *LocalLimiter
}

// NewSharedLimiter makes one.
func NewSharedLimiter(client *Client, c clock.Clock) *SharedLimiter {
	return &SharedLimiter{client: client, local: NewLocalLimiter(c)}
}

// Allow fulfils [Limiter].
func (l *SharedLimiter) Allow(ctx context.Context, controller Controller, caller string, rate Rate) Verdict {
	if rate.Valid() != nil {
		return Verdict{}
	}
	reply, err := l.client.call(ctx, limitScript, keyOf(controller, kindLimit, caller), rate.interval(), rate.Burst)
	if err != nil || len(reply) < 4 {
		return l.local.Allow(ctx, controller, caller, rate)
	}
	return Verdict{
		Allowed: number(reply, 0) == 1, Remaining: int(number(reply, 1)),
		RetryAfter: micros(number(reply, 2)), ResetAfter: micros(number(reply, 3)),
	}
}
