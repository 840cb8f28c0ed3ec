package redis

import (
	"context"
	"errors"
	"time"
)

// Rate is a token bucket: Burst calls at once, and Calls per Period in the long run.
type Rate struct {
	Calls  int
	Period time.Duration
	Burst  int
}

// Valid refuses rates that a bucket cannot have: less than one call, a burst below one, or more than one call in a microsecond.
func (r Rate) Valid() error {
	switch {
	case r.Calls < 1 || r.Burst < 1 || r.Period <= 0:
		return errors.New("redis: a rate has at least one call, a burst of one and a period")
	case r.interval() < 1:
		return errors.New("redis: a rate has at most one call in a microsecond")
	case r.Period > 24*time.Hour || int64(r.Burst) > int64(24*time.Hour/time.Microsecond)/r.interval():
		return errors.New("redis: a bucket fills up within 24 hours")
	}
	return nil
}

// interval is the time between two calls in the long run, in microseconds.
func (r Rate) interval() int64 {
	if r.Calls < 1 {
		return 0
	}
	return r.Period.Microseconds() / int64(r.Calls)
}

// Verdict is what a caller may do.
type Verdict struct {
	// Allowed: the call was counted and may go on.
	Allowed bool
	// Remaining is how many calls may follow at once.
	Remaining int
	// RetryAfter is when a call that was not allowed may come again (HTTP's Retry-After); zero where it was.
	RetryAfter time.Duration
	// ResetAfter is when the bucket is full again.
	ResetAfter time.Duration
}

// Limiter counts the calls of a caller in one bucket, whichever replica of the gateway gets them.
type Limiter interface {
	// Allow counts one call of the caller under the controller, which may be empty. The caller is a reference such as
	// keyring.Actor makes; only its hash is a key. A rate that is not valid allows nothing: it is a mistake in the configuration,
	// which Rate.Valid finds at the start. There is no error: without Redis each replica counts for itself.
	Allow(ctx context.Context, controller Controller, caller string, rate Rate) Verdict
}

var (
	_ Limiter = (*LocalLimiter)(nil)
	_ Limiter = (*SharedLimiter)(nil)
)

// verdict applies the generic cell rate algorithm (ITU-T I.371), all in microseconds: full is the moment at which the bucket is
// full again, and a call moves it by one interval.
func verdict(rate Rate, now, full int64) (v Verdict, next int64) {
	interval := rate.interval()
	window := interval * int64(rate.Burst)
	full = min(max(full, now), now+window) // after a clock was set back nobody waits longer than for an empty bucket
	next = full + interval
	if wait := next - window - now; wait > 0 {
		return Verdict{RetryAfter: micros(wait), ResetAfter: micros(full - now)}, full
	}
	return Verdict{Allowed: true, Remaining: int((window - (next - now)) / interval), ResetAfter: micros(next - now)}, next
}

func micros(n int64) time.Duration { return time.Duration(n) * time.Microsecond }
