package server_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/server"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
)

// brief is what the table says of an event.
func brief(events []*auditv1.ReportedEvent) (out []string) {
	for _, e := range events {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s %s %s %s %s", e.GetAction(), e.GetKind(), e.GetController(), e.GetActor().GetKind(), e.GetOutcome(), e.GetReason())))
	}
	return out
}

// TestCalls makes one call for each way it can go, and looks at the answer and at the events. That the wrong request of a caller
// without a token is UNAUTHENTICATED, and that of a caller of another controller NOT_FOUND, shows the order of the checks.
func TestCalls(t *testing.T) {
	t.Parallel()
	h := &handlers{}
	s := start(t, h, nil)
	gateway := s.dial("gateway")
	client := consentv1.NewRegisterClient(gateway)
	dpo, sre, south := s.token("dpo", "north"), s.token("sre", "north"), s.token("dpo", "south")
	get := func(token, name string) func(ctx context.Context) error {
		return func(ctx context.Context) error {
			if token != "" {
				ctx = as(ctx, token)
			}
			_, err := client.GetController(ctx, &consentv1.GetControllerRequest{Name: name})
			return err
		}
	}
	update := func(token string) func(ctx context.Context) error {
		return func(ctx context.Context) error {
			_, err := client.UpdateController(as(ctx, token), &consentv1.UpdateControllerRequest{Controller: &consentv1.Controller{Name: "controllers/north"}})
			return err
		}
	}
	header := func(values ...string) func(ctx context.Context) error {
		return func(ctx context.Context) error {
			for _, v := range values {
				ctx = metadata.AppendToOutgoingContext(ctx, "authorization", v)
			}
			_, err := client.GetController(ctx, &consentv1.GetControllerRequest{Name: "controllers/north"})
			return err
		}
	}
	answering := func(err error) func() {
		return func() {
			h.get = func(context.Context, *consentv1.GetControllerRequest) (*consentv1.Controller, error) { return nil, err }
		}
	}
	updating := func(f func(ctx context.Context) error) func() {
		return func() {
			h.update = func(ctx context.Context, _ *consentv1.UpdateControllerRequest) (*consentv1.Controller, error) {
				return &consentv1.Controller{}, f(ctx)
			}
		}
	}
	viewed := func(rest string) []string { return []string{"controller.get VIEW north CALLER " + rest} }
	for _, tc := range []struct {
		name   string
		given  func()
		call   func(context.Context) error
		code   codes.Code
		reason string
		events []string
	}{
		{"right", nil, get(dpo, "controllers/north"), codes.OK, "", viewed("OK")},
		{"no token", nil, get("", "controllers/north"), codes.Unauthenticated, "TOKEN_INVALID", nil},
		{"no token, wrong request", nil, get("", "\x00"), codes.Unauthenticated, "TOKEN_INVALID", nil},
		{"bad token, wrong request", nil, get("x.y.z", "\x00"), codes.Unauthenticated, "TOKEN_INVALID", nil},
		{"two tokens", nil, header("Bearer "+dpo, "Bearer "+dpo), codes.Unauthenticated, "TOKEN_INVALID", nil},
		{"another scheme", nil, header("Basic " + dpo), codes.Unauthenticated, "TOKEN_INVALID", nil},
		{"no scheme", nil, header(dpo), codes.Unauthenticated, "TOKEN_INVALID", nil},
		{"wrong role", nil, update(sre), codes.PermissionDenied, "ROLE_REQUIRED", []string{"controller.update ADMIN north CALLER DENIED ROLE_REQUIRED"}},
		{"wrong role and foreign controller: in nobody's log", nil, update(s.token("sre", "south")), codes.PermissionDenied, "ROLE_REQUIRED",
			[]string{"controller.update ADMIN  CALLER DENIED ROLE_REQUIRED"}},
		{"foreign controller", nil, get(dpo, "controllers/south"), codes.NotFound, "NOT_FOUND", []string{"controller.get VIEW  CALLER DENIED CONTROLLER_NOT_REACHED"}},
		{"foreign controller, wrong request", nil, get(south, "controllers/north/x"), codes.NotFound, "NOT_FOUND", []string{"controller.get VIEW  CALLER DENIED CONTROLLER_NOT_REACHED"}},
		{"wrong request", nil, get(dpo, "controllers/north/x"), codes.InvalidArgument, "INVALID_ARGUMENT", viewed("INVALID INVALID_ARGUMENT")},
		{"no controller", nil, get(dpo, ""), codes.NotFound, "NOT_FOUND", []string{"controller.get VIEW  CALLER INVALID NOT_FOUND"}},
		{"absent", answering(fault.Missing()), get(dpo, "controllers/north"), codes.NotFound, "NOT_FOUND", viewed("INVALID NOT_FOUND")},
		{"fault of the handler", answering(fault.New(fault.Precondition, "PLAN_STALE", "Make a new plan.")), get(dpo, "controllers/north"), codes.FailedPrecondition, "PLAN_STALE", viewed("INVALID PLAN_STALE")},
		{"internal error", answering(fmt.Errorf("UNIQUE constraint failed: %s", secret)), get(dpo, "controllers/north"), codes.Internal, "INTERNAL", viewed("FAILED INTERNAL")},
		{"another service failed", answering(status.Error(codes.Unavailable, "dial tcp 10.0.0.7:443: "+secret)), get(dpo, "controllers/north"), codes.Unavailable, "UPSTREAM_UNAVAILABLE", viewed("FAILED UPSTREAM_UNAVAILABLE")},
		{"panic", func() {
			h.get = func(context.Context, *consentv1.GetControllerRequest) (*consentv1.Controller, error) { panic(secret) }
		}, get(dpo, "controllers/north"), codes.Internal, "PANIC", viewed("FAILED PANIC")},
		{"described", func() {
			h.get = func(ctx context.Context, r *consentv1.GetControllerRequest) (*consentv1.Controller, error) {
				outbox.About(ctx, r.GetName())
				return &consentv1.Controller{}, nil
			}
		}, get(dpo, "controllers/north"), codes.OK, "", viewed("OK")},
		{"changed", updating(func(ctx context.Context) error { return s.change(ctx, "controllers/north") }), update(dpo), codes.OK, "",
			[]string{"controller.update ADMIN north CALLER OK"}},
		{"changed and told nobody", updating(func(context.Context) error { return nil }), update(dpo), codes.OK, "", []string{"controller.update ADMIN north CALLER OK"}},
		{"changed, then failed", updating(func(ctx context.Context) error {
			return errors.Join(s.change(ctx, "controllers/north"), errors.New("late"))
		}), update(dpo),
			codes.Internal, "INTERNAL", []string{"controller.update ADMIN north CALLER OK"}},
		{"still alive", nil, get(dpo, "controllers/north"), codes.OK, "", viewed("OK")},
	} {
		h.get, h.update = nil, nil
		if tc.given != nil {
			tc.given()
		}
		err := tc.call(t.Context())
		if status.Code(err) != tc.code || (tc.code != codes.OK && !fault.Is(server.Fault(err), tc.reason)) {
			t.Errorf("%s: %v (reason %s), want %v %s", tc.name, err, fault.From(server.Fault(err)).Reason(), tc.code, tc.reason)
		}
		if text := status.Convert(err).Proto().String(); strings.Contains(text, "anna") || strings.Contains(text, "10.0.0.7") || strings.Contains(text, "UNIQUE") {
			t.Errorf("%s: the answer tells what is inside: %s", tc.name, text)
		}
		if diff := cmp.Diff(tc.events, brief(s.events())); diff != "" {
			t.Errorf("%s: events (-want +got):\n%s", tc.name, diff)
		}
	}
	if log := s.log.String(); strings.Contains(log, "anna") || strings.Contains(log, dpo) || !strings.Contains(log, "panic in a call") {
		t.Errorf("the log holds personal data or tokens, or lacks the panic:\n%s", log)
	}
}

// TestDeadline: a call that takes too long ends, and leaves its event.
func TestDeadline(t *testing.T) {
	t.Parallel()
	s := start(t, &handlers{get: func(ctx context.Context, _ *consentv1.GetControllerRequest) (*consentv1.Controller, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}, func(c *server.Config) { c.Deadline = 300 * time.Millisecond })
	_, err := consentv1.NewRegisterClient(s.dial("gateway")).GetController(as(t.Context(), s.token("dpo", "north")),
		&consentv1.GetControllerRequest{Name: "controllers/north"})
	if status.Code(err) != codes.DeadlineExceeded || !fault.Is(server.Fault(err), "DEADLINE_EXCEEDED") {
		t.Errorf("error = %v", err)
	}
	if diff := cmp.Diff([]string{"controller.get VIEW north CALLER FAILED DEADLINE_EXCEEDED"}, brief(s.events())); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// TestForeignAndAbsentAreTheSameBytes: whether something exists under another controller cannot be told.
func TestForeignAndAbsentAreTheSameBytes(t *testing.T) {
	t.Parallel()
	s := start(t, &handlers{get: func(context.Context, *consentv1.GetControllerRequest) (*consentv1.Controller, error) {
		return nil, fmt.Errorf("store: %w", fault.Missing().Because(errors.New("no row")))
	}}, nil)
	client := consentv1.NewRegisterClient(s.dial("gateway"))
	answer := func(name string) (string, metadata.MD) {
		var trailer metadata.MD
		_, err := client.GetController(as(t.Context(), s.token("dpo", "north")), &consentv1.GetControllerRequest{Name: name}, grpc.Trailer(&trailer))
		raw, merr := proto.Marshal(status.Convert(err).Proto())
		if merr != nil || err == nil {
			t.Fatal(err, merr)
		}
		return string(raw), trailer
	}
	absent, t1 := answer("controllers/north")
	foreign, t2 := answer("controllers/south")
	if absent != foreign {
		t.Errorf("absent  %q\nforeign %q", absent, foreign)
	}
	if diff := cmp.Diff(t1, t2); diff != "" {
		t.Errorf("trailers (-absent +foreign):\n%s", diff)
	}
}

func TestMethodsForServices(t *testing.T) {
	t.Parallel()
	s := start(t, &handlers{}, nil)
	req := &consentv1.GetSnapshotRequest{Parent: "controllers/north"}
	operator := s.token("operator", "*")
	for _, tc := range []struct {
		service, token string
		code           codes.Code
	}{
		{"erasure", "", codes.OK},
		{"export", "", codes.OK},
		{"gateway", "", codes.PermissionDenied},
		{"stranger", "", codes.PermissionDenied},
		{"erasure.evil", "", codes.Unauthenticated}, // its certificate names no service
		{"gateway", operator, codes.PermissionDenied},
		{"erasure", operator, codes.PermissionDenied},
		{"erasure", "x.y.z", codes.Unauthenticated},
	} {
		ctx := t.Context()
		if tc.token != "" {
			ctx = as(ctx, tc.token)
		}
		_, err := consentv1.NewRegisterReaderClient(s.dial(tc.service)).GetSnapshot(ctx, req)
		if status.Code(err) != tc.code {
			t.Errorf("%s, token %.3q: %v, want %v", tc.service, tc.token, err, tc.code)
		}
	}
	_, err := consentv1.NewRegisterClient(s.dial("erasure")).GetController(t.Context(), &consentv1.GetControllerRequest{Name: "controllers/north"})
	if status.Code(err) != codes.Unauthenticated {
		t.Errorf("a service alone at a method for people: %v", err)
	}
	if e := s.events(); len(e) != 0 {
		t.Errorf("methods for services made events: %v", brief(e))
	}
}

func TestPublicMethodsNeedNoToken(t *testing.T) {
	t.Parallel()
	s := start(t, &handlers{}, nil)
	client := auditv1.NewAuditLogClient(s.dial("gateway"))
	for _, ctx := range []context.Context{t.Context(), as(t.Context(), "x.y.z"), as(t.Context(), s.token("sre", "north"))} {
		if _, err := client.GetCheckpoint(ctx, &auditv1.GetCheckpointRequest{}); err != nil {
			t.Error(err)
		}
	}
	if e := s.events(); len(e) != 0 {
		t.Errorf("events: %v", brief(e))
	}
}

// TestWithoutAuditNoAnswer: what cannot be recorded is not shown.
func TestWithoutAuditNoAnswer(t *testing.T) {
	t.Parallel()
	h := &handlers{}
	s := start(t, h, nil)
	s.breakOutbox()
	client := consentv1.NewRegisterClient(s.dial("gateway"))
	ctx := as(t.Context(), s.token("dpo", "north"))
	c, err := client.GetController(ctx, &consentv1.GetControllerRequest{Name: "controllers/north"})
	if f := fault.From(server.Fault(err)); c != nil || f.Reason() != "AUDIT_UNAVAILABLE" || f.Kind() != fault.Unavailable || f.RetryAfter() == 0 {
		t.Errorf("view: answer %v, error %v", c, err)
	}
	h.update = func(ctx context.Context, _ *consentv1.UpdateControllerRequest) (*consentv1.Controller, error) {
		return &consentv1.Controller{Name: "changed"}, s.change(ctx, "controllers/north")
	}
	c, err = client.UpdateController(ctx, &consentv1.UpdateControllerRequest{Controller: &consentv1.Controller{Name: "controllers/north"}})
	if c != nil || status.Code(err) != codes.Internal {
		t.Errorf("change: answer %v, error %v", c, err)
	}
	// A refusal stays a refusal; that it left no event is in the log.
	if _, err := client.GetController(ctx, &consentv1.GetControllerRequest{Name: "controllers/south"}); status.Code(err) != codes.NotFound {
		t.Errorf("refusal: %v", err)
	}
	if !strings.Contains(s.log.String(), "a refused call left no audit event") {
		t.Error("a refusal without an event is not in the log")
	}
}

// TestTheErrorIDIsInTheLog joins what a caller reports with what the operator sees.
func TestTheErrorIDIsInTheLog(t *testing.T) {
	t.Parallel()
	s := start(t, &handlers{get: func(context.Context, *consentv1.GetControllerRequest) (*consentv1.Controller, error) {
		return nil, fmt.Errorf("reading: %w", errors.New(secret))
	}}, nil)
	_, err := consentv1.NewRegisterClient(s.dial("gateway")).GetController(as(t.Context(), s.token("dpo", "north")), &consentv1.GetControllerRequest{Name: "controllers/north"})
	id := ""
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			id = info.GetMetadata()["errorId"]
		}
	}
	found := false
	for line := range strings.Lines(s.log.String()) {
		if strings.Contains(line, `"trace_id":"`+id+`"`) && strings.Contains(line, `"code":"Internal"`) && strings.Contains(line, "*fmt.wrapError *errors.errorString") {
			found = true
		}
	}
	if len(id) != 32 || id == strings.Repeat("0", 32) || !found {
		t.Errorf("error id %q is not in the log with what the error is made of:\n%s", id, s.log.String())
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	called := false
	s := start(t, &handlers{update: func(context.Context, *consentv1.UpdateControllerRequest) (*consentv1.Controller, error) {
		called = true
		return &consentv1.Controller{}, nil
	}}, nil)
	client := consentv1.NewRegisterClient(s.dial("gateway"))
	ctx := as(t.Context(), s.token("dpo", "north"))
	large := &consentv1.UpdateControllerRequest{Controller: &consentv1.Controller{Name: "controllers/north", Contact: strings.Repeat("x", 1<<20)}}
	if _, err := client.UpdateController(ctx, large); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a message over 1 MiB: %v", err)
	}
	small := &consentv1.UpdateControllerRequest{Controller: &consentv1.Controller{Name: "controllers/north"}}
	if _, err := client.UpdateController(metadata.AppendToOutgoingContext(ctx, "x-long", strings.Repeat("x", 17<<10)), small); err == nil {
		t.Error("a header over 16 KiB is taken")
	}
	if called {
		t.Error("the handler was reached")
	}
	if _, err := client.UpdateController(ctx, small); err != nil || !called {
		t.Errorf("a small call afterwards: %v", err)
	}
}

func TestCallsOfAClientHaveAnEnd(t *testing.T) {
	t.Parallel()
	s := start(t, &handlers{}, nil)
	var left []time.Duration
	look := func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		end, ok := ctx.Deadline()
		if !ok {
			t.Error("a call without a deadline leaves")
		}
		left = append(left, time.Until(end))
		return invoke(ctx, method, req, reply, cc, opts...)
	}
	client := consentv1.NewRegisterReaderClient(s.dial("erasure", grpc.WithChainUnaryInterceptor(look)))
	short, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	for _, ctx := range []context.Context{t.Context(), short} {
		if _, err := client.GetSnapshot(ctx, &consentv1.GetSnapshotRequest{Parent: "controllers/north"}); err != nil {
			t.Error(err)
		}
	}
	if len(left) != 2 || left[0] > 15*time.Second || left[0] < 10*time.Second || left[1] > 5*time.Second {
		t.Errorf("time left: %v", left)
	}
}

func TestACancelledCallIsNoInternalError(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{})
	s := start(t, &handlers{get: func(ctx context.Context, _ *consentv1.GetControllerRequest) (*consentv1.Controller, error) {
		close(entered)
		<-ctx.Done()
		return nil, status.FromContextError(ctx.Err()).Err() // as a call to another service ends
	}}, nil)
	ctx, cancel := context.WithCancel(as(t.Context(), s.token("dpo", "north")))
	go func() { <-entered; cancel() }()
	_, err := consentv1.NewRegisterClient(s.dial("gateway")).GetController(ctx, &consentv1.GetControllerRequest{Name: "controllers/north"})
	if status.Code(err) != codes.Canceled {
		t.Errorf("error = %v", err)
	}
	s.stop()
	if err := <-s.stopped; err != nil {
		t.Error(err)
	}
	close(s.stopped)
	if log := s.log.String(); !strings.Contains(log, `"code":"Canceled"`) || strings.Contains(log, `"level":"ERROR"`) {
		t.Errorf("log:\n%s", log)
	}
	if diff := cmp.Diff([]string{"controller.get VIEW north CALLER FAILED UPSTREAM_CANCELED"}, brief(s.events())); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}
