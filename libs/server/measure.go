package server

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	"google.golang.org/grpc/codes"
)

// calls measures how long calls take, as `rpc.server.call.duration` of the OpenTelemetry conventions for RPC. otelgrpc can do
// that, too, and builds the attributes anew for each call, which costs more than a decision; here there is one set for each
// method and outcome, made once. otelgrpc is left with the spans.
type calls struct {
	duration metric.Float64Histogram
	sets     sync.Map // outcome -> metric.MeasurementOption
}

// outcome is a method and how a call of it ended.
type outcome struct {
	method string
	code   codes.Code
}

func newCalls(meter metric.MeterProvider) (*calls, error) {
	duration, err := meter.Meter("github.com/privacyops/privacyops/libs/server").Float64Histogram("rpc.server.call.duration",
		metric.WithUnit("s"), metric.WithDescription("How long calls took"),
		metric.WithExplicitBucketBoundaries(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10))
	if err != nil {
		return nil, fmt.Errorf("server: metrics: %w", err)
	}
	return &calls{duration: duration}, nil
}

// done notes a call that has ended. Only methods that the server knows come here, so there are few sets.
func (c *calls) done(ctx context.Context, fullMethod string, code codes.Code, took time.Duration) {
	key := outcome{fullMethod, code}
	set, ok := c.sets.Load(key)
	if !ok {
		set, _ = c.sets.LoadOrStore(key, metric.WithAttributeSet(attribute.NewSet(attribute.String("rpc.system.name", "grpc"),
			attribute.String("rpc.method", strings.TrimPrefix(fullMethod, "/")), attribute.String("rpc.response.status_code", code.String()))))
	}
	c.duration.Record(ctx, took.Seconds(), set.(metric.MeasurementOption))
}
