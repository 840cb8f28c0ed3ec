package redis

import (
	"bytes"
	"container/list"
	"context"
	"sync"
	"time"

	"github.com/privacyops/privacyops/libs/clock"
)

// maxReplyMemory bounds the replies in one process, in bytes.
const maxReplyMemory = 16 << 20

// LocalReplies is [Replies] in one process. The oldest make room for new ones.
type LocalReplies struct {
	clock clock.Clock

	mu    sync.Mutex
	bytes int
	by    map[string]*list.Element
	order list.List // of *remembered, oldest first
}

type remembered struct {
	key, digest string
	reply       []byte
	ends        time.Time
}

// size counts what a reply costs besides its bytes too, roughly.
func (r *remembered) size() int { return len(r.reply) + 256 }

// NewLocalReplies makes an empty memory.
func NewLocalReplies(c clock.Clock) *LocalReplies {
	return &LocalReplies{clock: c, by: map[string]*list.Element{}}
}

// Get fulfils [Replies].
func (l *LocalReplies) Get(_ context.Context, r Request) ([]byte, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.by[r.key()]
	if e == nil {
		return nil, false
	}
	m, _ := e.Value.(*remembered)
	if !l.clock.Now().Before(m.ends) {
		l.drop(e)
		return nil, false
	}
	if m.digest != r.Digest {
		return nil, false
	}
	return bytes.Clone(m.reply), true
}

// Put fulfils [Replies].
func (l *LocalReplies) Put(_ context.Context, r Request, reply []byte, ttl time.Duration) {
	ttl, ok := storable(reply, ttl)
	if !ok {
		return
	}
	m := &remembered{key: r.key(), digest: r.Digest, reply: bytes.Clone(reply), ends: l.clock.Now().Add(ttl)}
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.by[m.key]; e != nil {
		l.drop(e)
	}
	l.by[m.key] = l.order.PushBack(m)
	for l.bytes += m.size(); l.bytes > maxReplyMemory; {
		l.drop(l.order.Front())
	}
}

func (l *LocalReplies) drop(e *list.Element) {
	m, _ := l.order.Remove(e).(*remembered)
	delete(l.by, m.key)
	l.bytes -= m.size()
}
