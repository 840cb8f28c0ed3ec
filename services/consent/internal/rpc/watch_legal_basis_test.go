package rpc_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/redis"
	"github.com/privacyops/privacyops/libs/server"
	"github.com/privacyops/privacyops/libs/sqldb"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	"github.com/privacyops/privacyops/services/consent/internal/rpc"
	"github.com/privacyops/privacyops/services/consent/internal/store" //nolint:depguard // handlers are tested on the store they ship with
)

const longAgo = 24 * time.Hour // a rhythm that never comes in a test

// silent gives no notices.
type silent struct{}

func (silent) Watch(func(redis.Controller, int64)) func() { return func() {} }

// rhythm sets how often watches beat and poll, and whether they get notices.
func rhythm(heartbeat, poll time.Duration, notices bool) func(*rpc.Parts) {
	return func(p *rpc.Parts) {
		p.WatchTimes = rpc.WatchTimes{Heartbeat: heartbeat, Poll: poll}
		if !notices {
			p.Notices = silent{}
		}
	}
}

// guardStream is guard for streams; the event is written at the end.
func (s *suite) guardStream(box *outbox.Outbox) grpc.StreamServerInterceptor {
	return func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		method, err := access.RuleOf(info.FullMethod)
		if err != nil {
			return err
		}
		call := &outbox.Call{Action: method.GetEvent(), Kind: outbox.Kind(method.GetKind().String()), Actor: outbox.Actor{Kind: "CALLER", Ref: "usr_tester"}}
		ctx := outbox.WithCall(access.WithCaller(ss.Context(), access.Caller{Ref: "usr_tester"}), call)
		err = handler(srv, &testStream{ss, ctx, func(req proto.Message) { call.Controller = method.Controller(req) }})
		if err == nil {
			err = box.RecordAlone(context.WithoutCancel(ctx), call.Event())
		}
		return server.Status(ctx, err)
	}
}

type testStream struct {
	grpc.ServerStream
	ctx  context.Context //nolint:containedctx // a stream is its context
	seen func(proto.Message)
}

func (s *testStream) Context() context.Context { return s.ctx }

func (s *testStream) RecvMsg(m any) error {
	err := s.ServerStream.RecvMsg(m)
	s.seen(m.(proto.Message))
	return err
}

// changes is a running watch.
type changes struct {
	t      *testing.T
	stream grpc.ServerStreamingClient[pb.LegalBasisChange]
	stop   context.CancelFunc
}

func (s *suite) watch(t *testing.T, controller, token string) *changes {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel)
	stream, err := s.Basis.WatchLegalBasis(ctx, &pb.WatchLegalBasisRequest{Parent: "controllers/" + controller, ResumeToken: token})
	if err != nil {
		t.Fatal(err)
	}
	return &changes{t, stream, cancel}
}

// next is the next message, which must be of a kind.
func (c *changes) next(want pb.LegalBasisChange_Kind) *pb.LegalBasisChange {
	c.t.Helper()
	m, err := c.stream.Recv()
	if err != nil {
		c.t.Fatalf("instead of %s: %v", want, server.Fault(err))
	}
	if m.GetKind() != want || m.GetResumeToken() == "" || !m.GetChangeTime().IsValid() {
		c.t.Fatalf("got %v, want %s with token and time", m, want)
	}
	return m
}

const upToDate = pb.LegalBasisChange_KIND_UNSPECIFIED

// A watch from now on says that it is up to date, and then what happens: by a notice, and without any by looking.
func TestWatchLegalBasis(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]func(*rpc.Parts){
		"by notice":       rhythm(longAgo, longAgo, true),
		"without notices": rhythm(longAgo, 10*time.Millisecond, false),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSuite(t, set)
			s.school("a")
			s.activity("a", "photos", 1)
			w := s.watch(t, "a", "")
			begin := w.next(upToDate)
			if !begin.GetChangeTime().AsTime().Equal(s.clock.Now().Truncate(time.Microsecond)) {
				t.Errorf("up to date as of %v", begin.GetChangeTime().AsTime())
			}
			given := s.give("u1", "e1")
			m := w.next(pb.LegalBasisChange_CONSENT_GIVEN)
			if m.GetActivity() != "photos" || !slices.Equal(m.GetSubjectRefs(), []string{s.ref("u1"), s.ref("e1")}) || "controllers/a/consents/"+m.GetConsents()[0] != given.GetName() {
				t.Errorf("%v", m)
			}
			w.next(upToDate)
			withdrawn := s.withdrawOf("u1")
			if m := w.next(pb.LegalBasisChange_CONSENT_WITHDRAWN); m.GetResumeToken() != withdrawn.GetConsistencyToken() {
				t.Error("the token of the change is not that of the withdrawal")
			}
			w.stop()
			// One event for the watch, whatever it has sent.
			for n := 0; n == 0; {
				for _, e := range s.events() {
					if e.GetAction() == "legal_basis.watch" {
						if n++; e.GetResource() != "controllers/a" || e.GetController() != "a" || n > 1 {
							t.Errorf("event %v", e)
						}
					}
				}
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
}

// A watch goes on after any token: nothing is lost, nothing comes twice, and other controllers' changes are not told.
func TestWatchResumes(t *testing.T) {
	t.Parallel()
	s := newSuite(t, rhythm(longAgo, longAgo, true))
	s.school("a")
	s.school("b")
	s.activity("b", "photos", 1)
	s.activity("a", "photos", 1)
	first := s.give("u1")
	s.withdrawOf("u1")
	s.withdrawOf("u1") // a revision of which nothing comes
	s.give("u2")
	kinds := func(token string) (got []pb.LegalBasisChange_Kind, last string) {
		w := s.watch(t, "a", token)
		defer w.stop()
		for {
			m, err := w.stream.Recv()
			if err != nil {
				t.Fatal(server.Fault(err))
			}
			if last = m.GetResumeToken(); m.GetKind() == upToDate {
				return got, last
			}
			got = append(got, m.GetKind())
		}
	}
	given, withdrawn := pb.LegalBasisChange_CONSENT_GIVEN, pb.LegalBasisChange_CONSENT_WITHDRAWN
	got, last := kinds(first.GetConsistencyToken())
	if want := []pb.LegalBasisChange_Kind{withdrawn, given}; !slices.Equal(got, want) {
		t.Errorf("after the first consent: %v", got)
	}
	if got, _ := kinds(last); len(got) > 0 {
		t.Errorf("after everything: %v", got)
	}
	if got, _ := kinds(""); len(got) > 0 {
		t.Errorf("from now on: %v", got)
	}
	// A check with the token of the watch sees the change, as with any consistency token.
	d := must[*pb.Decision](t)(s.Basis.CheckLegalBasis(t.Context(), &pb.CheckLegalBasisRequest{Parent: "controllers/a", Subjects: pupil("u1"), Activity: "photos",
		Consistency: &pb.Consistency{Requirement: &pb.Consistency_Token{Token: last}}}))
	if d.GetReason() != pb.Decision_CONSENT_WITHDRAWN {
		t.Errorf("%v", d)
	}
}

// More changes than are read at once come all, in order.
func TestWatchReadsPages(t *testing.T) {
	t.Parallel()
	s := newSuite(t, rhythm(longAgo, longAgo, true))
	s.school("a")
	s.activity("a", "photos", 1)
	start := s.give("u0").GetConsistencyToken()
	const n = 2000 // two full pages, and then an empty one
	err := s.db.Write(t.Context(), func(ctx context.Context, tx sqldb.Tx) error {
		for range n {
			rev, err := store.Store{}.Advance(ctx, tx, "a")
			if err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, `INSERT INTO change (controller, revision, kind, activity, system_id, consents, subject_refs, create_time)
				VALUES ('a', $1, 'consent.given', 'photos', '', '[]', '[]', $1)`, int64(rev)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	w := s.watch(t, "a", start)
	seen := map[string]bool{}
	for i := range n {
		if m := w.next(pb.LegalBasisChange_CONSENT_GIVEN); seen[m.GetResumeToken()] || m.GetChangeTime().AsTime().UnixMicro() != int64(i)+4 {
			t.Fatalf("change %d: %v", i, m)
		}
	}
	w.next(upToDate)
}

// A quiet watch says now and then that it is up to date, as of then.
func TestWatchBeats(t *testing.T) {
	t.Parallel()
	s := newSuite(t, rhythm(20*time.Millisecond, longAgo, true))
	s.school("a")
	w := s.watch(t, "a", "")
	first := w.next(upToDate)
	s.clock.Advance(time.Minute)
	for range 100 {
		if m := w.next(upToDate); m.GetChangeTime().AsTime().Sub(first.GetChangeTime().AsTime()) == time.Minute {
			return
		}
	}
	t.Error("the time of a heartbeat stands still")
}

func TestWatchRefusals(t *testing.T) {
	t.Parallel()
	s := newSuite(t, rhythm(longAgo, 10*time.Millisecond, false))
	s.school("a")
	s.school("b")
	s.activity("a", "photos", 1)
	old := s.give("u1").GetConsistencyToken()
	s.give("u2")
	last := s.withdrawOf("u2").GetConsistencyToken()
	expect := func(controller, token string, kind fault.Kind, reason string) {
		t.Helper()
		_, err := s.watch(t, controller, token).stream.Recv()
		refused[any](t, kind, reason)(nil, err)
	}
	expect("nowhere", "", fault.NotFound, "NOT_FOUND")
	expect("a", "AAAA", fault.Invalid, "TOKEN_INVALID")
	expect("b", old, fault.Invalid, "TOKEN_INVALID")
	// What was forgotten is not passed over in silence.
	err := s.db.Write(t.Context(), func(ctx context.Context, tx sqldb.Tx) error {
		_, err := store.Store{}.ForgetChanges(ctx, tx, s.clock.Now().Add(time.Hour))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	expect("a", old, fault.Precondition, "RESUME_TOKEN_TOO_OLD")
	running := s.watch(t, "a", last)
	running.next(upToDate)
	// The database is set back to before the last change: what the watch has told is not so any more.
	err = s.db.Write(t.Context(), func(ctx context.Context, tx sqldb.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE revision SET revision = revision - 1 WHERE controller = 'a'`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = running.stream.Recv()
	refused[any](t, fault.Precondition, "RESUME_TOKEN_TOO_OLD")(nil, err)
	expect("a", last, fault.Precondition, "RESUME_TOKEN_TOO_OLD")
	// Without the database nobody may believe to be up to date.
	fine := s.watch(t, "a", "")
	fine.next(upToDate)
	s.away.Store(true)
	if _, err := fine.stream.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("without a database: %v", err)
	}
}
