package redis_test

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/redis"
	"github.com/privacyops/privacyops/libs/redis/redistest"
)

// TestPaused counts what callers wait for a Redis that does not answer: one time-out a second.
func TestPaused(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := open(t, server.Config())
	limiter := redis.NewSharedLimiter(client, clock.System())
	rate := redis.Rate{Calls: 1, Period: time.Minute, Burst: 1000}
	if err := client.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	limiter.Allow(t.Context(), "a", "usr_1", rate)
	server.Do(t, "CLIENT", "PAUSE", 60_000, "ALL")
	slow, calls := 0, 0
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		start := time.Now()
		limiter.Allow(t.Context(), "a", "usr_1", rate)
		calls++
		switch took := time.Since(start); {
		case took > time.Second:
			t.Errorf("a call took %v", took)
		case took > 100*time.Millisecond:
			slow++
		}
	}
	if slow == 0 || slow > 3 || calls < 500 {
		t.Errorf("of %d calls in 3 s %d were slow", calls, slow)
	}
	if err := client.Ready(t.Context()); !errors.Is(err, redis.ErrAway) {
		t.Errorf("ready: %v", err)
	}
	server.Kill(t)
	server.Restart(t)
	eventually(t, "Redis is back", func() bool { return client.Ready(t.Context()) == nil })
}

// TestAway starts without Redis: everything answers, and nothing is remembered.
func TestAway(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := open(t, server.Config())
	server.Kill(t)
	ctx := t.Context()
	db := &database{}
	db.revision.Store(2)
	revisions := redis.NewSharedRevisions(client, db.read, clock.System())
	if err := revisions.Publish(ctx, "a", 1); !errors.Is(err, redis.ErrAway) {
		t.Errorf("publish: %v", err)
	}
	if revision, _, err := revisions.Prove(ctx, "a"); revision != 2 || err != nil {
		t.Errorf("prove: %d, %v", revision, err)
	}
	if revision, _, ok := revisions.Fresh("a"); revision != 2 || !ok {
		t.Errorf("fresh: %d, %v", revision, ok)
	}
	limiter := redis.NewSharedLimiter(client, clock.System())
	rate := redis.Rate{Calls: 1, Period: time.Minute, Burst: 1}
	if !limiter.Allow(ctx, "a", "usr_1", rate).Allowed || limiter.Allow(ctx, "a", "usr_1", rate).Allowed {
		t.Error("without Redis the limiter does not count")
	}
	replies, err := redis.NewSharedReplies(client, secret)
	if err != nil {
		t.Fatal(err)
	}
	request := redis.Request{Controller: "a", ID: "1"}
	replies.Put(ctx, request, []byte("x"), time.Minute)
	if _, ok := replies.Get(ctx, request); ok {
		t.Error("without Redis there is a reply")
	}
	events := redis.NewSharedEvents(client, "consent")
	if err := events.Append(ctx, "a", event(1, "consent.withdrawn")); !errors.Is(err, redis.ErrAway) {
		t.Errorf("append: %v", err)
	}
	if _, err := events.Read(ctx, "a", 0, 1); !errors.Is(err, redis.ErrAway) {
		t.Errorf("read: %v", err)
	}
}

// TestLateReplies puts a client on connections that give each reply to the next request.
func TestLateReplies(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	straight := open(t, server.Config())
	cfg := proxy(t, server.Config(), server.Address(), late)
	cfg.PoolSize = 1
	crooked := open(t, cfg)
	ctx := t.Context()
	var pair [2]*redis.SharedReplies
	for i, c := range []*redis.Client{straight, crooked} {
		r, err := redis.NewSharedReplies(c, secret)
		if err != nil {
			t.Fatal(err)
		}
		pair[i] = r
	}
	right, dropped := 0, 0
	for i := range 40 {
		request := redis.Request{Controller: "a", ID: string(rune('a' + i%2))}
		pair[0].Put(ctx, request, []byte(request.ID), time.Minute)
		switch got, ok := pair[1].Get(ctx, request); {
		case !ok:
			dropped++
		case !bytes.Equal(got, []byte(request.ID)):
			t.Fatalf("the reply to %s was %q", request.ID, got)
		default:
			right++
		}
	}
	if right == 0 || dropped < 20 {
		t.Errorf("%d right, %d dropped", right, dropped)
	}
	// The same key: only the nonce tells an older reply from the one that was asked for.
	crooked = open(t, cfg)
	told, asked := reader{redis.NewSharedEvents(straight, "consent"), t, "a"}, redis.NewSharedEvents(crooked, "consent")
	refused := 0
	for i := range int64(20) {
		told.append(i + 1)
		p, err := asked.Read(ctx, "a", i, 1)
		switch {
		case errors.Is(err, redis.ErrReply):
			refused++
		case err == nil:
			told.check("read", p, nil, []int64{i + 1})
		}
	}
	if refused == 0 {
		t.Error("no late reply was refused")
	}
}

// TestMisplaced moves values to other keys, as a mistake in an operation on Redis might.
func TestMisplaced(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	client := open(t, server.Config())
	ctx := t.Context()
	replies, err := redis.NewSharedReplies(client, secret)
	if err != nil {
		t.Fatal(err)
	}
	one, two := redis.Request{Controller: "a", ID: "1"}, redis.Request{Controller: "a", ID: "2"}
	replies.Put(ctx, one, []byte("x"), time.Minute)
	server.Do(t, "COPY", redis.KeyOf("a", "reply", "", "1"), redis.KeyOf("a", "reply", "", "2"))
	if got, ok := replies.Get(ctx, two); ok {
		t.Errorf("the reply of another request: %q", got)
	}
	if raw, _ := server.Do(t, "GET", redis.KeyOf("a", "reply", "", "1")).(string); len(raw) < 28 {
		t.Errorf("a sealed reply has %d bytes", len(raw))
	}
	events := redis.NewSharedEvents(client, "consent")
	if err := events.Append(ctx, "a", event(1, "consent.withdrawn")); err != nil {
		t.Fatal(err)
	}
	server.Do(t, "COPY", redis.KeyOf("a", "events", "consent"), redis.KeyOf("b", "events", "consent"))
	if _, err := events.Read(ctx, "b", 0, 1); !errors.Is(err, redis.ErrReply) {
		t.Errorf("another controller's events: %v", err)
	}
}

// TestEventsLost empties and trims streams.
func TestEventsLost(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	r := reader{redis.NewSharedEvents(open(t, server.Config()), "consent"), t, "a"}
	key := redis.KeyOf("a", "events", "consent")
	join := func() {
		t.Helper()
		if err := r.Join(t.Context(), "a", "lms", 0); err != nil {
			t.Fatal(err)
		}
	}
	r.append(1, 2, 3, 4)
	join()
	r.take("lms", "a", 3, []int64{1, 2, 3})
	// The consumer has died: what it took is given again, and what is gone is named.
	for _, id := range []string{"1-0", "2-0", "3-0"} {
		server.Do(t, "XCLAIM", key, "lms", "a", 0, id, "IDLE", 2*redis.Redelivery.Milliseconds(), "JUSTID")
	}
	server.Do(t, "XTRIM", key, "MINID", "2-0")
	r.read(0, 10, []int64{2, 3, 4}, redis.Gap{After: 0, Through: 1})
	r.take("lms", "b", 10, []int64{2, 3}, redis.Gap{After: 0, Through: 1})
	r.take("lms", "b", 10, []int64{4})
	server.Do(t, "XDEL", key, "4-0")
	r.read(3, 10, nil, redis.Gap{After: 3, Through: 4})

	server.Do(t, "FLUSHALL")
	r.read(4, 10, nil, redis.Gap{After: 4})
	if _, err := r.Take(t.Context(), "a", "lms", "a", 10); !errors.Is(err, redis.ErrNoGroup) {
		t.Errorf("take after FLUSHALL: %v", err)
	}
	join()
	r.take("lms", "a", 10, nil, redis.Gap{})
	r.append(5)
	r.read(4, 10, []int64{5})
	r.take("lms", "a", 10, []int64{5}, redis.Gap{After: 0, Through: 4})
}

// TestCluster runs each script on a server of a cluster, which refuses keys of two slots.
func TestCluster(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "cluster-enabled yes")
	server.Do(t, "CLUSTER", "ADDSLOTSRANGE", 0, 16383)
	client := open(t, server.Config())
	ctx := t.Context()
	db := &database{}
	db.revision.Store(1)
	revisions := redis.NewSharedRevisions(client, db.read, clock.System())
	background(t, revisions.Run)
	eventually(t, "the cluster takes a revision", func() bool { return revisions.Publish(ctx, "a", 1) == nil })
	for _, controller := range []redis.Controller{"a", "b", "", "}{"} {
		if _, _, err := revisions.Prove(ctx, controller); err != nil {
			t.Error(err)
		}
		r := reader{redis.NewSharedEvents(client, "consent"), t, controller}
		r.append(1)
		r.read(0, 2, []int64{1})
	}
	key := redis.KeyOf("a", "revision")
	if proven := server.Do(t, "HGET", key, "proven"); proven != "1" {
		t.Errorf("the proof was not shared: %v", proven)
	}
	if v := redis.NewSharedLimiter(client, clock.System()).Allow(ctx, "a", "usr_1", redis.Rate{Calls: 1, Period: time.Minute, Burst: 1}); !v.Allowed {
		t.Errorf("%+v", v)
	}
	if n := server.Do(t, "EXISTS", redis.KeyOf("a", "limit", "usr_1")); n != int64(1) {
		t.Errorf("the call was counted elsewhere: %v", n)
	}
}

// A caller far from its limit costs few round trips, gets no more than its burst, and is counted one by one near the limit.
func TestLeases(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	one, two := redis.NewSharedLimiter(open(t, server.Config()), clock.System()), redis.NewSharedLimiter(open(t, server.Config()), clock.System())
	rate := redis.Rate{Calls: 1, Period: 10 * time.Second, Burst: 1000}
	allowed := 0
	asked := func() int {
		stats, _ := server.Do(t, "INFO", "commandstats").(string)
		_, rest, _ := strings.Cut(stats, "cmdstat_evalsha:calls=")
		number, _, _ := strings.Cut(rest, ",")
		n, _ := strconv.Atoi(number)
		return n
	}
	for range 250 {
		for _, l := range []*redis.SharedLimiter{one, two} {
			if l.Allow(t.Context(), "a", "usr_1", rate).Allowed {
				allowed++
			}
		}
	}
	if n := asked(); allowed != 500 || n > 20 {
		t.Errorf("%d of 500 calls were allowed, Redis was asked %d times", allowed, n)
	}
	for range 600 {
		for _, l := range []*redis.SharedLimiter{one, two} {
			if l.Allow(t.Context(), "a", "usr_1", rate).Allowed {
				allowed++
			}
		}
	}
	if allowed < 950 || allowed > 1001 { // what was taken and not used within a second is lost; one call more may have come in time
		t.Errorf("%d calls were allowed by a burst of 1,000", allowed)
	}
}
