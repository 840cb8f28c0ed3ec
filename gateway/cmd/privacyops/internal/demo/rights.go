package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
	typev1 "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"

	"github.com/privacyops/privacyops/gateway/cmd/privacyops/internal/seed"
	"github.com/privacyops/privacyops/services/participant/sample"
)

// register enters two schools, their platform and three activities.
func (s *story) register(ctx context.Context) error {
	s.chapter("The controller says what is processed, and why")
	if err := seed.Register(ctx, s.suite.URL, s.suite.Issuer, seed.Options{Approvals: 1, Grace: grace}); err != nil {
		return err
	}
	var list consentv1.ListActivitiesResponse
	if err := s.dpo.Get(ctx, path("activities"), &list); err != nil {
		return err
	}
	for _, a := range list.GetActivities() {
		protected := ""
		if a.GetRetention().GetProtected() {
			protected = ", kept by law even when erasure is asked for"
		}
		s.say("activity %s: %s%s", last(a.GetName()), a.GetLegalBasis(), protected)
	}
	if len(list.GetActivities()) != len(sample.Activities()) {
		return fmt.Errorf("the register has %d activities, expected %d", len(list.GetActivities()), len(sample.Activities()))
	}
	return nil
}

// roster takes in the national roster's extract.
func (s *story) roster(ctx context.Context) error {
	var extract bytes.Buffer
	if err := sample.Roster(&extract, sample.RosterOptions{Envelope: true}); err != nil {
		return err
	}
	text, err := s.platform.Raw(ctx, http.MethodPost, path("rosters:import?format=UNILOGIN_WSIEKSPORT"), "application/xml", &extract)
	if err != nil {
		return err
	}
	var r erasurev1.Roster
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(text, &r); err != nil {
		return err
	}
	if r.GetState() != erasurev1.Roster_APPLIED || r.GetPresent() == 0 {
		return fmt.Errorf("the roster was %s (%s) with %d people", r.GetState(), r.GetHeldReason(), r.GetPresent())
	}
	s.say("roster of institution %s: %d people present, %d arrived, %d left", r.GetInstitution(), r.GetPresent(), r.GetArrived(), r.GetLeft())
	return nil
}

func (s *story) subject() *typev1.Subject {
	return &typev1.Subject{Type: typev1.Subject_UNILOGIN, Value: s.pupil.UniLogin}
}

// consent is given, used, and withdrawn; the partner that asks is told at once.
func (s *story) consent(ctx context.Context) error {
	s.chapter("Consent, and a partner that asks before it processes")
	activity := consentActivity()
	if err := s.expect(ctx, activity, "", consentv1.Decision_DENY, consentv1.Decision_NO_CONSENT); err != nil {
		return err
	}
	var given consentv1.Consent
	err := s.platform.Post(ctx, path("consents"), &consentv1.GiveConsentRequest{Subject: s.subject(), Activity: activity,
		GivenBy: &consentv1.GivenBy{Capacity: consentv1.GivenBy_GUARDIAN, Reference: "guardian-1"}}, &given)
	if err != nil {
		return err
	}
	s.say("a parent consents to %q", activity)
	if err := s.expect(ctx, activity, given.GetConsistencyToken(), consentv1.Decision_ALLOW, consentv1.Decision_CONSENT_HOLDS); err != nil {
		return err
	}
	begin := time.Now()
	var withdrawn consentv1.Consent
	if err := s.platform.Post(ctx, "/v1/"+given.GetName()+":withdraw", &consentv1.WithdrawConsentRequest{}, &withdrawn); err != nil {
		return err
	}
	s.say("the parent withdraws it")
	err = s.expect(ctx, activity, withdrawn.GetConsistencyToken(), consentv1.Decision_DENY, consentv1.Decision_CONSENT_WITHDRAWN)
	s.withdrawn = time.Since(begin)
	return err
}

// expect asks as the partner, and compares the answer.
func (s *story) expect(ctx context.Context, activity, token string, outcome consentv1.Decision_Outcome, reason consentv1.Decision_Reason) error {
	req := &consentv1.CheckLegalBasisRequest{Subject: s.subject(), Activity: activity}
	if token != "" {
		req.Consistency = &consentv1.Consistency{Requirement: &consentv1.Consistency_Token{Token: token}}
	}
	var d consentv1.Decision
	begin := time.Now()
	if err := s.partner.Post(ctx, path("legalBasis:check"), req, &d); err != nil {
		return err
	}
	s.say("the partner asks about %q: %s, %s (%.1f ms)", activity, d.GetDecision(), d.GetReason(), float64(time.Since(begin).Microseconds())/1000)
	if d.GetDecision() != outcome || d.GetReason() != reason {
		return fmt.Errorf("the partner was told %s, %s; right would have been %s, %s", d.GetDecision(), d.GetReason(), outcome, reason)
	}
	return nil
}

// consentActivity is the sample's activity that rests on consent.
func consentActivity() string {
	for _, a := range sample.Activities() {
		if a.LegalBasis == "CONSENT" {
			return a.ID
		}
	}
	return ""
}

// afterwards asks once more about the person who is gone.
func (s *story) afterwards(ctx context.Context) error {
	s.chapter("Afterwards")
	if err := s.expect(ctx, "teaching", "", consentv1.Decision_DENY, consentv1.Decision_SUBJECT_ERASED); err != nil {
		return err
	}
	var plan erasurev1.Plan
	err := s.dpo.Post(ctx, path("erasures:preview"), &erasurev1.PreviewErasureRequest{Subject: s.subject(), Ground: erasurev1.Erasure_NO_LONGER_NECESSARY}, &plan)
	if err != nil {
		return err
	}
	for _, item := range plan.GetItems() {
		if item.GetCount() > 0 && item.GetAction() != keep {
			return errors.New("a new preview still finds " + item.GetDataset())
		}
	}
	s.say("a new preview finds nothing more to erase")
	return nil
}

func last(name string) string {
	for i := len(name) - 1; i >= 0; i-- {
		if name[i] == '/' {
			return name[i+1:]
		}
	}
	return name
}
