package rest

import (
	"context"
	"errors"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/idempotency"
)

// guarded is a connection to a service for calls that a caller asked for. It asks the method rule before a call goes out,
// and passes on nothing of the request's headers but the token and the idempotency key.
type guarded struct {
	conn    grpc.ClientConnInterface
	rules   access.Rules
	reports *reports
	memory  *memory
}

// Invoke makes a unary call. One that is repeated is answered from memory, after the rule has allowed it like the first.
func (g *guarded) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	out, err := g.admit(ctx, method, args)
	if err != nil {
		return err
	}
	once := g.memory.named(out, g.rules[method], access.CallerFrom(ctx), asMessage(args))
	if once.recall(ctx, asMessage(reply)) {
		return nil
	}
	if err := g.conn.Invoke(out, method, args, reply, opts...); err != nil {
		return err
	}
	once.remember(ctx, asMessage(reply))
	return nil
}

// NewStream prepares a stream. It is opened with its first message, because that names the controller.
func (g *guarded) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	return &guardedStream{ctx: ctx, open: func(first any) (grpc.ClientStream, error) {
		out, err := g.admit(ctx, method, first)
		if err != nil {
			return nil, err
		}
		return g.conn.NewStream(out, desc, method, opts...)
	}}, nil
}

// admit decides on caller and request, and gives the context to call with.
func (g *guarded) admit(ctx context.Context, method string, req any) (context.Context, error) {
	rule, msg := g.rules[method], asMessage(req)
	if rule == nil || msg == nil {
		return nil, fault.New(fault.Denied, "NO_RULE", "This method cannot be called.")
	}
	caller := access.CallerFrom(ctx)
	if err := rule.Authorize(caller, msg); err != nil {
		g.reports.denied(ctx, rule, caller, rule.Controller(msg), err)
		return nil, err
	}
	return metadata.NewOutgoingContext(ctx, passedOn(ctx, rule)), nil
}

// passedOn picks what goes on to the service.
func passedOn(ctx context.Context, rule *access.Method) metadata.MD {
	all, _ := metadata.FromOutgoingContext(ctx)
	out := metadata.MD{}
	if values := all.Get("authorization"); len(values) == 1 && !rule.GetPublic() {
		out.Set("authorization", bearer(values[0]))
	}
	if values := all.Get(idempotency.Header); len(values) == 1 {
		out.Set(idempotency.Header, values[0])
	}
	return out
}

func asMessage(v any) proto.Message {
	m, _ := v.(proto.Message)
	return m
}

// guardedStream opens its stream when the first message is sent.
type guardedStream struct {
	grpc.ClientStream
	ctx  context.Context //nolint:containedctx // a stream is its context
	open func(first any) (grpc.ClientStream, error)
}

var errNotOpen = errors.New("rest: nothing was sent on the stream yet")

// Context is the stream's context.
func (s *guardedStream) Context() context.Context {
	if s.ClientStream == nil {
		return s.ctx
	}
	return s.ClientStream.Context()
}

// Header waits for the service's headers.
func (s *guardedStream) Header() (metadata.MD, error) {
	if s.ClientStream == nil {
		return nil, errNotOpen
	}
	return s.ClientStream.Header()
}

// SendMsg sends a message, the first one only if the rule allows the call.
func (s *guardedStream) SendMsg(m any) error {
	if s.ClientStream == nil {
		stream, err := s.open(m)
		if err != nil {
			return err
		}
		s.ClientStream = stream
	}
	return s.ClientStream.SendMsg(m)
}

// RecvMsg receives a message.
func (s *guardedStream) RecvMsg(m any) error {
	if s.ClientStream == nil {
		return errNotOpen
	}
	return s.ClientStream.RecvMsg(m)
}

// CloseSend says that nothing more is sent.
func (s *guardedStream) CloseSend() error {
	if s.ClientStream == nil {
		return errNotOpen
	}
	return s.ClientStream.CloseSend()
}
