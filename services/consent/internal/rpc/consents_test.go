package rpc_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/privacyops/privacyops/libs/fault"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	typepb "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
)

func TestGiveCheckWithdraw(t *testing.T) {
	t.Parallel()
	s := ready(t)
	s.wantReason(pb.Decision_NO_CONSENT, "u1")
	given := s.give("u1")
	at := timestamppb.New(noon.Truncate(time.Microsecond))
	want := &pb.Consent{Name: given.GetName(), State: pb.Consent_GIVEN, Activity: "photos", ActivityVersion: 1, SubjectRef: s.ref("u1"),
		GivenBy: &pb.GivenBy{Capacity: pb.GivenBy_GUARDIAN, Reference: "parent-1"}, GiveTime: at, ConsistencyToken: given.GetConsistencyToken()}
	if d := cmp.Diff(want, given, protocmp.Transform()); d != "" || given.GetConsistencyToken() == "" {
		t.Error(d)
	}
	if d := s.check("photos", "u1"); d.GetDecision() != pb.Decision_ALLOW || d.GetConsent() != given.GetName() {
		t.Errorf("%v", d)
	}
	s.clock.Advance(time.Minute)
	gone := must[*pb.Consent](t)(s.Consents.WithdrawConsent(t.Context(), &pb.WithdrawConsentRequest{Name: given.GetName()}))
	want.State, want.WithdrawTime, want.ConsistencyToken = pb.Consent_WITHDRAWN, timestamppb.New(at.AsTime().Add(time.Minute)), gone.GetConsistencyToken()
	if d := cmp.Diff(want, gone, protocmp.Transform()); d != "" {
		t.Error(d)
	}
	s.wantReason(pb.Decision_CONSENT_WITHDRAWN, "u1")
	s.clock.Advance(time.Minute)
	s.give("u2")
	for _, again := range []*pb.Consent{
		must[*pb.Consent](t)(s.Consents.WithdrawConsent(t.Context(), &pb.WithdrawConsentRequest{Name: given.GetName()})), s.withdrawOf("u1"),
	} {
		if d := cmp.Diff(gone, again, protocmp.Transform()); d != "" {
			t.Errorf("withdrawn again: %s", d)
		}
	}
	s.wantReason(pb.Decision_CONSENT_HOLDS, "u2")
	s.give("u1")
	s.wantReason(pb.Decision_CONSENT_HOLDS, "u1")
}

func TestGiveRefusals(t *testing.T) {
	t.Parallel()
	s := ready(t)
	for name, test := range map[string]struct {
		change func(*pb.GiveConsentRequest)
		kind   fault.Kind
		reason string
	}{
		"unknown activity":   {func(r *pb.GiveConsentRequest) { r.Activity = "other" }, fault.Invalid, "UNKNOWN_ACTIVITY"},
		"a public task":      {func(r *pb.GiveConsentRequest) { r.Activity = "learning" }, fault.Invalid, "NOT_CONSENT_BASED"},
		"unknown controller": {func(r *pb.GiveConsentRequest) { r.Parent = "controllers/b" }, fault.NotFound, "NOT_FOUND"},
		"no person":          {func(r *pb.GiveConsentRequest) { r.Subjects = nil }, fault.Invalid, "INVALID_ARGUMENT"},
		"no capacity":        {func(r *pb.GiveConsentRequest) { r.GivenBy.Capacity = 0 }, fault.Invalid, "INVALID_ARGUMENT"},
		"ended already":      {func(r *pb.GiveConsentRequest) { r.ExpireTime = timestamppb.New(noon.Add(-time.Second)) }, fault.Invalid, "INVALID_ARGUMENT"},
		"no such time":       {func(r *pb.GiveConsentRequest) { r.ExpireTime = &timestamppb.Timestamp{Seconds: 1 << 60} }, fault.Invalid, "INVALID_ARGUMENT"},
		"no such day":        {func(r *pb.GiveConsentRequest) { r.SubjectBirthDate = "2014-02-30" }, fault.Invalid, "INVALID_ARGUMENT"},
		"born tomorrow":      {func(r *pb.GiveConsentRequest) { r.SubjectBirthDate = "2026-03-03" }, fault.Invalid, "INVALID_ARGUMENT"},
		"a name as evidence": {func(r *pb.GiveConsentRequest) { r.Evidence = "signed by Anna" }, fault.Invalid, "INVALID_ARGUMENT"},
	} {
		req := s.giving("u1")
		test.change(req)
		f := refused[*pb.Consent](t, test.kind, test.reason)(s.Consents.GiveConsent(t.Context(), req))
		if strings.Contains(f.message, "u1") || strings.Contains(f.message, "2014") || strings.Contains(f.message, "2026") {
			t.Errorf("%s: the message repeats what was sent: %s", name, f.message)
		}
	}
	s.wantReason(pb.Decision_NO_CONSENT, "u1")
	refused[*pb.Consent](t, fault.NotFound, "NOT_FOUND")(s.Consents.WithdrawConsent(t.Context(),
		&pb.WithdrawConsentRequest{Name: "controllers/a/consents/" + uuid.NewString()}))
	refused[*pb.Consent](t, fault.NotFound, "NOT_FOUND")(s.Consents.WithdrawConsentOf(t.Context(),
		&pb.WithdrawConsentOfRequest{Parent: "controllers/a", Subjects: pupil("u1"), Activity: "photos"}))
}

func TestAChildDoesNotConsentAlone(t *testing.T) {
	t.Parallel()
	s := ready(t)
	alone := s.giving("u1")
	alone.GivenBy.Capacity, alone.SubjectBirthDate = pb.GivenBy_SELF, "2014-05-01"
	if c := must[*pb.Consent](t)(s.Consents.GiveConsent(t.Context(), alone)); c.GetState() != pb.Consent_GIVEN {
		t.Errorf("%v", c)
	}
	s.wantReason(pb.Decision_GUARDIAN_CONSENT_REQUIRED, "u1")
	s.clock.Set(noon.AddDate(10, 0, 0)) // the date of birth is not kept, so nothing changes by itself
	s.wantReason(pb.Decision_GUARDIAN_CONSENT_REQUIRED, "u1")
	s.give("u1")
	s.wantReason(pb.Decision_CONSENT_HOLDS, "u1")
	if d := s.lastEvent("consent.give").GetDetail(); d["insufficient"] != "" {
		t.Errorf("the guardian's consent: %v", d)
	}
	older := s.giving("u2")
	older.GivenBy.Capacity, older.SubjectBirthDate = pb.GivenBy_SELF, "2010-05-01"
	must[*pb.Consent](t)(s.Consents.GiveConsent(t.Context(), older))
	s.wantReason(pb.Decision_CONSENT_HOLDS, "u2")
}

func TestConsentExpires(t *testing.T) {
	t.Parallel()
	s := ready(t)
	req := s.giving("u1")
	req.ExpireTime = timestamppb.New(noon.Add(time.Hour))
	must[*pb.Consent](t)(s.Consents.GiveConsent(t.Context(), req))
	s.wantReason(pb.Decision_CONSENT_HOLDS, "u1")
	s.clock.Set(noon.Add(time.Hour))
	s.wantReason(pb.Decision_CONSENT_EXPIRED, "u1")
	found := must[*pb.SearchConsentsResponse](t)(s.Consents.SearchConsents(t.Context(), &pb.SearchConsentsRequest{Parent: "controllers/a", Subjects: pupil("u1")}))
	if c := found.GetConsents(); len(c) != 1 || c[0].GetState() != pb.Consent_EXPIRED {
		t.Errorf("%v", c)
	}
	s.withdrawOf("u1")
	s.wantReason(pb.Decision_CONSENT_WITHDRAWN, "u1")
}

func TestOnePersonOfSeveralIdentifiers(t *testing.T) {
	t.Parallel()
	s := ready(t)
	s.give("u1", "e1")
	s.wantReason(pb.Decision_CONSENT_HOLDS, "u1")
	s.wantReason(pb.Decision_CONSENT_HOLDS, "e1")
	s.wantReason(pb.Decision_CONSENT_HOLDS, "unknown", "e1")
	s.withdrawOf("e1")
	s.wantReason(pb.Decision_CONSENT_WITHDRAWN, "u1")
	s.wantReason(pb.Decision_CONSENT_WITHDRAWN, "e1")
	// A consent renewed under one identifier and withdrawn by name leaves no yes under the other.
	s.give("u1", "e1")
	renewed := s.give("u1")
	must[*pb.Consent](t)(s.Consents.WithdrawConsent(t.Context(), &pb.WithdrawConsentRequest{Name: renewed.GetName()}))
	s.wantReason(pb.Decision_CONSENT_WITHDRAWN, "e1")
	// Two children with one parent's address stay two: one's withdrawal is not the other's.
	s.give("u2", "mail")
	s.give("u3", "mail")
	s.withdrawOf("u2")
	s.wantReason(pb.Decision_CONSENT_WITHDRAWN, "u2")
	s.wantReason(pb.Decision_CONSENT_HOLDS, "u3")
	s.wantReason(pb.Decision_CONSENT_WITHDRAWN, "mail") // of whom is not known, so the latest act counts
}

// A repeated withdrawal that arrives late does not end a consent that was given in between.
func TestALateRepeatEndsNothingNew(t *testing.T) {
	t.Parallel()
	s := ready(t)
	first := s.give("u1")
	req := &pb.WithdrawConsentRequest{Name: first.GetName()}
	must[*pb.Consent](t)(s.Consents.WithdrawConsent(t.Context(), req))
	s.give("u1")
	must[*pb.Consent](t)(s.Consents.WithdrawConsent(t.Context(), req))
	s.wantReason(pb.Decision_CONSENT_HOLDS, "u1")
}

// The two ways to write a letter in Unicode are one person; another type of identifier is another.
func TestIdentifiersAreNormalised(t *testing.T) {
	t.Parallel()
	s := ready(t)
	nfc, nfd := "s\u00f8ren\u00e5", "s\u00f8rena\u030a"
	s.give(nfd)
	s.wantReason(pb.Decision_CONSENT_HOLDS, nfc)
	s.withdrawOf(nfc)
	s.wantReason(pb.Decision_CONSENT_WITHDRAWN, nfd)
	s.give(nfc)
	req := &pb.CheckLegalBasisRequest{Parent: "controllers/a", Subject: &typepb.Subject{Type: typepb.Subject_EMAIL, Value: nfc}, Activity: "photos"}
	if d := must[*pb.Decision](t)(s.Basis.CheckLegalBasis(t.Context(), req)); d.GetReason() != pb.Decision_NO_CONSENT {
		t.Errorf("the same text as another type: %v", d.GetReason())
	}
}

func TestIdempotentGive(t *testing.T) {
	t.Parallel()
	s := ready(t)
	req := s.giving("u1")
	req.RequestId = uuid.NewString()
	first := must[*pb.Consent](t)(s.Consents.GiveConsent(t.Context(), req))
	s.clock.Advance(time.Hour)
	again := must[*pb.Consent](t)(s.Consents.GiveConsent(t.Context(), req))
	if d := cmp.Diff(first, again, protocmp.Transform()); d != "" {
		t.Error(d)
	}
	other := s.giving("u2")
	other.RequestId = req.GetRequestId()
	refused[*pb.Consent](t, fault.Exists, "IDEMPOTENCY_KEY_REUSED")(s.Consents.GiveConsent(t.Context(), other))
	s.wantReason(pb.Decision_NO_CONSENT, "u2")
	found := must[*pb.SearchConsentsResponse](t)(s.Consents.SearchConsents(t.Context(), &pb.SearchConsentsRequest{Parent: "controllers/a", Subjects: pupil("u1")}))
	if len(found.GetConsents()) != 1 {
		t.Errorf("%d consents after one request sent twice", len(found.GetConsents()))
	}
	// A key that was refused is free again: nothing happened under it.
	late := s.giving("u3")
	late.RequestId, late.Activity = uuid.NewString(), "other"
	refused[*pb.Consent](t, fault.Invalid, "UNKNOWN_ACTIVITY")(s.Consents.GiveConsent(t.Context(), late))
	late.Activity = "photos"
	must[*pb.Consent](t)(s.Consents.GiveConsent(t.Context(), late))
}

func TestIdempotentRegister(t *testing.T) {
	t.Parallel()
	s := ready(t)
	req := &pb.CreateActivityRequest{Parent: "controllers/a", ActivityId: "new", RequestId: uuid.NewString(),
		Activity: &pb.Activity{Purpose: "x", LegalBasis: typepb.LegalBasis_CONTRACT}}
	first := must[*pb.Activity](t)(s.Register.CreateActivity(t.Context(), req))
	if d := cmp.Diff(first, must[*pb.Activity](t)(s.Register.CreateActivity(t.Context(), req)), protocmp.Transform()); d != "" {
		t.Error(d)
	}
	req.Activity.Purpose = "y"
	refused[*pb.Activity](t, fault.Exists, "IDEMPOTENCY_KEY_REUSED")(s.Register.CreateActivity(t.Context(), req))
}

func TestSearchInPages(t *testing.T) {
	t.Parallel()
	s := ready(t)
	var want []string
	for range 5 {
		want = append(want, s.give("u1", "e1").GetName())
	}
	slices.Reverse(want)
	s.give("u2")
	req := &pb.SearchConsentsRequest{Parent: "controllers/a", Subjects: pupil("e1", "u1"), PageSize: 2}
	var got []string
	for {
		page := must[*pb.SearchConsentsResponse](t)(s.Consents.SearchConsents(t.Context(), req))
		for _, c := range page.GetConsents() {
			got = append(got, c.GetName())
		}
		if len(page.GetConsents()) > 2 {
			t.Fatalf("%d on a page of 2", len(page.GetConsents()))
		}
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			break
		}
		if other := (&pb.SearchConsentsRequest{Parent: "controllers/a", Subjects: pupil("u2"), PageToken: req.PageToken}); len(got) == 2 {
			refused[*pb.SearchConsentsResponse](t, fault.Invalid, "PAGE_TOKEN_INVALID")(s.Consents.SearchConsents(t.Context(), other))
		}
		req.Subjects = pupil("u1", "e1") // the order of identifiers does not matter
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if e := s.lastEvent("consent.search"); len(e.GetSubjectRefs()) != 2 {
		t.Errorf("%v", e)
	}
}

func TestConsentEvents(t *testing.T) {
	t.Parallel()
	s := ready(t)
	given := s.give("u1", "e1")
	want := []string{s.ref("u1"), s.ref("e1")}
	slices.Sort(want)
	e := s.lastEvent("consent.give")
	if e.GetResource() != given.GetName() || e.GetController() != "a" || !slices.Equal(e.GetSubjectRefs(), want) || e.GetKind().String() != "CREATE" {
		t.Errorf("%v", e)
	}
	count := func() (n int) {
		for _, e := range s.events() {
			if e.GetAction() == "consent.withdraw" {
				n++
			}
		}
		return n
	}
	for calls := 1; calls <= 3; calls++ { // each call has its event, the ones that change nothing as well
		s.withdrawOf("u1")
		if e := s.lastEvent("consent.withdraw"); count() != calls || e.GetResource() != given.GetName() || !slices.Equal(e.GetSubjectRefs(), want) {
			t.Errorf("%d events after %d calls: %v", count(), calls, e)
		}
	}
	for _, e := range s.events() {
		if text := e.String(); strings.Contains(text, `"u1"`) || strings.Contains(text, "parent-1") {
			t.Errorf("an event names a person: %s", text)
		}
	}
}

func TestErasedPeople(t *testing.T) {
	t.Parallel()
	s := ready(t)
	s.give("u1", "e1")
	erasure := &pb.RecordErasureRequest{Parent: "controllers/a", SubjectRefs: []string{s.ref("u1"), s.ref("e1")},
		Erasure: "controllers/a/erasures/" + uuid.NewString(), EraseTime: timestamppb.New(noon)}
	for range 2 {
		if _, err := s.Erased.RecordErasure(t.Context(), erasure); err != nil {
			t.Fatal(err)
		}
	}
	s.wantReason(pb.Decision_SUBJECT_ERASED, "e1")
	if d := s.check("learning", "u1"); d.GetReason() != pb.Decision_SUBJECT_ERASED {
		t.Errorf("a public task: %s", d.GetReason())
	}
	s.give("u1")
	s.wantReason(pb.Decision_SUBJECT_ERASED, "u1")
	s.give("u2")
	s.wantReason(pb.Decision_CONSENT_HOLDS, "u2")
	e := s.lastEvent("subject.erased")
	if e.GetController() != "a" || e.GetResource() != erasure.GetErasure() || len(e.GetSubjectRefs()) != 2 {
		t.Errorf("%v", e)
	}
	erasure.Erasure = "controllers/b/erasures/" + uuid.NewString()
	_, err := s.Erased.RecordErasure(t.Context(), erasure)
	refused[any](t, fault.Invalid, "INVALID_ARGUMENT")(nil, err)
}
