package redis

import (
	"context"
	"time"
)

// Bounds of remembered replies.
const (
	// MaxReply is the largest reply that is remembered, in bytes; larger ones are asked of the database.
	MaxReply = 64 << 10
	// MaxReplyAge is the longest time for which one is remembered.
	MaxReplyAge = 24 * time.Hour
)

// Request names a call that has one effect, however often it is repeated (package idempotency).
type Request struct {
	// Controller and Method bound the ID.
	Controller Controller
	Method     string
	// ID is the Idempotency-Key, or the request_id.
	ID string
	// Digest is a keyed digest of the whole request and of its caller. The reply to one digest is never given to another.
	Digest string
}

// Replies remembers replies for a while, in front of the database that has the truth: a miss means nothing, and another request
// with the same ID is a miss too, which the database then refuses. Only what the database has confirmed is put in.
type Replies interface {
	// Get gives the remembered reply to exactly this request. Redis away, another digest, a damaged value: a miss.
	Get(ctx context.Context, r Request) (reply []byte, ok bool)
	// Put remembers a reply for at most ttl, or does not.
	Put(ctx context.Context, r Request, reply []byte, ttl time.Duration)
}

var (
	_ Replies = (*LocalReplies)(nil)
	_ Replies = (*SharedReplies)(nil)
)

func (r Request) key() string { return keyOf(r.Controller, kindReply, r.Method, r.ID) }

// storable reports whether a reply is remembered, and cuts the time.
func storable(reply []byte, ttl time.Duration) (time.Duration, bool) {
	ttl = min(ttl, MaxReplyAge)
	return ttl, ttl >= time.Millisecond && len(reply) <= MaxReply
}
