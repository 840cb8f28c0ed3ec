// Package gather asks the consent service several questions at once, where several callers ask at the same time.
//
// A check of the legal basis is one small call. Behind the door it costs a call of its own, which is many times what the
// decision costs. So while a few calls of one caller about one controller are under way, those that come meanwhile wait for
// the first of them to end and then go together, as one BatchCheckLegalBasis. Nobody waits for company: a caller that asks one
// thing after the other is never held up.
//
// Each question stays a call of its own in every respect that matters: it has passed the rules by itself, its decision is
// recorded under its own id and trace, and it gets its own answer. What could end in an error of its own (questions that are
// not valid, that bring a token of freshness, ask about the past or for a signature) goes alone, and so does what is traced.
package gather

import (
	"context"
	"strings"
	"sync"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/privacyops/privacyops/libs/server"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
)

const (
	// most is how many calls of one caller about one controller are under way before others gather.
	most = 2
	// together bounds how many questions go together.
	together = 100
)

// Conn is a connection to the consent service that gathers checks. It is safe for concurrent use.
type Conn struct {
	grpc.ClientConnInterface

	mu     sync.Mutex
	crowds map[crowd]*gathering
}

// crowd is who asks about what: only they may share a call.
type crowd struct{ authorization, parent string }

// gathering is what a crowd has under way, and what waits.
type gathering struct {
	running int
	waiting []*question
}

// question is a check that waits.
type question struct {
	ctx    context.Context //nolint:containedctx // each question belongs to its own call
	ask    *consentv1.CheckLegalBasisRequest
	answer *consentv1.Decision
	done   chan error
}

// New gathers what goes over a connection.
func New(conn grpc.ClientConnInterface) *Conn {
	return &Conn{ClientConnInterface: conn, crowds: map[crowd]*gathering{}}
}

// Invoke makes a call, by itself or together with others.
func (c *Conn) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	who, q, ok := plain(ctx, method, args, reply)
	if !ok {
		return c.ClientConnInterface.Invoke(ctx, method, args, reply, opts...)
	}
	if c.joins(who, q) {
		select {
		case err := <-q.done:
			if alone(err) {
				return c.ClientConnInterface.Invoke(ctx, method, args, reply, opts...)
			}
			return err
		case <-ctx.Done():
			return status.FromContextError(ctx.Err()).Err()
		}
	}
	defer c.next(who)
	return c.ClientConnInterface.Invoke(ctx, method, args, reply, opts...)
}

// plain reports whether a call is a check that can go together with others, and with whose.
func plain(ctx context.Context, method string, args, reply any) (crowd, *question, bool) {
	if method != consentv1.LegalBasis_CheckLegalBasis_FullMethodName || trace.SpanContextFromContext(ctx).IsSampled() {
		return crowd{}, nil, false
	}
	ask, asks := args.(*consentv1.CheckLegalBasisRequest)
	answer, answers := reply.(*consentv1.Decision)
	if !asks || !answers || ask.GetConsistency() != nil || ask.GetSigned() || ask.GetAsOf() != nil || ask.GetKnownAt() != nil {
		return crowd{}, nil, false
	}
	md, _ := metadata.FromOutgoingContext(ctx)
	tokens := md.Get("authorization")
	if len(tokens) != 1 || server.Validate(ask) != nil {
		return crowd{}, nil, false
	}
	return crowd{tokens[0], ask.GetParent()}, &question{ctx, ask, answer, make(chan error, 1)}, true
}

// joins reports whether a question waits to be asked together with others. Otherwise it is asked now, and next is to be called
// afterwards.
func (c *Conn) joins(who crowd, q *question) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.crowds[who]
	if g == nil {
		g = &gathering{}
		c.crowds[who] = g
	}
	if g.running < most {
		g.running++
		return false
	}
	g.waiting = append(g.waiting, q)
	return true
}

// next asks what has gathered, in the place of a call that has ended.
func (c *Conn) next(who crowd) {
	c.mu.Lock()
	g := c.crowds[who]
	n := min(len(g.waiting), together)
	batch := g.waiting[:n:n]
	g.waiting = g.waiting[n:]
	if n == 0 {
		if g.running--; g.running == 0 {
			delete(c.crowds, who)
		}
	}
	c.mu.Unlock()
	if n > 0 {
		go c.ask(who, batch)
	}
}

// ask asks questions in one call.
func (c *Conn) ask(who crowd, batch []*question) {
	defer c.next(who)
	req, traces := &consentv1.BatchCheckLegalBasisRequest{Parent: who.parent}, make([]string, len(batch))
	for i, q := range batch {
		req.Checks = append(req.Checks, q.ask)
		traces[i] = trace.SpanContextFromContext(q.ctx).TraceID().String()
	}
	// The call is everybody's: it does not end with the one that came first.
	ctx := metadata.NewOutgoingContext(context.WithoutCancel(batch[0].ctx),
		metadata.Pairs("authorization", who.authorization, server.TracesHeader, strings.Join(traces, ",")))
	resp := &consentv1.BatchCheckLegalBasisResponse{}
	err := c.ClientConnInterface.Invoke(ctx, consentv1.LegalBasis_BatchCheckLegalBasis_FullMethodName, req, resp)
	if err == nil && len(resp.GetDecisions()) != len(batch) {
		err = status.Error(codes.Internal, "the answers do not fit the questions")
	}
	for i, q := range batch {
		if err == nil {
			proto.Merge(q.answer, resp.GetDecisions()[i])
		}
		q.done <- err
	}
}

// alone reports whether what failed together is to be tried alone: then each call gets the error that is its own, and leaves its
// own event. Where the service is away or has too much to do, it would only get more.
func alone(err error) bool {
	switch status.Code(err) {
	case codes.OK, codes.Unavailable, codes.DeadlineExceeded, codes.ResourceExhausted, codes.Canceled:
		return false
	}
	return true
}
