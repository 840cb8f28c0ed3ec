package edge

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/redis"
)

// Limits bound what one caller and one address may do, so that nobody takes the suite from the others. Zero fields take the
// defaults.
//
// CallsPerCaller is what somebody was promised, so it holds for all gateways together where they share a Redis. The others
// hold for one process: they guard its own sockets and memory, and the one by address is asked before anything is known about
// a caller, who must not be able to make us ask Redis.
type Limits struct {
	// CallsPerCaller is how many calls a second the holder of a token may make, and how many it may save up; default 2,000, at
	// most 1,000,000.
	CallsPerCaller int
	// CallsPerAddress is the same for an address, before anything is known about the caller; default 4,000.
	CallsPerAddress int
	// Concurrent is how many calls, streams included, a caller may have running; default 250.
	Concurrent int
	// Connections is how many connections are held at once; default 1,000.
	Connections int
	// ConnectionsPerAddress is how many of them one address may hold; default 50. Trusted proxies and loopback are exempt.
	ConnectionsPerAddress int
}

func (l Limits) withDefaults() Limits {
	return Limits{
		CallsPerCaller:        cmp.Or(l.CallsPerCaller, 2000),
		CallsPerAddress:       cmp.Or(l.CallsPerAddress, 4000),
		Concurrent:            cmp.Or(l.Concurrent, 250),
		Connections:           cmp.Or(l.Connections, 1000),
		ConnectionsPerAddress: cmp.Or(l.ConnectionsPerAddress, 50),
	}
}

// perCaller is the rate of one caller.
func (l Limits) perCaller() redis.Rate {
	return redis.Rate{Calls: l.CallsPerCaller, Period: time.Second, Burst: l.CallsPerCaller}
}

// count counts a call of an authenticated caller, in one round trip to Redis where there is one. The bucket is the caller's
// whole: one for each of its controllers would give an operator as many rates as there are controllers.
func (d *door) count(ctx context.Context, c access.Caller) error {
	if v := d.Limiter.Allow(ctx, "", c.Ref, d.Limits.perCaller()); !v.Allowed {
		d.refused(ctx, c)
		return tooFast(v.RetryAfter)
	}
	return nil
}

// refused counts a call that was one too many.
func (d *door) refused(ctx context.Context, c access.Caller) {
	if d.storms.refused(c.Ref, d.Clock.Now()) && d.Storm != nil {
		d.Storm(ctx, c)
	}
}

// tooFast is the refusal of a call that may come again after a while.
func tooFast(wait time.Duration) error {
	return fault.New(fault.Exhausted, "RATE_LIMITED", "Too many calls; slow down.").RetryIn(wait)
}

// maxKeys bounds the memory of a meter. Beyond it, new keys share one bucket until old ones are forgotten.
const maxKeys = 20_000

// meter is a token bucket for each key: it fills at the rate, and holds one second's worth.
type meter struct {
	mu      sync.Mutex
	rate    float64
	buckets map[string]*bucket
}

type bucket struct {
	level float64
	at    time.Time
}

func newMeter(perSecond int) *meter {
	return &meter{rate: float64(perSecond), buckets: map[string]*bucket{}}
}

// take counts a call, or says when there is room for one.
func (m *meter) take(key string, now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	b := m.bucket(key, now)
	b.level = min(m.rate, b.level+m.rate*max(0, now.Sub(b.at).Seconds()))
	b.at = now
	if b.level < 1 {
		return tooFast(time.Duration((1 - b.level) / m.rate * float64(time.Second)))
	}
	b.level--
	return nil
}

func (m *meter) bucket(key string, now time.Time) *bucket {
	if b, ok := m.buckets[key]; ok {
		return b
	}
	if len(m.buckets) >= maxKeys {
		m.forget(now)
	}
	if len(m.buckets) >= maxKeys {
		key = "" // no key is empty: addresses have digits
		if b, ok := m.buckets[key]; ok {
			return b
		}
	}
	b := &bucket{level: m.rate, at: now}
	m.buckets[key] = b
	return b
}

// forget drops the buckets that are full again: a new one would be the same.
func (m *meter) forget(now time.Time) {
	for key, b := range m.buckets {
		if now.Sub(b.at) >= time.Second {
			delete(m.buckets, key)
		}
	}
}

// gate bounds how many calls each key has running.
type gate struct {
	mu      sync.Mutex
	most    int
	running map[string]int
}

func newGate(most int) *gate { return &gate{most: most, running: map[string]int{}} }

// enter counts a call in; leave counts it out.
func (g *gate) enter(key string) (leave func(), err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.running[key] >= g.most {
		return nil, fault.New(fault.Exhausted, "TOO_MANY_CALLS", "Too many calls are running; wait for some of them.").RetryIn(time.Second)
	}
	g.running[key]++
	return func() { g.leave(key) }, nil
}

func (g *gate) leave(key string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.running[key]--; g.running[key] == 0 {
		delete(g.running, key)
	}
}
