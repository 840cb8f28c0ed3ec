package redis_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/redis"
	"github.com/privacyops/privacyops/libs/redis/redistest"
)

// implementations runs a test of an interface's contract on both.
func implementations[T any](t *testing.T, local func() T, shared func(*redis.Client) T, test func(*testing.T, T)) {
	t.Helper()
	t.Parallel()
	t.Run("local", func(t *testing.T) {
		t.Parallel()
		test(t, local())
	})
	t.Run("redis", func(t *testing.T) {
		t.Parallel()
		test(t, shared(open(t, redistest.Config(t))))
	})
}

// database is the truth of a test.
type database struct {
	revision atomic.Int64
	reads    atomic.Int64
	broken   atomic.Bool
}

var errDatabase = errors.New("the database is away")

func (d *database) read(context.Context, redis.Controller) (int64, error) {
	d.reads.Add(1)
	if d.broken.Load() {
		return 0, errDatabase
	}
	return d.revision.Load(), nil
}

type revisions struct {
	redis.Revisions
	db    *database
	clock *clock.Fake
}

func TestRevisions(t *testing.T) {
	implementations(t, func() revisions {
		db, c := &database{}, clock.NewFake(time.Unix(1_800_000_000, 0))
		return revisions{redis.NewLocalRevisions(db.read, c), db, c}
	}, func(client *redis.Client) revisions {
		db, c := &database{}, clock.NewFake(time.Unix(1_800_000_000, 0))
		return revisions{redis.NewSharedRevisions(client, db.read, c), db, c}
	}, func(t *testing.T, r revisions) {
		ctx, controller := t.Context(), redistest.Controller(t)
		fresh := func(want int64, proven bool) {
			t.Helper()
			if revision, _, ok := r.Fresh(controller); revision != want || ok != proven {
				t.Errorf("fresh: revision %d, proven %v; want %d, %v", revision, ok, want, proven)
			}
		}
		fresh(0, false)
		var heard []int64
		stop := r.Watch(func(c redis.Controller, revision int64) {
			if c == controller {
				heard = append(heard, revision)
			}
		})
		if err := r.Publish(ctx, controller, 4); err != nil {
			t.Fatal(err)
		}
		fresh(4, false) // known, but who says that there is no 5?
		r.db.revision.Store(5)
		asked := r.clock.Now()
		revision, at, err := r.Prove(ctx, controller)
		if err != nil || revision != 5 || !at.Equal(asked) {
			t.Errorf("prove: %d at %v, %v; want 5 at %v", revision, at, err, asked)
		}
		fresh(5, true)
		if err := r.Publish(ctx, controller, 3); err != nil {
			t.Fatal(err)
		}
		fresh(5, true) // never back
		r.clock.Advance(redis.ProofAge)
		fresh(5, true)
		r.clock.Advance(1)
		fresh(5, false)
		if err := r.Publish(ctx, controller, 6); err != nil {
			t.Fatal(err)
		}
		fresh(6, false) // a notice is no proof
		r.db.broken.Store(true)
		if _, _, err := r.Prove(ctx, controller); !errors.Is(err, errDatabase) {
			t.Errorf("prove without a database: %v", err)
		}
		fresh(6, false)
		r.db.broken.Store(false)
		r.db.revision.Store(6)
		if _, _, err := r.Prove(ctx, controller); err != nil {
			t.Fatal(err)
		}
		fresh(6, true)
		r.clock.Advance(-time.Hour)
		fresh(6, false) // a clock that was set back proves nothing
		stop()
		if err := r.Publish(ctx, controller, 7); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]int64{4, 5, 6}, heard); diff != "" {
			t.Errorf("watcher heard (-want +got):\n%s", diff)
		}
		if err := r.Publish(ctx, controller, -1); err == nil {
			t.Error("revision -1 was published")
		}
		other := redistest.Controller(t)
		if revision, _, ok := r.Fresh(other); revision != 0 || ok {
			t.Errorf("another controller: revision %d, proven %v", revision, ok)
		}
	})
}

func TestLimiter(t *testing.T) {
	implementations[redis.Limiter](t,
		func() redis.Limiter { return redis.NewLocalLimiter(clock.System()) },
		func(c *redis.Client) redis.Limiter { return redis.NewSharedLimiter(c, clock.System()) },
		func(t *testing.T, l redis.Limiter) {
			ctx, controller := t.Context(), redistest.Controller(t)
			rate := redis.Rate{Calls: 10, Period: time.Second, Burst: 5}
			for i := range 5 {
				if v := l.Allow(ctx, controller, "usr_1", rate); !v.Allowed || v.Remaining > 4-i+1 || v.RetryAfter != 0 {
					t.Fatalf("call %d of a burst of 5: %+v", i+1, v)
				}
			}
			v := l.Allow(ctx, controller, "usr_1", rate)
			if v.Allowed || v.Remaining != 0 || v.RetryAfter <= 0 || v.RetryAfter > 100*time.Millisecond || v.ResetAfter > 500*time.Millisecond {
				t.Fatalf("call 6 of a burst of 5: %+v", v)
			}
			if !l.Allow(ctx, controller, "usr_2", rate).Allowed || !l.Allow(ctx, "", "usr_1", rate).Allowed {
				t.Error("another caller, or the same elsewhere, has no bucket of its own")
			}
			time.Sleep(v.RetryAfter + time.Millisecond)
			if v := l.Allow(ctx, controller, "usr_1", rate); !v.Allowed {
				t.Errorf("after RetryAfter: %+v", v)
			}
			for _, bad := range []redis.Rate{{}, {Calls: 1, Burst: 1}, {Calls: 1, Period: time.Second}, {Calls: 2, Period: time.Microsecond, Burst: 1}, {Calls: 1, Period: time.Hour, Burst: 25}} {
				if l.Allow(ctx, controller, "usr_3", bad).Allowed {
					t.Errorf("rate %+v allows", bad)
				}
			}
		})
}

// TestLimiterConcurrent counts what many callers at once get from one bucket that does not refill meanwhile.
func TestLimiterConcurrent(t *testing.T) {
	implementations[redis.Limiter](t,
		func() redis.Limiter { return redis.NewLocalLimiter(clock.System()) },
		func(c *redis.Client) redis.Limiter { return redis.NewSharedLimiter(c, clock.System()) },
		func(t *testing.T, l redis.Limiter) {
			controller := redistest.Controller(t)
			var allowed atomic.Int64
			var group sync.WaitGroup
			for range 8 {
				group.Go(func() {
					for range 20 {
						if l.Allow(t.Context(), controller, "usr_1", redis.Rate{Calls: 1, Period: 10 * time.Minute, Burst: 50}).Allowed {
							allowed.Add(1)
						}
					}
				})
			}
			group.Wait()
			if got := allowed.Load(); got != 50 {
				t.Errorf("%d of 160 calls were allowed by a burst of 50", got)
			}
		})
}

func TestReplies(t *testing.T) {
	implementations[redis.Replies](t,
		func() redis.Replies { return redis.NewLocalReplies(clock.System()) },
		func(c *redis.Client) redis.Replies {
			r, err := redis.NewSharedReplies(c, secret)
			if err != nil {
				t.Fatal(err)
			}
			return r
		},
		func(t *testing.T, r redis.Replies) {
			ctx := t.Context()
			request := redis.Request{Controller: redistest.Controller(t), Method: "/x/Create", ID: "1", Digest: "d1"}
			miss := func(what string, q redis.Request) {
				t.Helper()
				if got, ok := r.Get(ctx, q); ok {
					t.Errorf("%s: got %q", what, got)
				}
			}
			miss("before put", request)
			reply := []byte("\x00reply\xff")
			r.Put(ctx, request, reply, time.Minute)
			if got, ok := r.Get(ctx, request); !ok || !bytes.Equal(got, []byte("\x00reply\xff")) {
				t.Errorf("got %q, %v", got, ok)
			}
			reply[0] = 'x' // what is remembered is a copy
			if got, _ := r.Get(ctx, request); !bytes.Equal(got, []byte("\x00reply\xff")) {
				t.Errorf("after a change by the caller: %q", got)
			}
			for what, change := range map[string]func(*redis.Request){
				"digest": func(q *redis.Request) { q.Digest = "d2" }, "method": func(q *redis.Request) { q.Method = "/x/Delete" },
				"id": func(q *redis.Request) { q.ID = "2" }, "controller": func(q *redis.Request) { q.Controller = "" },
			} {
				q := request
				change(&q)
				miss("another "+what, q)
			}
			r.Put(ctx, request, nil, 50*time.Millisecond)
			if got, ok := r.Get(ctx, request); !ok || len(got) != 0 {
				t.Errorf("an empty reply: %q, %v", got, ok)
			}
			eventually(t, "the reply has ended", func() bool { _, ok := r.Get(ctx, request); return !ok })
			r.Put(ctx, request, make([]byte, redis.MaxReply+1), time.Minute)
			miss("too large", request)
			r.Put(ctx, request, []byte("x"), 0)
			miss("without time", request)
		})
}

func event(sequence int64, kind string) redis.Event {
	return redis.Event{
		Sequence: sequence, Previous: sequence - 1, Kind: kind, Time: time.UnixMicro(1_800_000_000_000_000 + sequence).UTC(),
		Fields: map[redis.Field]string{redis.FieldSubject: "sub_0123", redis.FieldRevision: "7"},
	}
}

// reader checks pages of one controller's stream.
type reader struct {
	redis.Events
	t          *testing.T
	controller redis.Controller
}

func (r reader) append(sequences ...int64) {
	r.t.Helper()
	for _, s := range sequences {
		if err := r.Append(r.t.Context(), r.controller, event(s, "consent.withdrawn")); err != nil {
			r.t.Fatal(err)
		}
	}
}

func (r reader) check(what string, p redis.Page, err error, sequences []int64, gaps ...redis.Gap) {
	r.t.Helper()
	if err != nil {
		r.t.Fatalf("%s: %v", what, err)
	}
	want := redis.Page{Gaps: gaps}
	for _, s := range sequences {
		want.Events = append(want.Events, event(s, "consent.withdrawn"))
	}
	if diff := cmp.Diff(want, p, cmpopts.EquateEmpty()); diff != "" {
		r.t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func (r reader) read(after int64, limit int, sequences []int64, gaps ...redis.Gap) {
	r.t.Helper()
	p, err := r.Read(r.t.Context(), r.controller, after, limit)
	r.check("read", p, err, sequences, gaps...)
}

func (r reader) take(group, consumer string, limit int, sequences []int64, gaps ...redis.Gap) {
	r.t.Helper()
	p, err := r.Take(r.t.Context(), r.controller, group, consumer, limit)
	r.check("take", p, err, sequences, gaps...)
}

func TestEvents(t *testing.T) {
	implementations[redis.Events](t,
		func() redis.Events { return redis.NewLocalEvents(clock.System()) },
		func(c *redis.Client) redis.Events { return redis.NewSharedEvents(c, "consent") },
		func(t *testing.T, events redis.Events) {
			r := reader{events, t, redistest.Controller(t)}
			r.read(0, 10, nil, redis.Gap{}) // an empty stream proves nothing
			r.append(1, 2, 3)
			r.append(2, 3) // again
			r.read(0, 10, []int64{1, 2, 3})
			r.read(0, 2, []int64{1, 2})
			r.read(2, 10, []int64{3})
			r.read(3, 10, nil)
			r.read(9, 10, nil, redis.Gap{After: 9}) // begun anew since
			r.append(6, 7, 5)                       // 4 is lost, 5 comes too late
			r.read(3, 10, []int64{6, 7}, redis.Gap{After: 3, Through: 5})
			r.read(5, 1, []int64{6})
			r.read(1, 10, []int64{2, 3, 6, 7}, redis.Gap{After: 3, Through: 5})
		})
}

func TestEventGroups(t *testing.T) {
	implementations[redis.Events](t,
		func() redis.Events { return redis.NewLocalEvents(clock.System()) },
		func(c *redis.Client) redis.Events { return redis.NewSharedEvents(c, "consent") },
		func(t *testing.T, events redis.Events) {
			ctx := t.Context()
			r := reader{events, t, redistest.Controller(t)}
			if _, err := r.Take(ctx, r.controller, "lms", "a", 10); !errors.Is(err, redis.ErrNoGroup) {
				t.Fatalf("take before join: %v", err)
			}
			join := func(group string, after int64) {
				t.Helper()
				if err := r.Join(ctx, r.controller, group, after); err != nil {
					t.Fatal(err)
				}
			}
			r.append(1, 2, 3, 4)
			join("lms", 1)
			join("lms", 4) // stays as it is
			join("desk", 0)
			r.take("lms", "a", 2, []int64{2, 3})
			r.take("lms", "b", 10, []int64{4})
			r.take("lms", "b", 10, nil)
			r.take("desk", "a", 10, []int64{1, 2, 3, 4})
			r.append(6)
			r.take("lms", "a", 10, []int64{6}, redis.Gap{After: 4, Through: 5})
			if err := r.Acknowledge(ctx, r.controller, "lms", 2, 3, 4, 6); err != nil {
				t.Error(err)
			}
			if err := r.Leave(ctx, r.controller, "lms"); err != nil {
				t.Error(err)
			}
			if _, err := r.Take(ctx, r.controller, "lms", "a", 10); !errors.Is(err, redis.ErrNoGroup) {
				t.Errorf("take after leave: %v", err)
			}
			if err := r.Join(ctx, r.controller, "Anna Hansen", 0); err == nil {
				t.Error("a group has the name of a person")
			}
		})
}

// TestEventFields refuses what could be personal data, and says nothing of it.
func TestEventFields(t *testing.T) {
	implementations[redis.Events](t,
		func() redis.Events { return redis.NewLocalEvents(clock.System()) },
		func(c *redis.Client) redis.Events { return redis.NewSharedEvents(c, "consent") },
		func(t *testing.T, events redis.Events) {
			for what, change := range map[string]func(*redis.Event){
				"field":     func(e *redis.Event) { e.Fields["email"] = "sub_1" },
				"address":   func(e *redis.Event) { e.Fields[redis.FieldSubject] = "anna@skole.dk" },
				"name":      func(e *redis.Event) { e.Fields[redis.FieldSubject] = "Anna Hansen" },
				"letter":    func(e *redis.Event) { e.Fields[redis.FieldSubject] = "Søren" },
				"empty":     func(e *redis.Event) { e.Fields[redis.FieldSubject] = "" },
				"kind":      func(e *redis.Event) { e.Kind = "withdrawn" },
				"sequence":  func(e *redis.Event) { e.Sequence = 0 },
				"previous":  func(e *redis.Event) { e.Previous = 1 },
				"no moment": func(e *redis.Event) { e.Time = time.Time{} },
			} {
				e := event(1, "consent.withdrawn")
				change(&e)
				err := events.Append(t.Context(), redistest.Controller(t), e)
				if err == nil {
					t.Errorf("%s: taken", what)
				} else if bytes.Contains([]byte(err.Error()), []byte("nna")) {
					t.Errorf("%s: the error quotes the value", what)
				}
			}
		})
}
