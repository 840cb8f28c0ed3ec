package redis

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"time"

	goredis "github.com/redis/go-redis/v9"
)

// silence is how long the connection for notices may be still before it is tried, and again before it is given up.
const silence = time.Second

// listen takes notices until ctx ends. None of them is needed, so nothing is made of a connection that breaks but a new one.
func (r *SharedRevisions) listen(ctx context.Context) {
	for ctx.Err() == nil {
		r.listenOnce(ctx)
		select {
		case <-ctx.Done():
		case <-time.After(silence):
		}
	}
}

// listenOnce takes notices from one connection until it breaks.
func (r *SharedRevisions) listenOnce(ctx context.Context) {
	sub := r.client.db.Subscribe(ctx, revisionChannel)
	defer sub.Close()
	defer context.AfterFunc(ctx, func() { _ = sub.Close() })() // a read that waits ends at once
	for quiet := 0; quiet < 2; {
		received, err := sub.ReceiveTimeout(ctx, silence)
		var network net.Error
		switch {
		case err == nil:
			quiet = 0
			if m, ok := received.(*goredis.Message); ok {
				r.hear(m.Payload)
			}
		case errors.As(err, &network) && network.Timeout() && sub.Ping(ctx) == nil:
			quiet++ // an answer to the ping comes within the next silence
		default:
			return
		}
	}
}

func (r *SharedRevisions) hear(payload string) {
	var n notice
	if json.Unmarshal([]byte(payload), &n) == nil {
		r.take(n)
	}
}
