package gather_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/privacyops/privacyops/gateway/internal/gather"
	"github.com/privacyops/privacyops/libs/server"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	typev1 "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
)

// service stands in for the consent service: each answer repeats its question, and takes a second.
type service struct {
	grpc.ClientConnInterface
	mu    sync.Mutex
	calls []string // what each call was: "alone" or how many together, by token and parent
	trace map[string]string
	fails func(method string) error
}

func (s *service) Invoke(ctx context.Context, method string, args, reply any, _ ...grpc.CallOption) error {
	time.Sleep(time.Second)
	md, _ := metadata.FromOutgoingContext(ctx)
	token := md.Get("authorization")[0]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fails != nil {
		if err := s.fails(method); err != nil {
			return err
		}
	}
	switch req := args.(type) {
	case *consentv1.CheckLegalBasisRequest:
		s.calls = append(s.calls, fmt.Sprint("alone ", token, " ", req.GetParent()))
		reply.(*consentv1.Decision).Activity = token + req.GetParent() + req.GetSubject().GetValue()
	case *consentv1.BatchCheckLegalBasisRequest:
		s.calls = append(s.calls, fmt.Sprint(len(req.GetChecks()), " ", token, " ", req.GetParent()))
		for _, c := range req.GetChecks() {
			reply.(*consentv1.BatchCheckLegalBasisResponse).Decisions = append(reply.(*consentv1.BatchCheckLegalBasisResponse).Decisions,
				&consentv1.Decision{Activity: token + req.GetParent() + c.GetSubject().GetValue()})
		}
		if s.trace != nil {
			s.trace[md.Get(server.TracesHeader)[0]] = "seen"
		}
	}
	return nil
}

func ask(school, person string) *consentv1.CheckLegalBasisRequest {
	return &consentv1.CheckLegalBasisRequest{Parent: "controllers/" + school, Activity: "photos",
		Subject: &typev1.Subject{Type: typev1.Subject_UNILOGIN, Value: person}}
}

func as(token string) context.Context {
	return metadata.AppendToOutgoingContext(context.Background(), "authorization", token)
}

// check asks and looks whether the answer is that of this question.
func check(t *testing.T, c *gather.Conn, token, school, person string) {
	t.Helper()
	d, err := consentv1.NewLegalBasisClient(c).CheckLegalBasis(as(token), ask(school, person))
	if want := token + "controllers/" + school + person; err != nil || d.GetActivity() != want {
		t.Errorf("%s: %v, %v", want, d, err)
	}
}

func TestOneAfterTheOtherGoAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &service{}
		c := gather.New(s)
		for i := range 3 {
			check(t, c, "A", "north", fmt.Sprint("u", i))
		}
		want := []string{"alone A controllers/north", "alone A controllers/north", "alone A controllers/north"}
		if diff := cmp.Diff(want, s.calls); diff != "" {
			t.Error(diff)
		}
	})
}

// TestManyGoTogether asks ten questions at the same time: two go at once, and when the first of them is answered, the others go
// together. Each gets its own answer.
func TestManyGoTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &service{}
		c := gather.New(s)
		var group sync.WaitGroup
		for i := range 10 {
			group.Go(func() { check(t, c, "A", "north", fmt.Sprint("u", i)) })
		}
		group.Wait()
		want := []string{"alone A controllers/north", "alone A controllers/north", "8 A controllers/north"}
		if diff := cmp.Diff(want, s.calls); diff != "" {
			t.Error(diff)
		}
		check(t, c, "A", "north", "u11") // nothing is left behind
		if s.calls[len(s.calls)-1] != "alone A controllers/north" {
			t.Error(s.calls)
		}
	})
}

// TestOnlyEqualsGoTogether mixes two callers and two schools: no call has questions of both.
func TestOnlyEqualsGoTogether(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &service{}
		c := gather.New(s)
		var group sync.WaitGroup
		for i := range 40 {
			group.Go(func() {
				check(t, c, []string{"A", "B"}[i%2], []string{"north", "south"}[i/2%2], fmt.Sprint("u", i))
			})
		}
		group.Wait()
		counts := map[string]int{}
		for _, call := range s.calls {
			counts[call]++
		}
		for _, who := range []string{"A controllers/north", "A controllers/south", "B controllers/north", "B controllers/south"} {
			if counts["alone "+who] != 2 || counts["8 "+who] != 1 {
				t.Errorf("%s: %v", who, counts)
			}
		}
	})
}

// TestWhatGoesAlone: questions that may fail in a way of their own, or are traced, are never put with others.
func TestWhatGoesAlone(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(ctx context.Context, r *consentv1.CheckLegalBasisRequest) context.Context{
		"not valid": func(ctx context.Context, r *consentv1.CheckLegalBasisRequest) context.Context {
			r.Activity = "NOT AN ID"
			return ctx
		},
		"with a token": func(ctx context.Context, r *consentv1.CheckLegalBasisRequest) context.Context {
			r.Consistency = &consentv1.Consistency{}
			return ctx
		},
		"signed": func(ctx context.Context, r *consentv1.CheckLegalBasisRequest) context.Context {
			r.Signed = true
			return ctx
		},
		"about the past": func(ctx context.Context, r *consentv1.CheckLegalBasisRequest) context.Context {
			r.AsOf = timestamppb.Now()
			return ctx
		},
		"traced": func(ctx context.Context, _ *consentv1.CheckLegalBasisRequest) context.Context {
			return trace.ContextWithSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, TraceFlags: trace.FlagsSampled}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &service{}
				client := consentv1.NewLegalBasisClient(gather.New(s))
				var group sync.WaitGroup
				for i := range 6 {
					group.Go(func() {
						r := ask("north", fmt.Sprint("u", i))
						ctx := change(as("A"), r)
						if _, err := client.CheckLegalBasis(ctx, r); err != nil {
							t.Error(err)
						}
					})
				}
				group.Wait()
				for _, call := range s.calls {
					if call != "alone A controllers/north" {
						t.Error(call)
					}
				}
			})
		})
	}
}

// TestErrors: what fails together is tried alone, so that each call gets its own error and leaves its own event; but not where the
// service is away.
func TestErrors(t *testing.T) {
	t.Parallel()
	for code, want := range map[codes.Code]int32{codes.PermissionDenied: 9, codes.Internal: 9, codes.Unavailable: 3, codes.ResourceExhausted: 3} {
		t.Run(code.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var calls atomic.Int32
				s := &service{fails: func(string) error { calls.Add(1); return status.Error(code, "no") }}
				client := consentv1.NewLegalBasisClient(gather.New(s))
				var group sync.WaitGroup
				for i := range 8 {
					group.Go(func() {
						if _, err := client.CheckLegalBasis(as("A"), ask("north", fmt.Sprint("u", i))); status.Code(err) != code {
							t.Errorf("answered %v", err)
						}
					})
				}
				group.Wait()
				if calls.Load() != want {
					t.Errorf("%d calls, want %d", calls.Load(), want)
				}
			})
		})
	}
}

// TestWhoGoesAwayDoesNotHoldUp: a caller that gives up gets its error at once, and the others their answers.
func TestWhoGoesAwayDoesNotHoldUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &service{}
		c := gather.New(s)
		var group sync.WaitGroup
		for i := range 2 {
			group.Go(func() { check(t, c, "A", "north", fmt.Sprint("u", i)) })
		}
		synctest.Wait()
		group.Go(func() {
			ctx, cancel := context.WithTimeout(as("A"), 100*time.Millisecond)
			defer cancel()
			if _, err := consentv1.NewLegalBasisClient(c).CheckLegalBasis(ctx, ask("north", "gone")); status.Code(err) != codes.DeadlineExceeded {
				t.Errorf("who gave up got %v", err)
			}
		})
		synctest.Wait()
		group.Go(func() { check(t, c, "A", "north", "u9") })
		group.Wait()
	})
}

// TestEachKeepsItsTrace: the service is told the trace of every question.
func TestEachKeepsItsTrace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &service{trace: map[string]string{}}
		client := consentv1.NewLegalBasisClient(gather.New(s))
		var group sync.WaitGroup
		for i := range 4 {
			ctx := trace.ContextWithSpanContext(as("A"), trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{byte(i + 1)}, SpanID: trace.SpanID{1}}))
			group.Go(func() {
				if _, err := client.CheckLegalBasis(ctx, ask("north", "u")); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait() // in this order
		}
		group.Wait()
		if s.trace["03000000000000000000000000000000,04000000000000000000000000000000"] == "" {
			t.Error(s.trace)
		}
	})
}
