package server

import (
	"context"
	"net"
	"strconv"
	"strings"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/genproto/googleapis/rpc/code"
	grpccodes "google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/privacyops/privacyops/libs/telemetry"
)

// spans makes the spans of calls, with the names and attributes of the OpenTelemetry conventions for RPC. otelgrpc would make the
// same, but prepares each as if it were to be kept: of a hundred calls ninety-nine are not, and preparing them took a tenth of the
// time of a decision on legal basis. The trace's id is there in any case: events of the audit log name it.
type spans struct {
	tracer  trace.Tracer
	methods sync.Map // full method -> *spanOf; only methods that the server knows come here
}

// spanOf is what the spans of one method have in common.
type spanOf struct {
	name    string
	options []trace.SpanStartOption
}

func newSpans(provider trace.TracerProvider) *spans {
	return &spans{tracer: provider.Tracer("github.com/privacyops/privacyops/libs/server")}
}

// start begins the span of a call, in the trace that its caller names.
func (s *spans) start(ctx context.Context, fullMethod string) (context.Context, trace.Span) {
	known, ok := s.methods.Load(fullMethod)
	if !ok {
		name := strings.TrimPrefix(fullMethod, "/")
		known, _ = s.methods.LoadOrStore(fullMethod, &spanOf{name, []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer),
			trace.WithAttributes(attribute.String("rpc.system.name", "grpc"), attribute.String("rpc.method", name))}})
	}
	method := known.(*spanOf) //nolint:forcetypeassert // nothing else is stored
	ctx, span := s.tracer.Start(telemetry.Propagator().Extract(ctx, incoming{ctx}), method.name, method.options...)
	if span.IsRecording() {
		span.SetAttributes(localAddress(ctx)...)
	}
	return ctx, span
}

// end ends a span with the status that is answered.
func end(span trace.Span, answer error) {
	if !span.IsRecording() {
		return
	}
	s := status.Convert(answer)
	span.SetAttributes(attribute.String("rpc.response.status_code", codeName(s.Code())))
	switch s.Code() {
	case grpccodes.Unknown, grpccodes.DeadlineExceeded, grpccodes.Unimplemented, grpccodes.Internal, grpccodes.Unavailable, grpccodes.DataLoss:
		span.SetStatus(codes.Error, s.Message())
	}
	span.End()
}

// codeName is a code as the conventions write it: NOT_FOUND.
func codeName(c grpccodes.Code) string { return code.Code(c).String() }

// localAddress is where the call came in.
func localAddress(ctx context.Context) []attribute.KeyValue {
	p, ok := peer.FromContext(ctx)
	if !ok || p.LocalAddr == nil {
		return nil
	}
	host, port, err := net.SplitHostPort(p.LocalAddr.String())
	if err != nil {
		return nil
	}
	attributes := []attribute.KeyValue{attribute.String("server.address", host)}
	if n, err := strconv.Atoi(port); err == nil {
		attributes = append(attributes, attribute.Int("server.port", n))
	}
	return attributes
}

// incoming reads a call's metadata, for the propagator.
type incoming struct{ ctx context.Context } //nolint:containedctx // it is the context's own metadata

// Get implements propagation.TextMapCarrier.
func (c incoming) Get(key string) string {
	if values := metadata.ValueFromIncomingContext(c.ctx, key); len(values) > 0 {
		return values[0]
	}
	return ""
}

// Set implements propagation.TextMapCarrier; nothing is ever set on what came in.
func (incoming) Set(string, string) {}

// Keys implements propagation.TextMapCarrier.
func (incoming) Keys() []string { return nil }
