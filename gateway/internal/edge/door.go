package edge

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"time"

	"go.opentelemetry.io/otel/trace"

	"go.opentelemetry.io/otel/attribute"

	"github.com/privacyops/privacyops/gateway/internal/problem"
	"github.com/privacyops/privacyops/gateway/internal/route"
	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/redis"
	"github.com/privacyops/privacyops/libs/telemetry"
)

const (
	// deadline bounds a unary call, and how long its body may take to arrive.
	deadline = 15 * time.Second
	// answerTime is how long a client may take to read the answer of a unary call after its deadline.
	answerTime = 15 * time.Second
)

// Config is what a door is made of. All but Limits, TrustedProxies, Secure, Storm, Verified and Refused is required.
type Config struct {
	// Routes says what there is behind the door.
	Routes *route.Table
	// Verifier tells callers by their tokens.
	Verifier *access.Verifier
	// Telemetry takes spans, metrics and log lines.
	Telemetry *telemetry.Telemetry
	// Clock measures.
	Clock clock.Clock
	// Limiter counts the calls of each caller, for this gateway or for all of them.
	Limiter redis.Limiter
	// Limits bound what callers may do; zero fields take their defaults.
	Limits Limits
	// TrustedProxies may say, in X-Forwarded-For, for whom they call.
	TrustedProxies []netip.Prefix
	// Secure says that the public port speaks TLS, so that browsers are told to insist on it.
	Secure bool
	// Storm is told of a caller of whom many calls are refused because they are too many: at most once a minute and caller.
	Storm func(ctx context.Context, c access.Caller)
	// Verified is told of every good token, and Refused of every call without one. Neither may wait for anything.
	Verified func(ctx context.Context, c access.Caller, token string)
	Refused  func(ctx context.Context, why error)
}

type door struct {
	Config
	next      http.Handler
	addresses *meter
	running   *gate
	storms    *storms
	// requests measures them by route and status, and tracer makes their spans.
	requests *telemetry.Durations[answered]
	tracer   trace.Tracer
}

// answered is a route and the status of an answer.
type answered struct {
	method, route string
	status        int
}

func (a answered) attributes() []attribute.KeyValue {
	return []attribute.KeyValue{attribute.String("http.request.method", a.method), attribute.String("http.route", a.route),
		attribute.Int("http.response.status_code", a.status)}
}

// New makes the door in front of a handler. The handler finds the route with [route.From] and the caller with
// [access.CallerFrom]. Limits that cannot be kept are an error.
func New(cfg Config, next http.Handler) (http.Handler, error) {
	cfg.Limits = cfg.Limits.withDefaults()
	if err := cfg.Limits.perCaller().Valid(); err != nil {
		return nil, fmt.Errorf("edge: calls per caller: %w", err)
	}
	requests, err := telemetry.NewDurations(cfg.Telemetry.Meter.Meter("github.com/privacyops/privacyops/gateway"), "http.server.request.duration",
		"How long requests took", answered.attributes)
	if err != nil {
		return nil, err
	}
	d := &door{Config: cfg, next: next, running: newGate(cfg.Limits.Concurrent), addresses: newMeter(cfg.Limits.CallsPerAddress),
		storms: newStorms(), requests: requests, tracer: cfg.Telemetry.Tracer.Tracer("github.com/privacyops/privacyops/gateway")}
	return d, nil
}

// ServeHTTP finds the route and takes the request through the door.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v := &visit{door: d, request: r}
	v.match, v.refusal = d.Routes.Match(r.Method, r.URL.EscapedPath())
	ctx, span := d.start(r.Context(), r, v.match)
	rec := &recorder{ResponseWriter: w}
	defer func() { end(span, cmp.Or(rec.status, http.StatusOK)) }()
	v.serve(ctx, rec)
}

// visit is one request on its way through the door.
type visit struct {
	door    *door
	request *http.Request
	match   *route.Match
	refusal error
}

// serve lets the request through, or answers why not.
func (v *visit) serve(ctx context.Context, rec *recorder) {
	start := v.door.Clock.Now()
	v.setHeaders(ctx, rec.Header())
	defer func() { v.ended(ctx, rec.status, v.door.Clock.Now().Sub(start)) }()
	defer func() {
		if p := recover(); p != nil {
			v.panicked(ctx, rec, p)
		}
	}()
	r := v.request.WithContext(ctx)
	ctx, leave, err := v.admit(r)
	if err != nil {
		problem.Write(rec, r, err)
		return
	}
	defer leave()
	v.setDeadlines(rec)
	if v.match.Kind == route.Unary {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, deadline)
		defer cancel()
	}
	v.door.next.ServeHTTP(rec, r.WithContext(route.With(ctx, v.match)))
}

// admit passes the request, or gives the reason why not. Leave must be called when the call ends.
func (v *visit) admit(r *http.Request) (ctx context.Context, leave func(), err error) {
	d := v.door
	if err := d.addresses.take(client(r, d.TrustedProxies), d.Clock.Now()); err != nil {
		return nil, nil, err
	}
	if err := checkForm(r); err != nil {
		return nil, nil, err
	}
	if v.refusal != nil {
		return nil, nil, v.refusal
	}
	if v.match.Public() {
		return r.Context(), func() {}, nil
	}
	caller, token, err := authenticate(r, d.Verifier)
	if err != nil {
		if d.Refused != nil && fault.From(err).Kind() == fault.Unauthenticated {
			d.Refused(r.Context(), err)
		}
		return nil, nil, err
	}
	if d.Verified != nil {
		d.Verified(r.Context(), caller, token)
	}
	if err := d.count(r.Context(), caller); err != nil {
		return nil, nil, err
	}
	if leave, err = d.running.enter(caller.Ref); err != nil {
		d.refused(r.Context(), caller)
	}
	return access.WithCaller(r.Context(), caller), leave, err
}

// setDeadlines bounds how long the connection may be held by a client that sends or reads slowly. Handlers of files and
// streams set their own, and move them on as they make progress.
func (v *visit) setDeadlines(w http.ResponseWriter) {
	if v.match.Kind != route.Unary && v.match.Kind != route.Page {
		return
	}
	// Sockets know the machine's time only. A connection without deadlines (a test's recorder) is bounded by the context.
	conn, now := http.NewResponseController(w), time.Now()
	if v.request.Body != nil && v.request.Body != http.NoBody {
		_ = conn.SetReadDeadline(now.Add(deadline))
	}
	_ = conn.SetWriteDeadline(now.Add(deadline + answerTime))
}

// panicked answers for a handler that panicked. The panic's value may hold anything and is not logged; its place is.
func (v *visit) panicked(ctx context.Context, rec *recorder, p any) {
	if p == http.ErrAbortHandler { //nolint:errorlint,err113 // net/http compares it like this
		panic(p) // the connection is meant to break
	}
	v.door.Telemetry.Log.ErrorContext(ctx, "panic in a request", "error_kind", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
	if rec.status != 0 {
		panic(http.ErrAbortHandler) // half an answer must not look like a whole one
	}
	problem.Write(rec, v.request.WithContext(ctx), fault.New(fault.Internal, "PANIC", "Internal error."))
}

// ended measures and logs how the request ended.
func (v *visit) ended(ctx context.Context, status int, took time.Duration) {
	key := answered{method: knownMethod(v.request.Method), status: cmp.Or(status, http.StatusOK)}
	if v.match != nil {
		key.route = v.match.Template
	}
	v.door.requests.Record(ctx, key, took)
	level := slog.LevelDebug
	if page := v.match != nil && v.match.Kind == route.Page; status >= http.StatusInternalServerError && !page {
		level = slog.LevelError // /readyz that says “not yet” is an answer like another
	}
	if !v.door.Telemetry.Log.Enabled(ctx, level) {
		return
	}
	v.door.Telemetry.Log.LogAttrs(ctx, level, "request", slog.String("route", pattern(v.request.Method, v.match)),
		slog.Int("status", status), slog.Int64("duration_ms", took.Milliseconds()))
}

// setHeaders sets what every answer carries. Handlers replace what they know better.
func (v *visit) setHeaders(ctx context.Context, h http.Header) {
	if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
		h.Set("X-Request-Id", sc.TraceID().String())
	}
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	if v.door.Secure {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// recorder remembers the status of an answer.
type recorder struct {
	http.ResponseWriter
	status int
}

// WriteHeader sends the header.
func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

// Write sends a part of the body.
func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
