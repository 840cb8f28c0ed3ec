// Package telemetry gives a service its traces, metrics and log: OpenTelemetry and slog, with no way for personal data into them.
//
// Nothing is global: each service has its own providers, so that the all-in-one tells its services apart and tests look at
// what one service emitted. Spans and metrics go where the standard OTEL_* variables say; without them nowhere. Log lines
// are JSON, and only attributes whose keys are on a list get through: whoever adds a key decides that it never names a person.
// Errors are not logged by their text, which may quote what they failed on; log their kind.
package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/contrib/exporters/autoexport"
	otelprom "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.37.0"
	"go.opentelemetry.io/otel/trace"
)

// Config says who emits, and where to besides the standard variables.
type Config struct {
	// Service is the service's name.
	Service string
	// Log is where log lines go; default standard error.
	Log io.Writer
	// Level is the least severe level that is logged; default Info.
	Level slog.Level
	// SpanProcessors see every span, for tests and for the demonstration.
	SpanProcessors []sdktrace.SpanProcessor
}

// Telemetry is what a service emits through.
type Telemetry struct {
	// Tracer makes spans.
	Tracer trace.TracerProvider
	// Meter makes metrics.
	Meter metric.MeterProvider
	// Log writes log lines.
	Log *slog.Logger
	// Metrics serves the metrics in Prometheus' format. For the admin port.
	Metrics http.Handler

	shutdown []func(context.Context) error
}

// Propagator carries trace contexts between processes: W3C traceparent and tracestate, and no baggage, which could carry
// anything.
func Propagator() propagation.TextMapPropagator { return propagation.TraceContext{} }

// New starts a service's telemetry.
func New(ctx context.Context, cfg Config) (*Telemetry, error) {
	if cfg.Log == nil {
		cfg.Log = os.Stderr
	}
	res := resource.NewWithAttributes(semconv.SchemaURL, semconv.ServiceName(cfg.Service), semconv.ServiceNamespace("privacyops"))
	t := &Telemetry{Log: Logger(cfg.Log, cfg.Level).With("service", cfg.Service)}
	if err := t.startTraces(ctx, res, cfg); err != nil {
		return nil, err
	}
	if err := t.startMetrics(ctx, res); err != nil {
		return nil, errors.Join(err, t.Shutdown(ctx))
	}
	return t, nil
}

func (t *Telemetry) startTraces(ctx context.Context, res *resource.Resource, cfg Config) error {
	opts := []sdktrace.TracerProviderOption{sdktrace.WithResource(res)}
	for _, p := range cfg.SpanProcessors {
		opts = append(opts, sdktrace.WithSpanProcessor(p))
	}
	if configured("OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") {
		exporter, err := autoexport.NewSpanExporter(ctx)
		if err != nil {
			return fmt.Errorf("telemetry: span exporter: %w", err)
		}
		opts = append(opts, sdktrace.WithBatcher(exporter))
	}
	p := sdktrace.NewTracerProvider(opts...)
	t.Tracer, t.shutdown = p, append(t.shutdown, p.Shutdown)
	return nil
}

func (t *Telemetry) startMetrics(ctx context.Context, res *resource.Resource) error {
	registry := prometheus.NewRegistry()
	prom, err := otelprom.New(otelprom.WithRegisterer(registry))
	if err != nil {
		return fmt.Errorf("telemetry: metrics: %w", err)
	}
	opts := []sdkmetric.Option{sdkmetric.WithResource(res), sdkmetric.WithReader(prom)}
	if configured("OTEL_METRICS_EXPORTER", "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT") {
		reader, err := autoexport.NewMetricReader(ctx)
		if err != nil {
			return fmt.Errorf("telemetry: metric exporter: %w", err)
		}
		opts = append(opts, sdkmetric.WithReader(reader))
	}
	p := sdkmetric.NewMeterProvider(opts...)
	t.Meter, t.shutdown = p, append(t.shutdown, p.Shutdown)
	t.Metrics = promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	return nil
}

// configured reports whether an exporter was asked for by the standard variables. Without one, autoexport would send to a
// collector on this machine that nobody has started.
func configured(names ...string) bool {
	for _, n := range append(names, "OTEL_EXPORTER_OTLP_ENDPOINT") {
		if os.Getenv(n) != "" { //nolint:forbidigo // OpenTelemetry's standard configuration is the environment, also for its SDK
			return true
		}
	}
	return false
}

// Shutdown sends what is left and stops.
func (t *Telemetry) Shutdown(ctx context.Context) error {
	var errs []error
	for _, f := range t.shutdown {
		errs = append(errs, f(ctx))
	}
	return errors.Join(errs...)
}
