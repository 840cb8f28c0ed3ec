package gateway

import (
	"context"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/privacyops/privacyops/libs/redis"
)

// redisCheck is how often the gateway asks whether Redis is there, for the log alone.
const redisCheck = 5 * time.Second

// shared makes what the gateways of an installation have in common, or its like for one gateway.
func (cfg Config) shared() (redis.Limiter, redis.Replies, error) {
	if cfg.Redis == nil {
		return redis.NewLocalLimiter(cfg.Clock), redis.NewLocalReplies(cfg.Clock), nil
	}
	replies, err := redis.NewSharedReplies(cfg.Redis, cfg.Keyring.Derive("gateway/replies"))
	return redis.NewSharedLimiter(cfg.Redis, cfg.Clock), replies, err
}

// watchRedis asks now and then, and writes one line when Redis goes away and one when it is back. The gateway serves either
// way, and stays ready.
func watchRedis(ctx context.Context, client *redis.Client, log *slog.Logger, every time.Duration) error {
	// A trace that is not sampled: a question every few seconds is no work to be followed.
	ctx = trace.ContextWithSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}}))
	tick := time.NewTicker(every)
	defer tick.Stop()
	for here := true; ; {
		found := client.Ready(ctx) == nil
		switch {
		case ctx.Err() != nil:
			return nil
		case here && !found:
			log.WarnContext(ctx, "redis is away: this gateway counts and remembers for itself until it is back")
		case !here && found:
			log.WarnContext(ctx, "redis is back")
		}
		here = found
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
