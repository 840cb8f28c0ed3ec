package rpc_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/privacyops/privacyops/libs/fault"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	typepb "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
	"github.com/privacyops/privacyops/services/consent/internal/memory"
	"github.com/privacyops/privacyops/services/consent/internal/rpc"
)

// micro is the time as it is stored.
func (s *suite) micro() time.Time { return s.clock.Now().Truncate(time.Microsecond) }

// later moves the clock and gives the new time.
func (s *suite) later(d time.Duration) time.Time {
	s.clock.Set(s.clock.Now().Add(d))
	return s.micro()
}

func asOf(activity string, t time.Time, values ...string) *pb.CheckLegalBasisRequest {
	return &pb.CheckLegalBasisRequest{Parent: "controllers/a", Subjects: pupil(values...), Activity: activity, AsOf: timestamppb.New(t)}
}

// wantThen checks what an answer about a moment is, as it is known now.
func (s *suite) wantThen(want pb.Decision_Reason, activity string, t time.Time, values ...string) *pb.Decision {
	s.t.Helper()
	d := must[*pb.Decision](s.t)(s.Basis.CheckLegalBasis(s.t.Context(), asOf(activity, t, values...)))
	allowed := want == pb.Decision_CONSENT_HOLDS || want == pb.Decision_LEGAL_BASIS_HOLDS
	if d.GetReason() != want || (d.GetDecision() == pb.Decision_ALLOW) != allowed {
		s.t.Errorf("as of %s: %s %s, want %s", t, d.GetDecision(), d.GetReason(), want)
	}
	return d
}

func TestAnswersAboutThePast(t *testing.T) {
	t.Parallel()
	s := newSuite(t)
	before := s.micro()
	s.later(time.Hour)
	s.school("a")
	none := s.later(time.Hour)
	s.activity("a", "photos", typepb.LegalBasis_CONSENT)
	registered := s.micro()
	s.later(time.Hour)
	c, given := s.give("u1"), s.micro()
	withdrawn := s.later(time.Hour)
	s.withdrawOf("u1")
	archived := s.later(time.Hour)
	must[*pb.Activity](t)(s.Register.ArchiveActivity(t.Context(), &pb.ArchiveActivityRequest{Name: "controllers/a/activities/photos"}))
	s.later(time.Hour)

	s.wantThen(pb.Decision_UNKNOWN_ACTIVITY, "photos", before, "u1")
	s.wantThen(pb.Decision_UNKNOWN_ACTIVITY, "photos", none.Add(-time.Microsecond), "u1")
	s.wantThen(pb.Decision_NO_CONSENT, "photos", registered, "u1")
	s.wantThen(pb.Decision_NO_CONSENT, "photos", given.Add(-time.Nanosecond), "u1")
	if d := s.wantThen(pb.Decision_CONSENT_HOLDS, "photos", given, "u1"); d.GetConsent() != c.GetName() || d.GetActivityVersion() != 1 ||
		!d.GetDecidedAt().AsTime().Equal(s.micro()) || d.GetConsistencyToken() == "" {
		t.Errorf("the answer is %v", d)
	}
	s.wantThen(pb.Decision_CONSENT_HOLDS, "photos", withdrawn.Add(-time.Microsecond), "u1")
	s.wantThen(pb.Decision_CONSENT_WITHDRAWN, "photos", withdrawn, "u1")
	if d := s.wantThen(pb.Decision_ACTIVITY_ARCHIVED, "photos", archived, "u1"); d.GetActivityVersion() != 2 {
		t.Errorf("version %d, want 2", d.GetActivityVersion())
	}
	s.wantThen(pb.Decision_ACTIVITY_ARCHIVED, "photos", s.micro(), "u1")
	s.wantThen(pb.Decision_UNKNOWN_ACTIVITY, "newsletter", given, "u1")
	missing := asOf("photos", given, "u1")
	missing.Parent = "controllers/b"
	refused[*pb.Decision](t, fault.NotFound, "NOT_FOUND")(s.Basis.CheckLegalBasis(t.Context(), missing))
}

// An erasure holds from when it was done, as soon as it was noted.
func TestTheTwoAxes(t *testing.T) {
	t.Parallel()
	s := ready(t)
	done := s.later(time.Hour)
	noted := s.later(time.Hour)
	must[*emptypb.Empty](t)(s.Erased.RecordErasure(t.Context(), &pb.RecordErasureRequest{Parent: "controllers/a", SubjectRefs: []string{s.ref("u1")},
		Erasure: "controllers/a/erasures/01900000-0000-7000-8000-000000000001", EraseTime: timestamppb.New(done)}))
	s.later(time.Hour)
	for _, c := range []struct {
		asOf, knownAt time.Time
		want          pb.Decision_Reason
	}{
		{done.Add(-time.Microsecond), s.micro(), pb.Decision_LEGAL_BASIS_HOLDS},
		{done, done, pb.Decision_LEGAL_BASIS_HOLDS},
		{done, noted.Add(-time.Microsecond), pb.Decision_LEGAL_BASIS_HOLDS},
		{done, noted, pb.Decision_SUBJECT_ERASED},
		{noted, noted, pb.Decision_SUBJECT_ERASED},
	} {
		req := asOf("learning", c.asOf, "u1")
		req.KnownAt = timestamppb.New(c.knownAt)
		d := must[*pb.Decision](t)(s.Basis.CheckLegalBasis(t.Context(), req))
		if d.GetReason() != c.want {
			t.Errorf("as of %s known at %s: %s, want %s", c.asOf, c.knownAt, d.GetReason(), c.want)
		}
		detail := s.lastEvent("legal_basis.check").GetDetail()
		if detail["as_of"] != c.asOf.Format(time.RFC3339Nano) || detail["known_at"] != c.knownAt.Format(time.RFC3339Nano) || detail["reason"] != c.want.String() {
			t.Errorf("recorded %v", detail)
		}
	}
	s.wantThen(pb.Decision_SUBJECT_ERASED, "learning", done, "u1")
	if got, want := s.lastEvent("legal_basis.check").GetDetail()["known_at"], s.micro().Format(time.RFC3339Nano); got != want {
		t.Errorf("what is known now was recorded as known at %q, want %q", got, want)
	}
}

func TestQuestionsAboutThePastThatAreRefused(t *testing.T) { //nolint:tparallel // the events are counted after all of them
	t.Parallel()
	s := ready(t)
	token, now := s.give("u1").GetConsistencyToken(), s.later(time.Hour)
	events := len(s.events())
	for _, c := range []struct {
		name   string
		change func(*pb.CheckLegalBasisRequest)
		reason string
		field  string
	}{
		{"the future", func(r *pb.CheckLegalBasisRequest) { r.AsOf = timestamppb.New(now.Add(time.Microsecond)) }, "AS_OF_IN_FUTURE", "as_of"},
		{"known before", func(r *pb.CheckLegalBasisRequest) { r.KnownAt = timestamppb.New(now.Add(-2 * time.Minute)) }, "KNOWN_AT_BEFORE_AS_OF", "known_at"},
		{"known in the future", func(r *pb.CheckLegalBasisRequest) { r.KnownAt = timestamppb.New(now.Add(time.Second)) }, "KNOWN_AT_IN_FUTURE", "known_at"},
		{"known at alone", func(r *pb.CheckLegalBasisRequest) { r.AsOf, r.KnownAt = nil, timestamppb.New(now) }, "KNOWN_AT_WITHOUT_AS_OF", "known_at"},
		{"with a token", func(r *pb.CheckLegalBasisRequest) {
			r.Consistency = &pb.Consistency{Requirement: &pb.Consistency_Token{Token: token}}
		}, "AS_OF_WITH_CONSISTENCY", "consistency"},
		{"with full", func(r *pb.CheckLegalBasisRequest) {
			r.Consistency = &pb.Consistency{Requirement: &pb.Consistency_Full{Full: true}}
		}, "AS_OF_WITH_CONSISTENCY", "consistency"},
		{"signed", func(r *pb.CheckLegalBasisRequest) { r.Signed = true }, "AS_OF_WITH_SIGNED", "signed"},
		{"no time", func(r *pb.CheckLegalBasisRequest) { r.AsOf = &timestamppb.Timestamp{Nanos: -1} }, "INVALID_ARGUMENT", "as_of"},
	} {
		req := asOf("photos", now.Add(-time.Minute), "u1")
		c.change(req)
		t.Run(c.name, func(t *testing.T) {
			got := refused[*pb.Decision](t, fault.Invalid, c.reason)(s.Basis.CheckLegalBasis(t.Context(), req))
			if len(got.violations) != 1 || got.violations[0].Field != c.field {
				t.Errorf("violations %v, want one of %s", got.violations, c.field)
			}
			batch := &pb.BatchCheckLegalBasisRequest{Parent: "controllers/a", Checks: []*pb.CheckLegalBasisRequest{asOf("photos", now, "u1"), req}}
			got = refused[*pb.BatchCheckLegalBasisResponse](t, fault.Invalid, c.reason)(s.Basis.BatchCheckLegalBasis(t.Context(), batch))
			if len(got.violations) != 1 || got.violations[0].Field != "checks[1]."+c.field {
				t.Errorf("violations of the batch %v, want one of checks[1].%s", got.violations, c.field)
			}
		})
	}
	if n := len(s.events()); n != events {
		t.Errorf("%d refused questions were recorded as decisions", n-events)
	}
}

// One batch asks about now and about the past.
func TestABatchAboutNowAndThePast(t *testing.T) {
	t.Parallel()
	s := ready(t)
	s.give("u1")
	given := s.micro()
	s.later(time.Hour)
	s.withdrawOf("u1")
	s.later(time.Hour)
	now := &pb.CheckLegalBasisRequest{Subjects: pupil("u1"), Activity: "photos"}
	batch := &pb.BatchCheckLegalBasisRequest{Parent: "controllers/a", Checks: []*pb.CheckLegalBasisRequest{
		now, asOf("photos", given, "u1"), {Subjects: pupil("u1"), Activity: "learning"}, asOf("photos", given, "u2"), now,
	}}
	events := len(s.events())
	decisions := must[*pb.BatchCheckLegalBasisResponse](t)(s.Basis.BatchCheckLegalBasis(t.Context(), batch)).GetDecisions()
	want := []pb.Decision_Reason{pb.Decision_CONSENT_WITHDRAWN, pb.Decision_CONSENT_HOLDS, pb.Decision_LEGAL_BASIS_HOLDS,
		pb.Decision_NO_CONSENT, pb.Decision_CONSENT_WITHDRAWN}
	if len(decisions) != len(want) {
		t.Fatalf("%d decisions", len(decisions))
	}
	recorded := map[string]map[string]string{}
	for _, e := range s.events()[events:] {
		recorded[e.GetId()] = e.GetDetail()
	}
	for i, d := range decisions {
		if d.GetReason() != want[i] {
			t.Errorf("%d: %s, want %s", i, d.GetReason(), want[i])
		}
		detail := recorded[d.GetDecisionId()]
		if detail["reason"] != want[i].String() || (detail["as_of"] != "") != (batch.GetChecks()[i].GetAsOf() != nil) {
			t.Errorf("%d: recorded %v", i, detail)
		}
	}
}

// forgetful is a memory that knows nothing.
type forgetful struct{}

func (forgetful) Snapshot(context.Context, consent.ControllerID, []memory.Asked, memory.Freshness) ([]memory.Known, consent.Revision, error) {
	return nil, 0, errors.New("the memory was asked")
}

// The past is read from the database itself: memory has no part in it.
func TestThePastIsNotFromMemory(t *testing.T) {
	t.Parallel()
	s := newSuite(t, func(p *rpc.Parts) { p.Memory = forgetful{} })
	s.school("a")
	s.activity("a", "photos", typepb.LegalBasis_CONSENT)
	s.give("u1")
	given := s.micro()
	s.later(time.Hour)
	s.withdrawOf("u1")
	s.wantThen(pb.Decision_CONSENT_HOLDS, "photos", given, "u1")
	refused[*pb.Decision](t, fault.Internal, "INTERNAL")(s.Basis.CheckLegalBasis(t.Context(),
		&pb.CheckLegalBasisRequest{Parent: "controllers/a", Subjects: pupil("u1"), Activity: "photos"}))
}

// While the database does not answer nothing is said about the past: a refusal would be a false statement about it.
func TestThePastWithoutTheDatabase(t *testing.T) {
	t.Parallel()
	s := ready(t)
	s.give("u1")
	given := s.micro()
	s.later(time.Hour)
	s.away.Store(true)
	refused[*pb.Decision](t, fault.Unavailable, "STORE_UNAVAILABLE")(s.Basis.CheckLegalBasis(t.Context(), asOf("photos", given, "u1")))
	batch := &pb.BatchCheckLegalBasisRequest{Parent: "controllers/a", Checks: []*pb.CheckLegalBasisRequest{
		{Subjects: pupil("u1"), Activity: "photos"}, asOf("photos", given, "u1")}}
	refused[*pb.BatchCheckLegalBasisResponse](t, fault.Unavailable, "STORE_UNAVAILABLE")(s.Basis.BatchCheckLegalBasis(t.Context(), batch))
	s.away.Store(false)
	s.wantThen(pb.Decision_CONSENT_HOLDS, "photos", given, "u1")
}
