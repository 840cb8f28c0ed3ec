package telemetry

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// Durations measures how long things of a few kinds take. The instrumentation libraries can measure calls and requests, too, but
// build the attributes anew for each, which costs more than a decision on legal basis. Here there is one set for each kind K, made
// once; so there must be few kinds: a method and a status code, not a name.
type Durations[K comparable] struct {
	histogram  metric.Float64Histogram
	attributes func(K) []attribute.KeyValue
	sets       sync.Map // K -> metric.MeasurementOption
}

// NewDurations makes a histogram in seconds of a name of the OpenTelemetry conventions.
func NewDurations[K comparable](meter metric.Meter, name, description string, attributes func(K) []attribute.KeyValue) (*Durations[K], error) {
	histogram, err := meter.Float64Histogram(name, metric.WithUnit("s"), metric.WithDescription(description),
		metric.WithExplicitBucketBoundaries(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10))
	if err != nil {
		return nil, fmt.Errorf("telemetry: %s: %w", name, err)
	}
	return &Durations[K]{histogram: histogram, attributes: attributes}, nil
}

// Record notes that something of a kind took so long.
func (d *Durations[K]) Record(ctx context.Context, kind K, took time.Duration) {
	set, ok := d.sets.Load(kind)
	if !ok {
		set, _ = d.sets.LoadOrStore(kind, metric.WithAttributeSet(attribute.NewSet(d.attributes(kind)...)))
	}
	d.histogram.Record(ctx, took.Seconds(), set.(metric.MeasurementOption)) //nolint:forcetypeassert // nothing else is stored
}
