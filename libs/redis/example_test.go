package redis_test

import (
	"context"
	"fmt"
	"time"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/redis"
)

func ExampleRevisions() {
	ctx := context.Background()
	committed := int64(7) // in the database
	source := func(context.Context, redis.Controller) (int64, error) { return committed, nil }
	var revisions redis.Revisions = redis.NewLocalRevisions(source, clock.System())

	revision, _, ok := revisions.Fresh("aarhus")
	if !ok {
		revision, _, _ = revisions.Prove(ctx, "aarhus")
	}
	fmt.Println("a decision made at revision", revision, "may be used")

	committed = 8 // a withdrawal
	_ = revisions.Publish(ctx, "aarhus", 8)
	revision, _, ok = revisions.Fresh("aarhus")
	fmt.Println("newest:", revision, ok)
	// Output:
	// a decision made at revision 7 may be used
	// newest: 8 true
}

func ExampleLimiter() {
	var limiter redis.Limiter = redis.NewLocalLimiter(clock.NewFake(time.Unix(0, 0)))
	rate := redis.Rate{Calls: 60, Period: time.Minute, Burst: 2}
	for range 3 {
		v := limiter.Allow(context.Background(), "aarhus", "usr_5f0c", rate)
		fmt.Println(v.Allowed, v.Remaining, v.RetryAfter)
	}
	// Output:
	// true 1 0s
	// true 0 0s
	// false 0 1s
}

func ExampleReplies() {
	ctx := context.Background()
	var replies redis.Replies = redis.NewLocalReplies(clock.System())
	request := redis.Request{Controller: "aarhus", Method: "/privacyops.export.v1.Exports/CreateExport", ID: "01990000-0000-7000-8000-000000000001", Digest: "c0ffee"}
	replies.Put(ctx, request, []byte(`{"name":"…"}`), time.Hour) // after the database has confirmed it
	_, ok := replies.Get(ctx, request)
	request.Digest = "decaf" // the same key with another request: the database refuses it
	_, other := replies.Get(ctx, request)
	fmt.Println(ok, other)
	// Output: true false
}

func ExampleEvents() {
	ctx := context.Background()
	var events redis.Events = redis.NewLocalEvents(clock.System())
	for _, sequence := range []int64{1, 2, 5} { // 3 and 4 were lost on the way
		_ = events.Append(ctx, "aarhus", redis.Event{
			Sequence: sequence, Previous: sequence - 1, Kind: "consent.withdrawn", Time: time.Unix(1_800_000_000, 0),
			Fields: map[redis.Field]string{redis.FieldSubject: "sub_5f0c"},
		})
	}
	page, _ := events.Read(ctx, "aarhus", 1, 10)
	for _, e := range page.Events {
		fmt.Println(e.Sequence, e.Kind)
	}
	fmt.Printf("read from the database: %+v\n", page.Gaps)
	// Output:
	// 2 consent.withdrawn
	// 5 consent.withdrawn
	// read from the database: [{After:2 Through:4}]
}
