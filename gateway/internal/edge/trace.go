package edge

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/privacyops/privacyops/gateway/internal/route"
	"github.com/privacyops/privacyops/libs/telemetry"
)

// tracing starts the span of a request: a trace of its own, with a link to the one that the client named.
func tracing(t *telemetry.Telemetry, next http.Handler) http.Handler {
	return otelhttp.NewMiddleware("request", otelhttp.WithTracerProvider(t.Tracer), otelhttp.WithMeterProvider(noop.NewMeterProvider()),
		otelhttp.WithPropagators(telemetry.Propagator()),
		otelhttp.WithPublicEndpointFn(func(*http.Request) bool { return true }),
		otelhttp.WithSpanNameFormatter(func(_ string, r *http.Request) string { return r.Pattern }))(next)
}

// traced shows the instrumentation a stand-in of each request. Otelhttp would put the path, the host, the client's address
// and its user agent into spans; the stand-in has nothing of the client's but a well-formed traceparent.
type traced struct {
	tracing http.Handler
	door    *door
}

type visitKey struct{}

// ServeHTTP finds the route and takes the request through the door.
func (t *traced) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v := &visit{door: t.door, request: r}
	v.match, v.refusal = t.door.Routes.Match(r.Method, r.URL.EscapedPath())
	t.tracing.ServeHTTP(w, standIn(context.WithValue(r.Context(), visitKey{}, v), r, v.match))
}

// enter comes back from the instrumentation: the request itself goes on, with the span.
func enter(w http.ResponseWriter, standIn *http.Request) {
	if v, ok := standIn.Context().Value(visitKey{}).(*visit); ok {
		v.serve(standIn.Context(), w)
	}
}

func standIn(ctx context.Context, r *http.Request, m *route.Match) *http.Request {
	name := pattern(r.Method, m)
	s := &http.Request{Method: knownMethod(r.Method), Pattern: name, Host: "gateway", Header: http.Header{},
		Proto: r.Proto, TLS: r.TLS, Body: http.NoBody, URL: &url.URL{}}
	if m != nil {
		s.URL.Path = m.Template
	}
	// Tracestate could carry anything and is dropped.
	s.Header.Set("Traceparent", r.Header.Get("Traceparent"))
	return s.WithContext(ctx)
}

// pattern names a request by its route.
func pattern(method string, m *route.Match) string {
	if m == nil {
		return knownMethod(method) + " unmatched"
	}
	return m.Method + " " + m.Template
}

// knownMethod is the method where it is one of HTTP's own: a client may send any word.
func knownMethod(method string) string {
	known := []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete,
		http.MethodConnect, http.MethodOptions, http.MethodTrace}
	if slices.Contains(known, method) {
		return method
	}
	return "_OTHER"
}
