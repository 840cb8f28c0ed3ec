package rpc_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/emptypb"

	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// Every call that changes something announces it, with everybody whose answers may be others now, and one that changes nothing
// announces nothing.
func TestChangesAreAnnounced(t *testing.T) {
	t.Parallel()
	s := ready(t)
	ctx := t.Context()
	refs := func(values ...string) (out []consent.SubjectRef) {
		for _, v := range values {
			out = append(out, consent.SubjectRef(s.ref(v)))
		}
		slices.Sort(out)
		return out
	}
	var first, second *pb.Consent
	erasure := &pb.RecordErasureRequest{Parent: "controllers/a", SubjectRefs: []string{s.ref("u9")}, Erasure: "controllers/a/erasures/0198c3a0-0000-7000-8000-000000000001"}
	for _, step := range []struct {
		name string
		act  func()
		want *consent.Change // nil: none
	}{
		{"give", func() { first = s.give("u1", "e1") }, &consent.Change{Kind: consent.Agreement, Activity: "photos", Subjects: refs("u1", "e1")}},
		{"give under fewer", func() { second = s.give("u1") }, &consent.Change{Kind: consent.Agreement, Activity: "photos", Subjects: refs("u1")}},
		{"withdraw also what is the same person's", func() { s.withdrawOf("e1") },
			&consent.Change{Kind: consent.Withdrawal, Activity: "photos", Subjects: refs("u1", "e1")}},
		{"withdraw again", func() { s.withdrawOf("e1") }, nil},
		{"withdraw by name again", func() {
			must[*pb.Consent](t)(s.Consents.WithdrawConsent(ctx, &pb.WithdrawConsentRequest{Name: second.GetName()}))
		}, nil},
		{"note an erasure", func() { must[*emptypb.Empty](t)(s.Erased.RecordErasure(ctx, erasure)) }, &consent.Change{Kind: consent.ErasureNoted, Subjects: refs("u9")}},
		{"create a system", func() {
			must[*pb.System](t)(s.Register.CreateSystem(ctx, &pb.CreateSystemRequest{Parent: "controllers/a", SystemId: "lms", System: &pb.System{DisplayName: "LMS", Participant: "lms"}}))
		}, &consent.Change{Kind: consent.OfSystem, System: "lms"}},
		{"archive", func() {
			must[*pb.Activity](t)(s.Register.ArchiveActivity(ctx, &pb.ArchiveActivityRequest{Name: "controllers/a/activities/photos"}))
		}, &consent.Change{Kind: consent.OfActivity, Activity: "photos"}},
		{"archive again", func() {
			must[*pb.Activity](t)(s.Register.ArchiveActivity(ctx, &pb.ArchiveActivityRequest{Name: "controllers/a/activities/photos"}))
		}, nil},
	} {
		before := len(s.announced)
		step.act()
		var got *consent.Change
		if len(s.announced) > before {
			c := s.announced[before]
			got = &consent.Change{Kind: c.Kind, Activity: c.Activity, System: c.System, Subjects: slices.Sorted(slices.Values(c.Subjects))}
			if c.Controller != "a" || c.Revision <= c.Previous || c.Previous != s.announced[before-1].Revision || !c.Time.Equal(s.clock.Now().Truncate(1000)) {
				t.Errorf("%s: %+v", step.name, c)
			}
		}
		if d := cmp.Diff(step.want, got); d != "" || len(s.announced) > before+1 {
			t.Errorf("%s: %d changes, %s", step.name, len(s.announced)-before, d)
		}
	}
	if first.GetName() == second.GetName() {
		t.Error("two consents have one name")
	}
}

// While the database does not answer, everything is denied, and the refusals are recorded when it is back.
func TestNothingCanBeProven(t *testing.T) {
	t.Parallel()
	s := ready(t)
	s.give("u1")
	s.wantReason(pb.Decision_CONSENT_HOLDS, "u1")
	before := len(s.events())
	s.away.Store(true)
	for range 2 { // the first is still proven and cannot be recorded, the second is not proven
		d := s.check("photos", "u1")
		if d.GetDecision() != pb.Decision_DENY || d.GetReason() != pb.Decision_FRESHNESS_UNPROVABLE || d.GetConsistencyToken() != "" {
			t.Errorf("%v", d)
		}
		s.clock.Advance(5_000_000_000)
	}
	batch := must[*pb.BatchCheckLegalBasisResponse](t)(s.Basis.BatchCheckLegalBasis(t.Context(), &pb.BatchCheckLegalBasisRequest{Parent: "controllers/a",
		Checks: []*pb.CheckLegalBasisRequest{{Subjects: pupil("u1"), Activity: "photos"}, {Subjects: pupil("u2"), Activity: "learning"}}}))
	if got := batch.GetDecisions(); len(got) != 2 || got[0].GetReason() != pb.Decision_FRESHNESS_UNPROVABLE || got[1].GetReason() != pb.Decision_FRESHNESS_UNPROVABLE {
		t.Errorf("%v", got)
	}
	s.away.Store(false)
	if held := s.outbox.Held(); held != 4 || len(s.events()) != before {
		t.Errorf("%d refusals wait, %d are recorded", held, len(s.events())-before)
	}
	s.wantReason(pb.Decision_CONSENT_HOLDS, "u1")
}
