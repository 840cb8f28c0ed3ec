package e2e

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
	"github.com/privacyops/privacyops/services/participant/sample"
)

// spells are how many parts a normal run has; in each of them somebody's export and somebody's erasure are asked for. All exports of
// a run are fewer than the 25 a day that are ordinary at any school.
const spells = 5

// TestNormalRunRaisesNothing plays a school's day, for as long as PRIVACYOPS_TEST_NORMAL_MINUTES says.
func TestNormalRunRaisesNothing(t *testing.T) {
	t.Parallel()
	h := newHook(t)
	w := alerting(t, h)
	minutes, _ := strconv.Atoi(os.Getenv("PRIVACYOPS_TEST_NORMAL_MINUTES"))
	d := normalDay{t: t, w: w, people: manyPupils(t, w.platform(), spells)}
	d.play(max(3*time.Second, time.Duration(minutes)*time.Minute))
	d.was()
	if raised := d.raised(h); len(raised) != 0 {
		t.Errorf("a normal run raised %v", raised)
	}
}

// TestNormalRunNotices: each rule that is provoked in the course of a normal run is noticed in its end, so that a run which raises
// nothing has none to hide.
func TestNormalRunNotices(t *testing.T) {
	t.Parallel()
	h := newHook(t)
	w := alerting(t, h)
	d := normalDay{t: t, w: w, people: manyPupils(t, w.platform(), spells)}
	d.play(time.Second)
	provocations(t, w)["clock-skew"]()
	for end := time.Now().Add(within); !h.has("clock-skew"); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("what was provoked was not delivered")
		}
	}
	if raised := d.raised(h); len(raised) != 2 {
		t.Errorf("an alert and its delivery are noticed as %v", raised)
	}
}

// normalDay is what people and machines do at a school when nothing is wrong: they log in, mistype now and then, ask, decide, give
// and withdraw consents, hand in the roster, fetch exports, erase, and read the log.
type normalDay struct {
	t      *testing.T
	w      *world
	people []sample.Person // one for each spell
	rounds int
}

// play goes on for a time. The people that are erased were in the roster that came in before.
func (d *normalDay) play(duration time.Duration) {
	d.t.Helper()
	began := time.Now()
	var roster bytes.Buffer
	must(d.t, sample.Roster(&roster, sample.RosterOptions{}))
	importRoster(d.t, d.w.as("platform"), school, roster.String(), &erasurev1.Roster{})
	for spell, p := range d.people {
		consentIsGivenAndWithdrawn(d.t, d.w, p)
		exportIsCollected(d.t, d.w, p)
		erasurePasses(d.t, d.w, p)
		if spell == 1 {
			d.evidenceIsFetched(began)
		}
		for end := began.Add(duration * time.Duration(spell+1) / spells); ; {
			d.round()
			if !time.Now().Before(end) {
				break
			}
			time.Sleep(250 * time.Millisecond)
		}
	}
}

// round is what happens all the time.
func (d *normalDay) round() {
	w, pupil := d.w, sample.Pupil()
	for range 5 {
		decided(d.t, w.as("partner").check(pupil, "teaching", ""), consentv1.Decision_LEGAL_BASIS_HOLDS)
	}
	w.as("auditor").get(school+"/logReport", &auditv1.LogReport{})
	w.operations().get("/v1/alerts", &auditv1.ListAlertsResponse{})
	w.as("auditor").post(school+"/auditEvents:search", &auditv1.SearchAuditEventsRequest{Filter: `kind = "LOGIN"`, PageSize: 5},
		&auditv1.SearchAuditEventsResponse{})
	if d.rounds%20 == 0 { // somebody comes, looks, and goes too far once
		newcomer := w.caller("dpo", sample.Controller, "newcomer-"+strconv.Itoa(d.rounds))
		newcomer.get(school+"/activities/photo-sharing", &consentv1.Activity{})
		newcomer.refused(http.MethodGet, "/v1/controllers/"+sample.OtherController+"/erasures", "", http.StatusNotFound, "NOT_FOUND")
		w.as("platform").refused(http.MethodPatch, school+"/activities/photo-sharing", `{"purpose":"x"}`, http.StatusForbidden, "ROLE_REQUIRED")
		w.as("dpo").post(school+"/consents:search", &consentv1.SearchConsentsRequest{Subject: uniLogin(pupil)}, &consentv1.SearchConsentsResponse{})
	}
	d.rounds++
}

// evidenceIsFetched: an inspection takes the evidence of the day along.
func (d *normalDay) evidenceIsFetched(began time.Time) {
	d.t.Helper()
	e := d.w.evidence(began)
	_, err := d.w.as("auditor").Raw(d.t.Context(), http.MethodGet, "/v1/"+e.GetName()+"/package", "", nil)
	must(d.t, err)
}

// was checks that the run was one of work: that the log tells of every kind of it.
func (d *normalDay) was() {
	d.t.Helper()
	counts := map[string]int{}
	for _, action := range []string{"access.login", "roster.import", "consent.give", "consent.withdraw", "export.create", "export.download",
		"erasure.approve", "erasure.complete", "evidence.create", "evidence.download", "audit.search", "legal_basis.check"} {
		counts[action] = len(d.w.events(fmt.Sprintf("action = %q", action), 1))
	}
	for action, n := range counts {
		if n == 0 {
			d.t.Errorf("nobody has done any %s", action)
		}
	}
	words := make([]string, 0, len(counts))
	for _, action := range slices.Sorted(maps.Keys(counts)) {
		words = append(words, fmt.Sprintf("%s %d", action, counts[action]))
	}
	d.t.Logf("%d rounds; in the log: %s", d.rounds, strings.Join(words, ", "))
}

// raised are the alerts of the day, as anybody is told of them: asking, or by webhook.
func (d *normalDay) raised(h *hook) (out []string) {
	d.t.Helper()
	for _, a := range d.w.alerts() {
		out = append(out, fmt.Sprintf("%s: %s, events %v", a.GetRule(), a.GetSummary(), a.GetEvents()))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for name := range h.attempts {
		out = append(out, "webhook about "+name)
	}
	return out
}
