package rpc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	otelcodes "go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/trace"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/server"
)

const scope = "github.com/privacyops/privacyops/services/participant"

// observe makes the instruments.
func (s *Server) observe() (err error) {
	s.tracer = s.telemetry.Tracer.Tracer(scope)
	s.duration, err = s.telemetry.Meter.Meter(scope).Float64Histogram("privacyops.participant.duration",
		metric.WithUnit("s"), metric.WithDescription("How long a system takes for a verb of the participant protocol."))
	if err != nil {
		return fmt.Errorf("rpc: make instrument: %w", err)
	}
	return nil
}

// observed is one verb at work on one system. What it tells names the system, datasets and counts, never a person.
type observed struct {
	server *Server
	span   trace.Span
	system string
	verb   string
	start  time.Time
	count  int64
}

// begin opens the span of a verb.
func (s *Server) begin(ctx context.Context, verb string, sys *system) (context.Context, *observed) {
	ctx, span := s.tracer.Start(ctx, "participant."+verb, trace.WithAttributes(attribute.String("system", sys.name))) //nolint:spancheck // end ends it
	return ctx, &observed{server: s, span: span, system: sys.name, verb: verb, start: s.clock.Now()}                  //nolint:spancheck // end ends it
}

// counted notes how many rows of a dataset the verb dealt with.
func (o *observed) counted(dataset string, n int64) {
	if n == 0 {
		return
	}
	o.count += n
	o.span.AddEvent("dataset", trace.WithAttributes(attribute.String("dataset", dataset), attribute.Int64("count", n)))
}

// end closes the span and gives the verb's error as a fault.
func (o *observed) end(ctx context.Context, err error) error {
	defer o.span.End()
	reason := "OK"
	if err != nil {
		reason = o.failed(ctx, err)
		err = o.server.faultOf(err)
	}
	o.span.SetAttributes(attribute.Int64("count", o.count))
	o.server.duration.Record(ctx, o.server.clock.Now().Sub(o.start).Seconds(), metric.WithAttributes(
		attribute.String("system", o.system), attribute.String("verb", o.verb), attribute.String("reason", reason)))
	return err
}

// failed marks the span, tells the operator what a caller is not told (which system failed, and how as far as that is known to
// name nobody), and gives the reason in a word.
func (o *observed) failed(ctx context.Context, err error) string {
	if errors.Is(err, context.Canceled) {
		return "CANCELLED" // by the caller: nothing has failed
	}
	f := server.Classify(o.server.faultOf(err))
	o.span.SetStatus(otelcodes.Error, f.Reason())
	if f.Kind() == fault.Internal || f.Kind() == fault.Unavailable {
		text, _ := o.server.explain(err)
		o.server.telemetry.Log.ErrorContext(ctx, "a system failed", "system", o.system, "method", o.verb, "reason", f.Reason(),
			"event", text, "error_kind", fmt.Sprintf("%T", err))
	}
	return f.Reason()
}
