package redis_test

import (
	"context"
	"testing"
	"time"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/redis"
)

// stuck is a stream that takes events only once it is let go.
type stuck struct {
	redis.Events
	gate chan struct{}
}

func (s stuck) Append(ctx context.Context, controller redis.Controller, e redis.Event) error {
	<-s.gate
	return s.Events.Append(ctx, controller, e)
}

// Publishing never waits, not even for a stream that is stuck; what did not fit shows as a gap, and what waits at the end is
// still published.
func TestPublisher(t *testing.T) {
	t.Parallel()
	stream := stuck{redis.NewLocalEvents(clock.System()), make(chan struct{})}
	p := redis.NewPublisher(stream)
	const sent = 6000
	begin := time.Now()
	for i := range int64(sent) {
		p.Publish("a", event(i+1, "consent.withdrawn"))
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("publishing took %s", took)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	close(stream.gate)
	if err := p.Run(ctx); err != nil {
		t.Fatal(err)
	}
	p.Publish("a", event(sent+1, "consent.withdrawn"))
	if err := p.Run(ctx); err != nil {
		t.Fatal(err)
	}
	var got int
	var gaps []redis.Gap
	for after := int64(0); ; {
		page, err := stream.Read(t.Context(), "a", after, redis.MaxPage)
		if err != nil {
			t.Fatal(err)
		}
		if gaps = append(gaps, page.Gaps...); len(page.Events) == 0 {
			break
		}
		got += len(page.Events)
		after = page.Events[len(page.Events)-1].Sequence
	}
	if got < 4000 || got >= sent || len(gaps) != 1 || gaps[0].Through != sent {
		t.Errorf("%d of %d events, gaps %v", got, sent+1, gaps)
	}
}
