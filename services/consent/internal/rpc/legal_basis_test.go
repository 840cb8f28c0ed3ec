package rpc_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/server"
	"github.com/privacyops/privacyops/libs/sqldb"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	typepb "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// The reasons of the domain are those of the contract, in its order.
func TestReasonsAreTheContracts(t *testing.T) {
	t.Parallel()
	want := []consent.Reason{
		consent.LegalBasisHolds, consent.ConsentHolds, consent.UnknownActivity, consent.ActivityArchived, consent.RecipientNotInstructed,
		consent.LocationNotApproved, consent.DataCategoryNotCovered, consent.SubjectErased, consent.Restricted, consent.Objected,
		consent.NoConsent, consent.ConsentWithdrawn, consent.ConsentExpired, consent.GuardianConsentRequired, consent.FreshnessUnprovable,
	}
	var got []consent.Reason
	values := pb.Decision_REASON_UNSPECIFIED.Descriptor().Values()
	for i := 1; i < values.Len(); i++ {
		got = append(got, consent.Reason(values.Get(i).Name()))
	}
	if !slices.Equal(got, want) {
		t.Errorf("the contract has %v", got)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	s := ready(t)
	for name, test := range map[string]struct {
		change func(*pb.CheckLegalBasisRequest)
		want   pb.Decision_Reason
	}{
		"covered": {func(*pb.CheckLegalBasisRequest) {}, pb.Decision_LEGAL_BASIS_HOLDS},
		"all of it": {func(r *pb.CheckLegalBasisRequest) {
			r.Recipient, r.Location, r.DataCategories = "publisher", "DK", []string{"identity"}
		}, pb.Decision_LEGAL_BASIS_HOLDS},
		"other activity":  {func(r *pb.CheckLegalBasisRequest) { r.Activity = "other" }, pb.Decision_UNKNOWN_ACTIVITY},
		"other recipient": {func(r *pb.CheckLegalBasisRequest) { r.Recipient = "stranger" }, pb.Decision_RECIPIENT_NOT_INSTRUCTED},
		"other place":     {func(r *pb.CheckLegalBasisRequest) { r.Location = "US" }, pb.Decision_LOCATION_NOT_APPROVED},
		"other category":  {func(r *pb.CheckLegalBasisRequest) { r.DataCategories = []string{"usage"} }, pb.Decision_DATA_CATEGORY_NOT_COVERED},
	} {
		req := &pb.CheckLegalBasisRequest{Parent: "controllers/a", Subjects: pupil("u1"), Activity: "learning"}
		test.change(req)
		d := must[*pb.Decision](t)(s.Basis.CheckLegalBasis(t.Context(), req))
		if d.GetReason() != test.want || (d.GetDecision() == pb.Decision_ALLOW) != (test.want == pb.Decision_LEGAL_BASIS_HOLDS) {
			t.Errorf("%s: %s %s, want %s", name, d.GetDecision(), d.GetReason(), test.want)
		}
	}
	refused[*pb.Decision](t, fault.NotFound, "NOT_FOUND")(s.Basis.CheckLegalBasis(t.Context(),
		&pb.CheckLegalBasisRequest{Parent: "controllers/b", Subjects: pupil("u1"), Activity: "learning"}))
}

// The decision is in the audit log under its own id before it is given.
func TestDecisionsAreRecorded(t *testing.T) {
	t.Parallel()
	s := ready(t)
	given := s.give("u1")
	d := must[*pb.Decision](t)(s.Basis.CheckLegalBasis(t.Context(), &pb.CheckLegalBasisRequest{Parent: "controllers/a",
		Subject: pupil("u1")[0], Subjects: pupil("e1", "u1"), Activity: "photos", Recipient: "publisher"}))
	if d.GetActivityVersion() != 1 || d.GetLegalBasis() != typepb.LegalBasis_CONSENT || d.GetDecidedAt() == nil || d.GetActivity() != "photos" ||
		!strings.Contains(d.GetExplanation().GetDa(), "samtykke") || !strings.Contains(d.GetExplanation().GetEn(), "consent") {
		t.Errorf("%v", d)
	}
	events := s.events()
	e := events[len(events)-1]
	refs := []string{s.ref("u1"), s.ref("e1")}
	slices.Sort(refs)
	if e.GetId() != d.GetDecisionId() || e.GetAction() != "legal_basis.check" || e.GetKind().String() != "DECISION" || e.GetController() != "a" ||
		!slices.Equal(e.GetSubjectRefs(), refs) || e.GetResource() != "controllers/a/activities/photos" {
		t.Errorf("%v", e)
	}
	want := map[string]string{"decision": "ALLOW", "reason": "CONSENT_HOLDS", "activity": "photos", "version": "1", "recipient": "publisher",
		"consent": strings.TrimPrefix(given.GetName(), "controllers/a/consents/")}
	for k, v := range want {
		if e.GetDetail()[k] != v {
			t.Errorf("detail %s is %q, want %q", k, e.GetDetail()[k], v)
		}
	}
}

// Without its record there is no answer, not even a no.
func TestNoAnswerWithoutRecord(t *testing.T) {
	t.Parallel()
	s := ready(t)
	err := s.db.Write(t.Context(), func(ctx context.Context, tx sqldb.Tx) error {
		_, err := tx.Exec(ctx, `CREATE TRIGGER full BEFORE INSERT ON audit_outbox BEGIN SELECT RAISE(ABORT, 'no'); END`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	d, err := s.Basis.CheckLegalBasis(t.Context(), &pb.CheckLegalBasisRequest{Parent: "controllers/a", Subjects: pupil("u1"), Activity: "learning"})
	if err == nil {
		t.Errorf("answered %v", d)
	}
}

func TestBatch(t *testing.T) {
	t.Parallel()
	s := ready(t)
	s.give("u1")
	checks := []*pb.CheckLegalBasisRequest{
		{Subjects: pupil("u1"), Activity: "photos"},
		{Parent: "controllers/a", Subjects: pupil("u2"), Activity: "photos"},
		{Subjects: pupil("u2"), Activity: "learning"},
		{Subjects: pupil("u2"), Activity: "none"},
	}
	before := len(s.events())
	got := must[*pb.BatchCheckLegalBasisResponse](t)(s.Basis.BatchCheckLegalBasis(t.Context(), &pb.BatchCheckLegalBasisRequest{Parent: "controllers/a", Checks: checks}))
	want := []pb.Decision_Reason{pb.Decision_CONSENT_HOLDS, pb.Decision_NO_CONSENT, pb.Decision_LEGAL_BASIS_HOLDS, pb.Decision_UNKNOWN_ACTIVITY}
	ids := map[string]bool{}
	for i, d := range got.GetDecisions() {
		if d.GetReason() != want[i] {
			t.Errorf("answer %d: %s, want %s", i, d.GetReason(), want[i])
		}
		ids[d.GetDecisionId()] = true
	}
	events := s.events()[before:]
	if len(got.GetDecisions()) != 4 || len(ids) != 4 || len(events) != 4 {
		t.Errorf("%d answers, %d ids, %d events for 4 questions", len(got.GetDecisions()), len(ids), len(events))
	}
	for _, e := range events {
		if !ids[e.GetId()] {
			t.Errorf("an event without its decision: %v", e)
		}
	}
}

func TestBatchRefusesAllOrNone(t *testing.T) {
	t.Parallel()
	s := ready(t)
	for field, bad := range map[string]*pb.CheckLegalBasisRequest{
		"checks[1].parent":             {Parent: "controllers/b", Subjects: pupil("u1"), Activity: "photos"},
		"checks[1].activity":           {Subjects: pupil("u1"), Activity: "Not an id"},
		"checks[1]":                    {Activity: "photos"},
		"checks[1].subjects[0].value":  {Subjects: pupil(""), Activity: "photos"},
		"checks[1].consistency.token":  {Subjects: pupil("u1"), Activity: "photos", Consistency: &pb.Consistency{Requirement: &pb.Consistency_Token{Token: strings.Repeat("x", 600)}}},
		"checks[1].data_categories[0]": {Subjects: pupil("u1"), Activity: "photos", DataCategories: []string{"Å"}},
	} {
		before := len(s.events())
		checks := []*pb.CheckLegalBasisRequest{{Subjects: pupil("u1"), Activity: "photos"}, bad}
		f := refused[*pb.BatchCheckLegalBasisResponse](t, fault.Invalid, "INVALID_ARGUMENT")(s.Basis.BatchCheckLegalBasis(t.Context(),
			&pb.BatchCheckLegalBasisRequest{Parent: "controllers/a", Checks: checks}))
		if v := f.violations; len(v) != 1 || v[0].Field != field {
			t.Errorf("%v, want the blame on %s", v, field)
		}
		if after := len(s.events()); after != before {
			t.Errorf("%s: %d decisions were recorded", field, after-before)
		}
	}
}

func withToken(values []string, token string) *pb.CheckLegalBasisRequest {
	return &pb.CheckLegalBasisRequest{Parent: "controllers/a", Subjects: pupil(values...), Activity: "photos",
		Consistency: &pb.Consistency{Requirement: &pb.Consistency_Token{Token: token}}}
}

func TestConsistency(t *testing.T) {
	t.Parallel()
	s := ready(t)
	s.school("b")
	token := s.give("u1").GetConsistencyToken()
	if d := must[*pb.Decision](t)(s.Basis.CheckLegalBasis(t.Context(), withToken([]string{"u1"}, token))); d.GetReason() != pb.Decision_CONSENT_HOLDS {
		t.Errorf("%s", d.GetReason())
	}
	full := withToken([]string{"u1"}, "")
	full.Consistency.Requirement = &pb.Consistency_Full{Full: true}
	if d := must[*pb.Decision](t)(s.Basis.CheckLegalBasis(t.Context(), full)); d.GetReason() != pb.Decision_CONSENT_HOLDS || d.GetConsistencyToken() != token {
		t.Errorf("%v", d)
	}
	foreign := proto.CloneOf(full)
	foreign.Parent, foreign.Consistency = "controllers/b", &pb.Consistency{Requirement: &pb.Consistency_Token{Token: token}}
	refused[*pb.Decision](t, fault.Invalid, "TOKEN_INVALID")(s.Basis.CheckLegalBasis(t.Context(), foreign))
	refused[*pb.Decision](t, fault.Invalid, "TOKEN_INVALID")(s.Basis.CheckLegalBasis(t.Context(), withToken([]string{"u1"}, "z"+token[1:])))

	// A service on a restored backup: the database is older than what the asker has seen.
	token = consent.NewTokens(s.keyring.Derive("consent/consistency")).Make("a", 99)
	d := must[*pb.Decision](t)(s.Basis.CheckLegalBasis(t.Context(), withToken([]string{"u1"}, token)))
	if d.GetDecision() != pb.Decision_DENY || d.GetReason() != pb.Decision_FRESHNESS_UNPROVABLE {
		t.Errorf("%s %s", d.GetDecision(), d.GetReason())
	}
	if d := must[*pb.Decision](t)(s.Basis.CheckLegalBasis(t.Context(), withToken([]string{"u2"}, token))); d.GetReason() != pb.Decision_NO_CONSENT {
		t.Errorf("another reason to deny comes first: %s", d.GetReason())
	}
}

func TestTenantsNeverMeet(t *testing.T) {
	t.Parallel()
	s := ready(t)
	s.school("b")
	s.activity("b", "photos", typepb.LegalBasis_CONSENT)
	given := s.give("u1")
	d := must[*pb.Decision](t)(s.Basis.CheckLegalBasis(t.Context(), &pb.CheckLegalBasisRequest{Parent: "controllers/b", Subjects: pupil("u1"), Activity: "photos"}))
	if d.GetReason() != pb.Decision_NO_CONSENT {
		t.Errorf("a's consent counts for b: %s", d.GetReason())
	}
	if d := must[*pb.Decision](t)(s.Basis.CheckLegalBasis(t.Context(), &pb.CheckLegalBasisRequest{Parent: "controllers/b", Subjects: pupil("u1"), Activity: "learning"})); d.GetReason() != pb.Decision_UNKNOWN_ACTIVITY {
		t.Errorf("a's activity counts for b: %s", d.GetReason())
	}
	found := must[*pb.SearchConsentsResponse](t)(s.Consents.SearchConsents(t.Context(), &pb.SearchConsentsRequest{Parent: "controllers/b", Subjects: pupil("u1")}))
	if len(found.GetConsents()) != 0 {
		t.Errorf("%v", found)
	}
	foreign := strings.Replace(given.GetName(), "controllers/a", "controllers/b", 1)
	refused[*pb.Consent](t, fault.NotFound, "NOT_FOUND")(s.Consents.WithdrawConsent(t.Context(), &pb.WithdrawConsentRequest{Name: foreign}))
	refused[*pb.Activity](t, fault.NotFound, "NOT_FOUND")(s.Register.GetActivity(t.Context(), &pb.GetActivityRequest{Name: "controllers/b/activities/learning"}))
	s.wantReason(pb.Decision_CONSENT_HOLDS, "u1")
}

// A check that starts after a withdrawal was answered never allows, however many others run at the same time.
func TestNoYesAfterAWithdrawal(t *testing.T) {
	t.Parallel()
	s := ready(t)
	for range 10 {
		s.give("u1")
		var withdrawn atomic.Bool
		var wg sync.WaitGroup
		var late atomic.Int64
		for range 8 {
			wg.Go(func() {
				for late.Load() < 8 {
					after := withdrawn.Load()
					d, err := s.Basis.CheckLegalBasis(t.Context(), &pb.CheckLegalBasisRequest{Parent: "controllers/a", Subjects: pupil("u1"), Activity: "photos"})
					if err != nil {
						t.Errorf("check: %v", server.Fault(err))
						return
					}
					if after {
						late.Add(1)
						if d.GetDecision() != pb.Decision_DENY {
							t.Errorf("allowed after the withdrawal: %v", d)
						}
					}
				}
			})
		}
		s.withdrawOf("u1")
		withdrawn.Store(true)
		wg.Wait()
	}
}
