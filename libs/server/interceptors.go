package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/libs/telemetry"
	authv1 "github.com/privacyops/privacyops/proto/gen/privacyops/auth/v1"
)

// deadline bounds unary calls that name no other. Streams end with their client or their work.
const deadline = 15 * time.Second

// guard is what every call passes.
type guard struct {
	rules    access.Rules
	verifier *access.Verifier
	outbox   *outbox.Outbox
	log      *slog.Logger
	clock    clock.Clock
	service  string
	doors    access.Doors
	deadline time.Duration
	// calls measures them by method and outcome, and spans traces them.
	calls *telemetry.Durations[outcome]
	spans *spans
	// stopping ends when the server begins to stop.
	stopping context.Context
}

func (g *guard) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
	start := g.clock.Now()
	ctx, span := g.spans.start(ctx, info.FullMethod)
	defer func() {
		if p := recover(); p != nil {
			resp, err = nil, g.panicked(ctx, p)
		}
		err = g.finish(ctx, info.FullMethod, start, err)
		end(span, err)
	}()
	if access.Exempt(info.FullMethod) {
		return handler(ctx, req)
	}
	ctx, call, err := g.admit(ctx, info.FullMethod)
	if err != nil {
		return nil, g.refused(ctx, call.about(req.(proto.Message)), err)
	}
	if end, ok := ctx.Deadline(); !ok || time.Until(end) > g.deadline {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, g.deadline)
		defer cancel()
	}
	if err := g.check(call, req.(proto.Message)); err != nil {
		return nil, g.refused(ctx, call.about(req.(proto.Message)), err)
	}
	ctx = sqldb.WithController(ctx, call.Controller)
	err = g.protect(ctx, func() (err error) {
		resp, err = handler(ctx, req)
		return err
	})
	if err != nil {
		return nil, g.refused(ctx, call.about(req.(proto.Message)), err)
	}
	if err := g.witness(ctx, call); err != nil {
		return nil, err
	}
	return resp, nil
}

func (g *guard) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
	start := g.clock.Now()
	ctx, span := g.spans.start(ss.Context(), info.FullMethod)
	defer func() {
		if p := recover(); p != nil {
			err = g.panicked(ctx, p)
		}
		err = g.finish(ctx, info.FullMethod, start, err)
		end(span, err)
	}()
	ctx, release := g.endWithServer(ctx, info.FullMethod)
	defer release()
	if access.Exempt(info.FullMethod) {
		return handler(srv, &watchedStream{ServerStream: ss, ctx: ctx})
	}
	ctx, call, err := g.admit(ctx, info.FullMethod)
	if err != nil {
		return g.refused(ctx, call.about(firstOf(ss, call)), err)
	}
	guarded := &guardedStream{ServerStream: ss, ctx: ctx, guard: g, call: call}
	if err := g.protect(ctx, func() error { return handler(srv, guarded) }); err != nil {
		if errors.Is(context.Cause(ctx), errStopping) {
			return errStopping
		}
		return g.refused(ctx, call, err)
	}
	return g.witness(ctx, call)
}

// endWithServer ends the context of a stream that would go on for as long as its caller likes (watches) when the server stops:
// it must not hold the stop up, and its caller can call another replica. Other streams are let finish.
func (g *guard) endWithServer(ctx context.Context, fullMethod string) (context.Context, func()) {
	method := fullMethod[strings.LastIndexByte(fullMethod, '/')+1:]
	if g.stopping == nil || !strings.HasPrefix(method, "Watch") {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(g.stopping, func() { cancel(errStopping) })
	return ctx, func() { stop(); cancel(nil) }
}

var errStopping = fault.New(fault.Unavailable, "SHUTTING_DOWN", "The service is stopping; call again.").RetryIn(time.Second)

// watchedStream is a stream with a context of its own.
type watchedStream struct {
	grpc.ServerStream
	ctx context.Context
}

// Context implements grpc.ServerStream.
func (s *watchedStream) Context() context.Context { return s.ctx }

// running is a call on its way through the guard.
type running struct {
	*outbox.Call
	method *access.Method
	caller access.Caller
	// foreign is set when the request names a controller that the token is not for.
	foreign bool
}

// notReached is the reason in the event of a call for another controller's resource. The caller is told NOT_FOUND.
const notReached = "CONTROLLER_NOT_REACHED"

// admit authenticates the caller and checks its role, before anything looks at the request.
func (g *guard) admit(ctx context.Context, fullMethod string) (context.Context, *running, error) {
	method, ok := g.rules[fullMethod]
	if !ok {
		return ctx, nil, fault.New(fault.Denied, "NO_RULE", "This method cannot be called.")
	}
	caller, err := g.caller(ctx)
	if err != nil && !method.GetPublic() {
		g.turnedAway(ctx, err)
	}
	call := &running{method: method, caller: caller, Call: &outbox.Call{Action: method.GetEvent(), Kind: kindOf(method), Actor: actorOf(caller)}}
	ctx = outbox.WithCall(access.WithCaller(ctx, caller), call.Call)
	if err != nil && !method.GetPublic() {
		return ctx, call, err
	}
	return ctx, call, method.AuthorizeRole(caller)
}

// concerning notes the controller that a refused request names, if the caller's token reaches it: the controller's own log then
// shows the refusal. What a foreign token tries shows in the suite's.
func (c *running) concerning(req proto.Message) {
	if c == nil {
		return
	}
	id := c.method.Controller(req)
	if controllerID.MatchString(id) && (c.caller.Reaches(id) || !c.caller.HasToken()) {
		c.Controller = id
	}
}

// about notes what a refused call was about, for its event: the controller, and the resource where the request is well formed.
// What is not might hold anything, and is not repeated.
func (c *running) about(req proto.Message) *running {
	if c == nil || req == nil {
		return c
	}
	c.concerning(req)
	if name := c.method.Resource(req); c.Controller != "" && resourceName.MatchString(name) && Validate(req) == nil {
		c.Concerns(name)
	}
	return c
}

// resourceName is the form of a name that may stand in an event.
var resourceName = regexp.MustCompile(`^controllers/[a-z0-9-]{1,63}(/[a-zA-Z]{1,40}(/[a-z0-9-]{1,63})?)?$`)

// firstWait is how long a refused stream's first message is waited for.
const firstWait = time.Second

// firstOf reads the first message of a stream that is refused, which its client has sent by itself and which says what the event is
// about; nil where none comes in time. Returning from the stream's handler ends the reading.
func firstOf(ss grpc.ServerStream, call *running) proto.Message {
	if call == nil || call.Action == "" || !call.known() {
		return nil
	}
	req := call.method.NewRequest()
	if req == nil {
		return nil
	}
	received := make(chan error, 1)
	go func() { received <- ss.RecvMsg(req) }()
	timer := time.NewTimer(firstWait)
	defer timer.Stop()
	select {
	case err := <-received:
		if err == nil {
			return req
		}
	case <-timer.C:
	case <-ss.Context().Done():
	}
	return nil
}

// known reports whether it is known who calls. A service that brings no token to a method for people speaks for nobody.
func (c *running) known() bool {
	return c.caller.HasToken() || c.caller.Service != "" && len(c.method.GetRoles()) == 0
}

// controllerID is the form of an id; anything else is no controller's.
var controllerID = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// check authorises the request's controller and validates the request.
func (g *guard) check(call *running, req proto.Message) error {
	if err := call.method.AuthorizeController(call.caller, req); err != nil {
		call.foreign = fault.From(err).Kind() == fault.NotFound && call.method.Controller(req) != ""
		return err
	}
	call.concerning(req)
	return Validate(req)
}

// caller tells who calls, by token and by certificate.
func (g *guard) caller(ctx context.Context) (access.Caller, error) {
	var caller access.Caller
	if values := metadata.ValueFromIncomingContext(ctx, "authorization"); len(values) > 0 {
		token, ok := strings.CutPrefix(values[0], "Bearer ")
		if !ok || len(values) > 1 {
			return caller, fault.New(fault.Unauthenticated, "TOKEN_INVALID", "Send exactly one header “Authorization: Bearer …”.")
		}
		var err error
		if caller, err = g.verifier.Verify(ctx, token); err != nil {
			return access.Caller{}, err
		}
		g.loggedIn(ctx, caller, token)
	}
	caller.Service = peerService(ctx)
	return caller, nil
}

func peerService(ctx context.Context) string {
	if p, ok := peer.FromContext(ctx); ok {
		if t, ok := p.AuthInfo.(credentials.TLSInfo); ok && len(t.State.VerifiedChains) > 0 {
			return serviceName(t.State.VerifiedChains[0][0])
		}
	}
	return ""
}

// refused writes the event of a call that did not succeed, where it is known who made it, and gives the error to
// answer with. The answer is a refusal in any case, so an event that cannot be written is logged and does not change it. A call
// whose event is there already (a stream that broke off, a change that was committed) makes no second one.
func (g *guard) refused(ctx context.Context, call *running, err error) error {
	if call == nil || call.Action == "" || !call.known() || g.outbox == nil || call.Recorded() {
		return err
	}
	f := Classify(err)
	event := call.Event()
	event.Outcome, event.Reason = outcomeOf(f.Kind()), f.Reason()
	if call.foreign {
		event.Outcome, event.Reason = outbox.Denied, notReached
	}
	// The caller may be gone; the event is written all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if rerr := g.outbox.RecordAlone(ctx, event); rerr != nil {
		g.log.ErrorContext(ctx, "a refused call left no audit event", "method", call.method.FullName, "error_kind", kinds(rerr))
	}
	return err
}

// witness writes the event of a call that succeeded and whose handler wrote none. Without it there is no answer.
func (g *guard) witness(ctx context.Context, call *running) error {
	if call.Action == "" || g.outbox == nil || call.Recorded() {
		return nil
	}
	if err := g.outbox.RecordAlone(ctx, call.Event()); err != nil {
		return fault.New(fault.Unavailable, "AUDIT_UNAVAILABLE",
			"The access could not be recorded, so the answer is withheld; try again shortly.").Because(err).RetryIn(2 * time.Second)
	}
	return nil
}

func outcomeOf(k fault.Kind) outbox.Outcome {
	switch k {
	case fault.Denied, fault.Unauthenticated:
		return outbox.Denied
	case fault.Internal, fault.Unavailable, fault.Timeout:
		return outbox.Failed
	default:
		return outbox.Invalid
	}
}

func kindOf(m *access.Method) outbox.Kind {
	if m.GetKind() == authv1.Rule_EVENT_KIND_UNSPECIFIED {
		return ""
	}
	return outbox.Kind(m.GetKind().String())
}

func actorOf(c access.Caller) outbox.Actor {
	switch {
	case c.HasToken():
		return outbox.Actor{Kind: "CALLER", Ref: c.Ref, Roles: c.RoleNames()}
	case c.Service != "":
		return outbox.Actor{Kind: "SERVICE", Ref: c.Service}
	}
	return outbox.Actor{Kind: "ANONYMOUS"}
}

// outcome is a method and how a call of it ended. Only methods that the server knows come here.
type outcome struct {
	method string
	code   codes.Code
}

func (o outcome) attributes() []attribute.KeyValue {
	return []attribute.KeyValue{attribute.String("rpc.system.name", "grpc"), attribute.String("rpc.method", strings.TrimPrefix(o.method, "/")),
		attribute.String("rpc.response.status_code", codeName(o.code))}
}

// protect runs a handler. A panic in it is an error like any other, so that the call leaves its event.
func (g *guard) protect(ctx context.Context, handler func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = g.panicked(ctx, p)
		}
	}()
	return handler()
}

// panicked turns a panic into an internal error. The panic's value may hold anything and is not logged; its place is.
func (g *guard) panicked(ctx context.Context, p any) error {
	g.log.ErrorContext(ctx, "panic in a call", "error_kind", fmt.Sprintf("%T", p), "stack", string(debug.Stack()))
	return fault.New(fault.Internal, "PANIC", "Internal error.")
}

// finish logs how the call ended and gives the status to answer with. Of an error the log has the types it is made of and not
// its text, which may quote what it failed on.
func (g *guard) finish(ctx context.Context, method string, start time.Time, err error) error {
	answer := Status(ctx, err)
	code, took := status.Code(answer), g.clock.Now().Sub(start)
	g.calls.Record(ctx, outcome{method, code}, took)
	level := slog.LevelDebug
	if code == codes.Internal || code == codes.Unknown {
		level = slog.LevelError
	}
	if !g.log.Enabled(ctx, level) {
		return answer
	}
	attrs := []slog.Attr{slog.String("method", method), slog.String("code", code.String()),
		slog.Int64("duration_ms", took.Milliseconds())}
	if err != nil {
		attrs = append(attrs, slog.String("reason", Classify(err).Reason()), slog.String("error_kind", kinds(err)))
	}
	g.log.LogAttrs(ctx, level, "call", attrs...)
	return answer
}

// kinds are the types of the errors in a chain, outermost first.
func kinds(err error) string {
	var out []string
	for ; err != nil; err = errors.Unwrap(err) {
		out = append(out, fmt.Sprintf("%T", err))
	}
	return strings.Join(out, " ")
}

// guardedStream checks each message of a stream, and writes the call's event before the first message of an answer. The first
// message says which controller is concerned; later ones may leave it out, and may name no other. Nothing is answered before
// a message was checked.
type guardedStream struct {
	grpc.ServerStream
	ctx      context.Context
	guard    *guard
	call     *running
	received atomic.Bool // messages come and go at the same time
	first    string      // the controller that the first message names
}

func (s *guardedStream) Context() context.Context { return s.ctx }

func (s *guardedStream) RecvMsg(m any) error {
	if err := s.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	msg := m.(proto.Message)
	if s.received.Load() {
		if id := s.call.method.Controller(msg); id != "" && id != s.first {
			return fault.Missing()
		}
		return Validate(msg)
	}
	if err := s.guard.check(s.call, msg); err != nil {
		return err
	}
	s.first = s.call.method.Controller(msg)
	s.ctx = sqldb.WithController(s.ctx, s.call.Controller)
	s.received.Store(true)
	return nil
}

func (s *guardedStream) SendMsg(m any) error {
	if !s.received.Load() {
		return errors.New("server: a stream answers before its request was checked")
	}
	if err := s.guard.witness(s.ctx, s.call); err != nil {
		return err
	}
	return s.ServerStream.SendMsg(m)
}
