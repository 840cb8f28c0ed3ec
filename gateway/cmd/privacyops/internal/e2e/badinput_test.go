package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/privacyops/privacyops/gateway/cmd/privacyops/internal/seed"
	"github.com/privacyops/privacyops/gateway/cmd/privacyops/internal/suite"
	"github.com/privacyops/privacyops/libs/certificate"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
	typev1 "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
	"github.com/privacyops/privacyops/services/participant"
	"github.com/privacyops/privacyops/services/participant/sample"
)

// TestBadInput tells the suite what is wrong, stale, foreign or late. Nothing may happen that should not.
func TestBadInput(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	db := w.platform()
	before := fingerprint(t, db)
	pupil := sample.Pupil()

	decided(t, w.as("partner").check(pupil, "no-such", ""), consentv1.Decision_UNKNOWN_ACTIVITY)
	w.as("platform").refusedMessage(school+"/consents", &consentv1.GiveConsentRequest{Subject: uniLogin(pupil), Activity: "no-such",
		GivenBy: &consentv1.GivenBy{Capacity: consentv1.GivenBy_GUARDIAN}}, http.StatusBadRequest, "UNKNOWN_ACTIVITY")
	for _, path := range []string{"/erasures", "/exports", "/consents", "/legalBasis:check"} {
		message := w.as("platform").refused(http.MethodPost, school+path, `{"subjekt":{"type":"UNILOGIN","value":"x"}}`, http.StatusBadRequest, "INVALID_ARGUMENT")
		if !strings.Contains(message, "subjekt: unknown field (line 1, column ") {
			t.Errorf("%s does not say which field is unknown: %s", path, message)
		}
	}
	unknownPerson(t, w)
	badRosters(t, w)
	badApprovals(t, w)
	if changes := before.Changes(fingerprint(t, db)); len(changes) != 0 {
		t.Errorf("%d rows have changed, although nothing was approved: %v", len(changes), changes)
	}
	tooLate(t, w)
}

// unknownPerson erases somebody whom no system knows: that is verified, certified and in the log.
func unknownPerson(t *testing.T, w *world) {
	t.Helper()
	c, e := w.as("platform"), newErasure()
	c.post(school+"/erasures", &erasurev1.CreateErasureRequest{Subject: &typev1.Subject{Type: typev1.Subject_UNILOGIN, Value: "nobo0000"},
		Ground: erasurev1.Erasure_UNLAWFUL}, e)
	c.awaitErasure(e.GetName(), erasurev1.Erasure_COMPLETED)
	file, err := c.Raw(t.Context(), http.MethodGet, "/v1/"+e.GetName()+"/certificate", "", nil)
	must(t, err)
	report, err := certificate.Verify(file, trust(t, w.CertificateKey, w.LogKey))
	must(t, err)
	if report.Statement.Verdict != certificate.NothingFound {
		t.Errorf("the certificate of an unknown person says %s", report.Statement.Verdict)
	}
	events := w.events(`action = "erasure.complete" AND resource = "`+e.GetName()+`"`, 1)
	if len(events) != 1 || events[0].GetDetail()["verdict"] != string(certificate.NothingFound) {
		t.Errorf("the log says %v", events)
	}
}

// badRosters hands in extracts that must not count as “everybody has left”.
func badRosters(t *testing.T, w *world) {
	t.Helper()
	var whole, tail strings.Builder
	must(t, sample.Roster(&whole, sample.RosterOptions{}))
	platform, r := w.as("platform"), &erasurev1.Roster{}
	importRoster(t, platform, school, whole.String(), r)
	if r.GetState() != erasurev1.Roster_APPLIED || r.GetPresent() != 200 {
		t.Fatalf("the whole extract is %s with %d people", r.GetState(), r.GetPresent())
	}
	must(t, sample.Roster(&tail, sample.RosterOptions{Exported: time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)}))
	text := tail.String()
	person := regexp.MustCompile(`(?s)<s:InstitutionPerson.*</s:InstitutionPerson>`)
	for reason, extract := range map[string]string{
		"TRUNCATED": text[:len(text)*2/3],
		"EMPTY":     person.ReplaceAllString(text, ""),
	} {
		r := &erasurev1.Roster{}
		importRoster(t, platform, school, extract, r)
		if r.GetState() != erasurev1.Roster_HELD || r.GetHeldReason() != reason {
			t.Errorf("a %s extract is %s (%s) with %d who left", reason, r.GetState(), r.GetHeldReason(), r.GetLeft())
		}
	}
	_, err := platform.Raw(t.Context(), http.MethodPost, school+"/rosters:import?format=UNILOGIN_WSIEKSPORT", "application/xml", strings.NewReader("<html/>"))
	if err == nil || !strings.Contains(err.Error(), "400 ROSTER_INVALID") {
		t.Errorf("a page of a portal instead of an extract: %v", err)
	}
	list := &erasurev1.ListErasuresResponse{}
	platform.get(school+"/erasures", list)
	for _, e := range list.GetErasures() {
		if e.GetChannel() == erasurev1.Erasure_ROSTER {
			t.Errorf("a roster that was held has asked for the erasure %s", e.GetName())
		}
	}
}

// badApprovals approves what is not the plan.
func badApprovals(t *testing.T, w *world) {
	t.Helper()
	dpo := w.as("dpo")
	pupil, sibling := dpo.planned(sample.Pupil()), dpo.planned(sample.Sibling())
	dpo.refusedMessage("/v1/"+pupil.GetName()+":approve", &erasurev1.ApproveErasureRequest{PlanHash: sibling.GetPlan().GetPlanHash()},
		http.StatusConflict, "PLAN_HASH_MISMATCH")
	dpo.refusedMessage("/v1/"+pupil.GetName()+":approve", &erasurev1.ApproveErasureRequest{PlanHash: strings.Repeat("0", 64)},
		http.StatusConflict, "PLAN_HASH_MISMATCH")
	dpo.refused(http.MethodPost, "/v1/"+pupil.GetName()+":approve", `{"planHash":"`+strings.ToUpper(pupil.GetPlan().GetPlanHash())+`"}`,
		http.StatusBadRequest, "INVALID_ARGUMENT")
	for _, e := range []*erasurev1.Erasure{pupil, sibling} {
		now := newErasure()
		dpo.get("/v1/"+e.GetName(), now)
		if now.GetState() != erasurev1.Erasure_AWAITING_APPROVAL || len(now.GetApprovals()) != 0 {
			t.Errorf("after refusals the erasure is %s", now.GetState())
		}
	}
	out := newErasure()
	dpo.post("/v1/"+sibling.GetName()+":cancel", &erasurev1.CancelErasureRequest{Reason: "asked by mistake"}, out)
	if out.GetState() != erasurev1.Erasure_CANCELLED {
		t.Errorf("the cancelled erasure is %s", out.GetState())
	}
	dpo.refusedMessage("/v1/"+sibling.GetName()+":approve", &erasurev1.ApproveErasureRequest{PlanHash: sibling.GetPlan().GetPlanHash()},
		http.StatusBadRequest, "NOT_AWAITING_APPROVAL")
}

// tooLate calls an erasure back that has begun.
func tooLate(t *testing.T, w *world) {
	t.Helper()
	dpo := w.as("dpo")
	e := dpo.planned(sample.Pupil()) // the one that was asked for before
	dpo.approve(e)
	dpo.awaitErasure(e.GetName(), erasurev1.Erasure_RUNNING, erasurev1.Erasure_VERIFYING, erasurev1.Erasure_COMPLETED)
	late := &erasurev1.CancelErasureRequest{Reason: "too late"}
	dpo.refusedMessage("/v1/"+e.GetName()+":cancel", late, http.StatusBadRequest, "ALREADY_STARTED")
	dpo.awaitErasure(e.GetName(), erasurev1.Erasure_COMPLETED)
	dpo.refusedMessage("/v1/"+e.GetName()+":cancel", late, http.StatusBadRequest, "ALREADY_STARTED")
}

// TestFourEyes has a controller that asks for two people other than the one who asked.
func TestFourEyes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(s *setting) { s.seed.Approvals = 2 })
	asker, second, third := w.caller("dpo", sample.Controller, "anna"), w.caller("dpo", sample.Controller, "bo"), w.caller("dpo", sample.Controller, "carl")
	e := asker.planned(sample.Pupil())
	approval := &erasurev1.ApproveErasureRequest{PlanHash: e.GetPlan().GetPlanHash()}
	path := "/v1/" + e.GetName() + ":approve"
	asker.refusedMessage(path, approval, http.StatusForbidden, "OWN_REQUEST")
	if half := second.approve(e); half.GetState() != erasurev1.Erasure_AWAITING_APPROVAL || len(half.GetApprovals()) != 1 {
		t.Errorf("after one approval of two the erasure is %s", half.GetState())
	}
	second.refusedMessage(path, approval, http.StatusConflict, "ALREADY_APPROVED")
	asker.refusedMessage(path, approval, http.StatusForbidden, "OWN_REQUEST")
	third.approve(e)
	e = third.awaitErasure(e.GetName(), erasurev1.Erasure_COMPLETED)
	if a := e.GetApprovals(); len(a) != 2 || a[0].GetPerson() == a[1].GetPerson() {
		t.Errorf("the approvals are %v", a)
	}
}

// failing is a participant that answers nothing while it is told to be down.
type failing struct {
	participant.Participant
	down *atomic.Bool
}

func (f failing) failure() error {
	if f.down.Load() {
		return fmt.Errorf("test: the system is switched off: %w", participant.ErrUnavailable)
	}
	return nil
}

func (f failing) Describe(ctx context.Context) (participant.Description, error) {
	if err := f.failure(); err != nil {
		return participant.Description{}, err
	}
	return f.Participant.Describe(ctx)
}

func (f failing) Locate(ctx context.Context, s participant.Subject) (participant.Location, error) {
	if err := f.failure(); err != nil {
		return participant.Location{}, err
	}
	return f.Participant.Locate(ctx, s)
}

func (f failing) Erase(ctx context.Context, r participant.EraseRequest) (participant.EraseResult, error) {
	if err := f.failure(); err != nil {
		return participant.EraseResult{}, err
	}
	return f.Participant.Erase(ctx, r)
}

func (f failing) Verify(ctx context.Context, r participant.VerifyRequest) (participant.VerifyResult, error) {
	if err := f.failure(); err != nil {
		return participant.VerifyResult{}, err
	}
	return f.Participant.Verify(ctx, r)
}

// TestSystemDown switches a system off while an erasure is planned, while it begins, and while it runs.
func TestSystemDown(t *testing.T) {
	t.Parallel()
	down, breakErase := &atomic.Bool{}, &atomic.Bool{}
	w := newWorld(t, func(s *setting) {
		s.suite.Backoff = func(int) time.Duration { return 200 * time.Millisecond }
		s.suite.Wrap = func(_ string, p participant.Participant) participant.Participant {
			return failing{breaking{p, breakErase}, down}
		}
	})
	dpo := w.as("dpo")
	down.Store(true)
	dpo.refusedMessage(school+"/erasures:preview", &erasurev1.PreviewErasureRequest{Subject: uniLogin(sample.Pupil()),
		Ground: erasurev1.Erasure_UNLAWFUL}, http.StatusServiceUnavailable, "PARTICIPANT_UNREACHABLE")
	e := newErasure()
	dpo.post(school+"/erasures", &erasurev1.CreateErasureRequest{Subject: uniLogin(sample.Pupil()), Ground: erasurev1.Erasure_UNLAWFUL}, e)
	watch(dpo, "/v1/"+e.GetName()+":watch", newErasure, func(m *erasurev1.Erasure) bool {
		e = m
		return len(m.GetSystems()) > 0
	})
	if s := e.GetSystems(); e.GetState() != erasurev1.Erasure_PLANNING || s[0].GetSystem() != sample.System ||
		s[0].GetState() != erasurev1.SystemErasure_FAILED || s[0].GetMessage() == "" || e.GetNextAttemptTime() == nil {
		t.Errorf("without its system the erasure is %s, %v", e.GetState(), s)
	}
	down.Store(false)
	e = dpo.awaitErasure(e.GetName(), erasurev1.Erasure_AWAITING_APPROVAL)

	breakErase.Store(true)
	dpo.approve(e)
	e = dpo.awaitErasure(e.GetName(), erasurev1.Erasure_PARTIAL)
	if r := e.GetResiduals(); len(r) != 1 || r[0].GetSystem() != sample.System || r[0].GetReason() == "" {
		t.Errorf("the erasure that could not run is PARTIAL with %v", r)
	}
	dpo.refused(http.MethodGet, "/v1/"+e.GetName()+"/certificate", "", http.StatusBadRequest, "NOT_CERTIFIED")
	decided(t, w.as("partner").check(sample.Pupil(), "teaching", ""), consentv1.Decision_LEGAL_BASIS_HOLDS) // not erased yet
	breakErase.Store(false)
	dpo.awaitErasure(e.GetName(), erasurev1.Erasure_COMPLETED)
	decided(t, w.as("partner").check(sample.Pupil(), "teaching", ""), consentv1.Decision_SUBJECT_ERASED)
}

// breaking is a participant that answers all questions and cannot erase.
type breaking struct {
	participant.Participant
	broken *atomic.Bool
}

func (b breaking) Erase(ctx context.Context, r participant.EraseRequest) (participant.EraseResult, error) {
	if b.broken.Load() {
		return participant.EraseResult{}, fmt.Errorf("test: the disk is full: %w", participant.ErrUnavailable)
	}
	return b.Participant.Erase(ctx, r)
}

// TestBadDataMap starts with a data map that does not fit its database: there is no start, and the place is named.
func TestBadDataMap(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	must(t, os.MkdirAll(dir, 0o700))
	system, _, err := seed.Platform(t.Context(), dir)
	must(t, err)
	text := strings.Replace(string(sample.DataMap), "{column: pupil, to: person}", "{column: pupli, to: person}", 1)
	line := strings.Count(text[:strings.Index(text, "pupli")], "\n") + 1
	must(t, os.WriteFile(system.DataMap, []byte(text), 0o600))
	s, err := suite.Start(t.Context(), suite.Options{DataDir: dir, Systems: []participant.SystemConfig{system}})
	if err == nil {
		t.Fatalf("the suite starts, and stops with: %v", s.Stop())
	}
	place := fmt.Sprintf("%s:%d:", filepath.Base(system.DataMap), line)
	if found := regexp.MustCompile(regexp.QuoteMeta(place)+`\d+: .*pupli`).FindAllString(err.Error(), -1); len(found) != 1 {
		t.Errorf("the error names %d times %s and what is wrong there: %v", len(found), place, err)
	}
}
