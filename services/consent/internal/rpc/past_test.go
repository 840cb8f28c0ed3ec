package rpc_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/server"
	"github.com/privacyops/privacyops/libs/sqldb"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	typepb "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
	"github.com/privacyops/privacyops/services/consent/internal/historytest"
	"github.com/privacyops/privacyops/services/consent/internal/store" //nolint:depguard // what is on record is put there directly
)

// seeded makes random numbers, or those of an earlier run again.
func seeded(t *testing.T) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if text := os.Getenv("PRIVACYOPS_TEST_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("PRIVACYOPS_TEST_SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// known is a question about a random history, and what the model says to it.
type known struct {
	req  *pb.CheckLegalBasisRequest
	want historytest.Said
	of   *historytest.Record
}

// randomHistory makes a history of pupils of their own, with some questions about it.
func (s *suite) randomHistory(r *rand.Rand, n int) (*historytest.Record, []known) {
	names, people := make([]string, 4), make([]consent.SubjectRef, 4)
	for i := range people {
		names[i] = fmt.Sprintf("pupil-%d-%d", n, i)
		people[i] = consent.SubjectRef(s.ref(names[i]))
	}
	rec := historytest.Random(r, "a", consent.ActivityID("activity-"+strconv.Itoa(n)), people, noon.Truncate(time.Microsecond))
	moments, asked := rec.Moments(r), rec.Asking(r)
	var out []known
	for range 8 {
		asked.Moment = moments[r.IntN(len(moments))]
		q := rec.Question(asked)
		req := &pb.CheckLegalBasisRequest{Activity: string(q.Activity), Recipient: q.Recipient, Location: q.Location, DataCategories: q.DataCategories,
			AsOf: timestamppb.New(asked.Moment.AsOf), KnownAt: timestamppb.New(asked.Moment.KnownAt)}
		for _, who := range asked.Who {
			req.Subjects = append(req.Subjects, pupil(names[who])...)
		}
		out = append(out, known{req, historytest.Model{}.Says(&rec, asked), &rec})
	}
	return &rec, out
}

// Random histories that are in the database are answered for by the service as the model does. (Ten thousand of them, at every
// moment and on every engine, are compared in package store.)
func TestThePastFollowsTheModel(t *testing.T) {
	t.Parallel()
	s, r := newSuite(t), seeded(t)
	var asked []known
	s.put(func(ctx context.Context, tx sqldb.Tx) error {
		if err := historytest.School(ctx, tx, store.Store{}, "a", noon.Add(-time.Hour)); err != nil {
			return err
		}
		for n := range 300 {
			rec, questions := s.randomHistory(r, n)
			if err := rec.Write(ctx, tx, store.Store{}); err != nil {
				return err
			}
			asked = append(asked, questions...)
		}
		return nil
	})
	s.later(30 * 24 * time.Hour)
	for part := range slices.Chunk(asked, 800) {
		batch := &pb.BatchCheckLegalBasisRequest{Parent: "controllers/a"}
		for _, k := range part {
			batch.Checks = append(batch.Checks, k.req)
		}
		for i, d := range must[*pb.BatchCheckLegalBasisResponse](t)(s.Basis.BatchCheckLegalBasis(t.Context(), batch)).GetDecisions() {
			want := part[i].want
			if want.Consent != "" {
				want.Consent = "controllers/a/consents/" + want.Consent
			}
			got := historytest.Said{Reason: d.GetReason().String(), Version: d.GetActivityVersion(), Consent: d.GetConsent()}
			if got != want {
				t.Errorf("%v asked %v: %+v, want %+v", part[i].of, part[i].req, got, want)
			}
		}
	}
}

// life is what a school may do, at random, through the service's own calls. People have one user name each, and addresses, one of
// which two may share.
type life struct {
	*suite
	r                         *rand.Rand
	people                    []*typepb.Subject
	consents, objects, limits []string
	erasures                  int
	// late in a life things end for good, too: people are erased and activities archived.
	late bool
}

func (l *life) some() []*typepb.Subject {
	picked := make([]*typepb.Subject, 1+l.r.IntN(2))
	for i, p := range l.r.Perm(len(l.people))[:len(picked)] {
		picked[i] = l.people[p]
	}
	return picked
}

func (l *life) name(of []string) string {
	if len(of) == 0 {
		return "controllers/a/consents/01900000-0000-7000-8000-000000000000" // of nothing
	}
	return of[l.r.IntN(len(of))]
}

// step does one thing. What the rules refuse changes nothing.
func (l *life) step(ctx context.Context) error {
	activity := []string{"photos", "learning", "letters"}[l.r.IntN(3)]
	switch l.r.IntN(14) {
	case 0, 1, 2:
		req := &pb.GiveConsentRequest{Parent: "controllers/a", Subjects: l.some(), Activity: "photos", GivenBy: &pb.GivenBy{Capacity: pb.GivenBy_GUARDIAN, Reference: "p"}}
		if l.r.IntN(3) == 0 {
			req.GivenBy.Capacity, req.SubjectBirthDate = pb.GivenBy_SELF, "2020-01-01"
		}
		if l.r.IntN(3) == 0 {
			req.ExpireTime = timestamppb.New(l.clock.Now().Add(time.Duration(1+l.r.IntN(3)) * time.Hour))
		}
		c, err := l.Consents.GiveConsent(ctx, req)
		l.consents = append(l.consents, c.GetName())
		return err
	case 3:
		_, err := l.Consents.WithdrawConsent(ctx, &pb.WithdrawConsentRequest{Name: l.name(l.consents)})
		return err
	case 4:
		_, err := l.Consents.WithdrawConsentOf(ctx, &pb.WithdrawConsentOfRequest{Parent: "controllers/a", Subjects: l.some(), Activity: "photos"})
		return err
	case 5, 6:
		o, err := l.Rights.CreateObjection(ctx, &pb.CreateObjectionRequest{Parent: "controllers/a", Subjects: l.some(), Activity: activity, Grounds: "Mine"})
		l.objects = append(l.objects, o.GetName())
		return err
	case 7:
		_, err := l.Rights.ResolveObjection(ctx, &pb.ResolveObjectionRequest{Name: l.name(l.objects), Reason: "Weighed",
			Outcome: pb.ResolveObjectionRequest_Outcome(1 + l.r.IntN(2))})
		return err
	case 8:
		req := &pb.CreateRestrictionRequest{Parent: "controllers/a", Subjects: l.some(), Ground: pb.Restriction_ACCURACY_CONTESTED}
		if l.r.IntN(2) == 0 {
			req.Activity = activity
		}
		x, err := l.Rights.CreateRestriction(ctx, req)
		l.limits = append(l.limits, x.GetName())
		return err
	case 9, 10:
		_, err := l.Rights.LiftRestriction(ctx, &pb.LiftRestrictionRequest{Name: l.name(l.limits)})
		return err
	case 11:
		_, err := l.Consents.LinkSubjects(ctx, &pb.LinkSubjectsRequest{Parent: "controllers/a", Subjects: append(l.some(), l.some()...)})
		return err
	case 12:
		return l.change(ctx, activity)
	}
	if !l.late {
		return nil
	}
	l.erasures++
	_, err := l.Erased.RecordErasure(ctx, &pb.RecordErasureRequest{Parent: "controllers/a", SubjectRefs: []string{l.refOf(l.some()[0])},
		Erasure:   fmt.Sprintf("controllers/a/erasures/01900000-0000-7000-8000-%012d", l.erasures),
		EraseTime: timestamppb.New(l.clock.Now().Add(time.Duration(l.r.IntN(3)-2) * time.Hour))})
	return err
}

// change makes a new version of an activity, or ends one.
func (l *life) change(ctx context.Context, activity string) error {
	name := "controllers/a/activities/" + activity
	if l.late && l.r.IntN(3) == 0 {
		_, err := l.Register.ArchiveActivity(ctx, &pb.ArchiveActivityRequest{Name: name})
		return err
	}
	basis := []typepb.LegalBasis{typepb.LegalBasis_CONSENT, typepb.LegalBasis_CONSENT, typepb.LegalBasis_PUBLIC_TASK, typepb.LegalBasis_CONTRACT}[l.r.IntN(4)]
	_, err := l.Register.UpdateActivity(ctx, &pb.UpdateActivityRequest{Activity: &pb.Activity{Name: name, LegalBasis: basis},
		UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"legal_basis"}}})
	return err
}

func (l *life) refOf(p *typepb.Subject) string {
	return l.keyring.Subject("a", p.GetType().String(), p.GetValue())
}

// answeredThen is what was answered once, and the question that must be answered alike for ever.
type answeredThen struct {
	step     int
	req      *pb.CheckLegalBasisRequest
	decision *pb.Decision
}

// ask asks about some people now.
func (l *life) ask(step int) answeredThen {
	l.t.Helper()
	req := &pb.CheckLegalBasisRequest{Parent: "controllers/a", Subjects: l.some(), Activity: []string{"photos", "learning", "letters"}[l.r.IntN(3)]}
	d := must[*pb.Decision](l.t)(l.Basis.CheckLegalBasis(l.t.Context(), req))
	req.AsOf, req.KnownAt = timestamppb.New(l.micro()), timestamppb.New(l.micro())
	return answeredThen{step, req, d}
}

// What was answered, from memory, at any moment of a school's life, is what is answered about that moment afterwards as it was known
// then.
func TestThePastIsWhatWasAnswered(t *testing.T) {
	t.Parallel()
	r, reasons := seeded(t), map[pb.Decision_Reason]int{}
	for range 4 {
		s := ready(t)
		s.activity("a", "letters", typepb.LegalBasis_LEGITIMATE_INTERESTS)
		l := &life{suite: s, r: r, people: append(pupil("u1", "u2", "u3"), &typepb.Subject{Type: typepb.Subject_EMAIL, Value: "e1"},
			&typepb.Subject{Type: typepb.Subject_EMAIL, Value: "e2"}, &typepb.Subject{Type: typepb.Subject_PHONE, Value: "1"})}
		var answers []answeredThen
		for step := range 80 {
			l.late = step > 50
			s.later([]time.Duration{time.Microsecond, time.Second, time.Hour}[r.IntN(3)])
			if err := l.step(t.Context()); err != nil && fault.From(server.Fault(err)).Kind() == fault.Internal {
				t.Fatalf("step %d: %v", step, err)
			}
			for range 4 {
				answers = append(answers, l.ask(step))
			}
		}
		s.later(time.Hour)
		batch := &pb.BatchCheckLegalBasisRequest{Parent: "controllers/a"}
		for _, a := range answers {
			batch.Checks = append(batch.Checks, a.req)
		}
		for i, again := range must[*pb.BatchCheckLegalBasisResponse](t)(s.Basis.BatchCheckLegalBasis(t.Context(), batch)).GetDecisions() {
			a := answers[i]
			reasons[a.decision.GetReason()]++
			if en := again.GetExplanation().GetEn(); !strings.Contains(en, " at that time") || again.GetExpireTime() != nil {
				t.Errorf("about the past it is said %q, and that it ends at %v", en, again.GetExpireTime())
			}
			again.Explanation, again.ExpireTime = a.decision.GetExplanation(), a.decision.GetExpireTime() // which are about now
			again.DecisionId, again.DecidedAt, again.ConsistencyToken = a.decision.GetDecisionId(), a.decision.GetDecidedAt(), a.decision.GetConsistencyToken()
			if d := cmp.Diff(a.decision, again, protocmp.Transform()); d != "" {
				t.Errorf("after step %d, asked %v (-then +now):\n%s", a.step, a.req, d)
			}
		}
	}
	t.Logf("answers: %v", reasons)
	for _, reason := range []pb.Decision_Reason{pb.Decision_NO_CONSENT, pb.Decision_CONSENT_HOLDS, pb.Decision_CONSENT_WITHDRAWN, pb.Decision_LEGAL_BASIS_HOLDS,
		pb.Decision_OBJECTED, pb.Decision_RESTRICTED, pb.Decision_SUBJECT_ERASED} {
		if reasons[reason] == 0 {
			t.Errorf("%s was never answered, so little was tested", reason)
		}
	}
}
