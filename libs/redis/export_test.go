package redis

import (
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// KeyOf is keyOf with a kind as text.
func KeyOf(controller Controller, k string, parts ...string) string {
	return keyOf(controller, kind(k), parts...)
}

// Plain is plain.
func Plain(err error) error { return plain(err) }

// NewBreaker is a breaker on a clock of the test: admit, and report of a success or a failure.
func NewBreaker(now func() time.Time) (admit func() bool, report func(ok bool)) {
	b := &breaker{now: now}
	return b.admit, func(ok bool) {
		if ok {
			b.report(answered)
		} else {
			b.report(failed)
		}
	}
}

// Hook lets a test stand between the client and Redis.
func (c *Client) Hook(h goredis.Hook) { c.db.AddHook(h) }
