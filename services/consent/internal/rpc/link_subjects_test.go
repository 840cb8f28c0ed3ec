package rpc_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/privacyops/privacyops/libs/fault"
	pb "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	typepb "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// address is an identifier that is not the controller's primary one.
func address(value string) *typepb.Subject {
	return &typepb.Subject{Type: typepb.Subject_EMAIL, Value: value}
}

func (s *suite) linking(subjects ...*typepb.Subject) *pb.LinkSubjectsRequest {
	return &pb.LinkSubjectsRequest{Parent: "controllers/a", Subjects: subjects}
}

func (s *suite) link(subjects ...*typepb.Subject) *pb.LinkSubjectsResponse {
	s.t.Helper()
	return must[*pb.LinkSubjectsResponse](s.t)(s.Consents.LinkSubjects(s.t.Context(), s.linking(subjects...)))
}

func (s *suite) addressRef(value string) string { return s.keyring.Subject("a", "EMAIL", value) }

// wantAbout checks a decision about any identifier.
func (s *suite) wantAbout(want pb.Decision_Reason, activity string, subjects ...*typepb.Subject) {
	s.t.Helper()
	d := must[*pb.Decision](s.t)(s.Basis.CheckLegalBasis(s.t.Context(), &pb.CheckLegalBasisRequest{Parent: "controllers/a", Subjects: subjects, Activity: activity}))
	if d.GetReason() != want {
		s.t.Errorf("%s of %v: %s, want %s", activity, subjects, d.GetReason(), want)
	}
}

// What is known under one identifier of a person counts under all, as soon as they are linked, and not before.
func TestLinkedIdentifiersAreOnePerson(t *testing.T) {
	t.Parallel()
	s := ready(t)
	u1, mail := pupil("u1")[0], address("anna@example.org")
	s.give("u1")
	s.wantAbout(pb.Decision_NO_CONSENT, "photos", mail)
	answer := s.link(mail, u1)
	want := &pb.LinkSubjectsResponse{SubjectRefs: []string{s.addressRef("anna@example.org"), s.ref("u1")}, ConsistencyToken: answer.GetConsistencyToken()}
	if d := cmp.Diff(want, answer, protocmp.Transform()); d != "" || answer.GetConsistencyToken() == "" {
		t.Error(d)
	}
	s.wantAbout(pb.Decision_CONSENT_HOLDS, "photos", mail)
	r := must[*pb.Restriction](t)(s.Rights.CreateRestriction(t.Context(), &pb.CreateRestrictionRequest{Parent: "controllers/a", Subject: mail, Ground: pb.Restriction_LEGAL_CLAIMS}))
	s.wantAnswer(pb.Decision_RESTRICTED, "photos", "u1")
	s.lift(r.GetName())
	o := must[*pb.Objection](t)(s.Rights.CreateObjection(t.Context(), &pb.CreateObjectionRequest{Parent: "controllers/a", Subject: mail, Activity: "learning"}))
	s.wantAnswer(pb.Decision_OBJECTED, "learning", "u1")
	s.resolve(o.GetName(), pb.ResolveObjectionRequest_REJECTED)
	found := must[*pb.SearchConsentsResponse](t)(s.Consents.SearchConsents(t.Context(), &pb.SearchConsentsRequest{Parent: "controllers/a", Subject: mail}))
	if len(found.GetConsents()) != 1 {
		t.Errorf("%v", found)
	}
	must[*pb.Consent](t)(s.Consents.WithdrawConsentOf(t.Context(), &pb.WithdrawConsentOfRequest{Parent: "controllers/a", Subject: mail, Activity: "photos"}))
	s.wantAnswer(pb.Decision_CONSENT_WITHDRAWN, "photos", "u1")
	if refs := s.announced[len(s.announced)-1].Subjects; !slices.Contains(refs, consent.SubjectRef(s.addressRef("anna@example.org"))) || len(refs) != 2 {
		t.Errorf("told %v; everybody's answers are others now", refs)
	}
	s.erase(s.addressRef("anna@example.org"))
	s.wantAnswer(pb.Decision_SUBJECT_ERASED, "learning", "u1")
}

// A withdrawal by name ends what the person has consented to under their other identifiers as well.
func TestWithdrawalByNameAcrossLinks(t *testing.T) {
	t.Parallel()
	s := ready(t)
	mail := address("anna@example.org")
	s.give("u1")
	giving := s.giving()
	giving.Subject = mail
	given := must[*pb.Consent](t)(s.Consents.GiveConsent(t.Context(), giving))
	s.link(pupil("u1")[0], mail)
	must[*pb.Consent](t)(s.Consents.WithdrawConsent(t.Context(), &pb.WithdrawConsentRequest{Name: given.GetName()}))
	s.link(pupil("u2")[0], mail) // the address turns out to be the family's
	s.wantAnswer(pb.Decision_CONSENT_WITHDRAWN, "photos", "u1")
}

// A family's address links nobody, and what was demanded by it stays with whom it was linked to.
func TestASharedIdentifierLinksNobody(t *testing.T) {
	t.Parallel()
	s := ready(t)
	family := address("familien@example.org")
	s.link(pupil("u1")[0], family)
	s.give("u1")
	must[*pb.Restriction](t)(s.Rights.CreateRestriction(t.Context(), &pb.CreateRestrictionRequest{Parent: "controllers/a", Subject: family, Activity: "learning", Ground: pb.Restriction_LEGAL_CLAIMS}))
	answer := s.link(pupil("u2")[0], family, address("bo@example.org"))
	want := &pb.LinkSubjectsResponse{SubjectRefs: []string{s.ref("u2"), s.addressRef("bo@example.org")}, SharedRefs: []string{s.addressRef("familien@example.org")},
		ConsistencyToken: answer.GetConsistencyToken()}
	if d := cmp.Diff(want, answer, protocmp.Transform()); d != "" {
		t.Error(d)
	}
	s.wantAbout(pb.Decision_NO_CONSENT, "photos", family)
	s.wantAnswer(pb.Decision_CONSENT_HOLDS, "photos", "u1")
	s.wantAnswer(pb.Decision_NO_CONSENT, "photos", "u2")
	s.wantAnswer(pb.Decision_RESTRICTED, "learning", "u1")
	s.wantAbout(pb.Decision_RESTRICTED, "learning", family)
	s.wantAnswer(pb.Decision_LEGAL_BASIS_HOLDS, "learning", "u2")
	if again := s.link(pupil("u1")[0], family); len(again.GetSharedRefs()) != 1 || len(again.GetSubjectRefs()) != 1 {
		t.Errorf("shared for good: %v", again)
	}
	s.wantAbout(pb.Decision_NO_CONSENT, "photos", family)
}

// An erasure that was asked for by a family's address stays with the person it was linked to.
func TestAnErasureStaysWhenAnAddressIsShared(t *testing.T) {
	t.Parallel()
	s := ready(t)
	family := address("familien@example.org")
	s.link(pupil("u1")[0], family)
	s.erase(s.addressRef("familien@example.org"))
	s.link(pupil("u2")[0], family)
	s.wantAnswer(pb.Decision_SUBJECT_ERASED, "learning", "u1")
	s.wantAnswer(pb.Decision_LEGAL_BASIS_HOLDS, "learning", "u2")
}

// Naming identifiers in one consent does not link them.
func TestGivingConsentLinksNothing(t *testing.T) {
	t.Parallel()
	s := ready(t)
	giving, mail := s.giving("u1"), address("familien@example.org")
	giving.Subjects = append(giving.Subjects, mail)
	must[*pb.Consent](t)(s.Consents.GiveConsent(t.Context(), giving))
	s.restrict("", "u1")
	s.wantAbout(pb.Decision_CONSENT_HOLDS, "photos", mail)
	s.wantAnswer(pb.Decision_RESTRICTED, "photos", "u1")
}

func TestLinkRefusals(t *testing.T) {
	t.Parallel()
	s := ready(t)
	refused[*pb.LinkSubjectsResponse](t, fault.Invalid, "TWO_PERSONS")(s.Consents.LinkSubjects(t.Context(), s.linking(append(pupil("u1", "u2"), address("x@example.org"))...)))
	refused[*pb.LinkSubjectsResponse](t, fault.Invalid, "INVALID_ARGUMENT")(s.Consents.LinkSubjects(t.Context(), s.linking(pupil("u1")...)))
	elsewhere := s.linking(pupil("u1")[0], address("x@example.org"))
	elsewhere.Parent = "controllers/b"
	refused[*pb.LinkSubjectsResponse](t, fault.NotFound, "NOT_FOUND")(s.Consents.LinkSubjects(t.Context(), elsewhere))
}

// The same call again, under a key or without, links nothing anew and says the same.
func TestLinkedOnce(t *testing.T) {
	t.Parallel()
	s := ready(t)
	req := s.linking(pupil("u1")[0], address("x@example.org"))
	req.RequestId = uuid.NewString()
	first := must[*pb.LinkSubjectsResponse](t)(s.Consents.LinkSubjects(t.Context(), req))
	from := len(s.announced)
	if d := cmp.Diff(first, must[*pb.LinkSubjectsResponse](t)(s.Consents.LinkSubjects(t.Context(), req)), protocmp.Transform()); d != "" {
		t.Error(d)
	}
	again := s.link(req.GetSubjects()...)
	if d := cmp.Diff(first, again, protocmp.Transform(), protocmp.IgnoreFields(first, "consistency_token")); d != "" || len(s.announced) != from {
		t.Errorf("%d announced: %s", len(s.announced)-from, d)
	}
	if e := s.lastEvent("subject.link"); e.GetResource() != "controllers/a/subjects" || e.GetBeforeDigest()+e.GetAfterDigest() != "" {
		t.Errorf("nothing was changed: %v", e)
	}
}

// The event of a link tells by digests that the links of these identifiers are others now.
func TestLinksHaveDigests(t *testing.T) {
	t.Parallel()
	s := ready(t)
	mail, family := address("x@example.org"), address("familien@example.org")
	s.link(pupil("u1")[0], mail)
	first := s.lastEvent("subject.link")
	if first.GetResource() != "controllers/a/subjects" || len(first.GetBeforeDigest()) != 64 || len(first.GetAfterDigest()) != 64 || first.GetBeforeDigest() == first.GetAfterDigest() {
		t.Errorf("%v", first)
	}
	s.link(pupil("u2")[0], mail) // now it is shared
	if second := s.lastEvent("subject.link"); len(second.GetAfterDigest()) != 64 || second.GetAfterDigest() == first.GetAfterDigest() || second.GetBeforeDigest() == second.GetAfterDigest() {
		t.Errorf("%v", second)
	}
	s.link(pupil("u3")[0], family)
	if other := s.lastEvent("subject.link"); other.GetBeforeDigest() == first.GetBeforeDigest() || other.GetAfterDigest() == first.GetAfterDigest() {
		t.Errorf("other people's links have the same digests: %v", other)
	}
}
