package e2e

import (
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	"github.com/privacyops/privacyops/libs/access"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
	exportv1 "github.com/privacyops/privacyops/proto/gen/privacyops/export/v1"
	"github.com/privacyops/privacyops/services/participant/sample"
)

const (
	// outageTime is how long PostgreSQL is away.
	outageTime = 30 * time.Second
	// answerTime is how long a call may take at most: the deadline of the services, and the way.
	answerTime = 16 * time.Second
	// recovery is how long after the database's return everything must work again.
	recovery = 10 * time.Second
)

// TestFleetOutage takes PostgreSQL away under load. Writes are refused and say when to come back, no check says yes, and everything
// works again without anybody's help.
func TestFleetOutage(t *testing.T) {
	onStackOnly(t)
	var people []sample.Person
	f := newFleet(t, func(s *fleetSetting) {
		s.quiet = true
		s.prepare = func(path string) { people = newcomers(t, path, (mixedCallers+1)*mixedPeople) }
	})
	fresh := people[mixedCallers*mixedPeople:]
	people = people[:mixedCallers*mixedPeople]
	load := f.begin(people, 100*time.Millisecond, f.client)
	time.Sleep(2 * time.Second)
	began := time.Now()
	f.postgres.Stop(t)
	away := time.Now()
	time.Sleep(outageTime)
	until := time.Now()
	f.postgres.Restart(t)
	back := time.Now()
	took := f.works(fresh)
	t.Logf("everything worked %s after PostgreSQL was back", took.Round(10*time.Millisecond))
	if took > recovery {
		t.Errorf("everything worked only after %s", took)
	}
	time.Sleep(max(0, recovery-time.Since(back)))
	recovered := time.Now()
	time.Sleep(3 * time.Second)
	load.stop()

	t.Logf("before: %v", counts(load.before(began)))
	t.Logf("while it stops: %v", counts(load.between(began, away)))
	t.Logf("away: %v", counts(load.between(away, until)))
	t.Logf("comes back: %v", counts(load.between(until, recovered)))
	t.Logf("after: %v", counts(load.between(recovered, time.Now())))
	complain(t, load.before(began))
	complain(t, load.between(recovered, time.Now()))
	during := load.between(began, recovered)
	if len(load.between(away, until)) < 100 {
		t.Errorf("there were %d calls only while it was away", len(during))
	}
	refusedWell(t, during)
	refusedAll(t, load.between(away, until.Add(-answerTime)))
	load.nothingLost(t, people)
	for _, all := range f.replicas {
		for _, p := range all {
			if !p.lives() {
				t.Errorf("%v has ended:\n%s", p, p.lastWords())
			}
		}
	}
}

// refusedWell checks that calls were answered, or refused in time and with a time to come back.
func refusedWell(t *testing.T, all []outcome) {
	t.Helper()
	var longest time.Duration
	bad := 0
	for _, o := range all {
		longest = max(longest, o.took)
		seconds, err := strconv.Atoi(o.header.Get("Retry-After"))
		well := o.status == http.StatusOK || (o.status == http.StatusServiceUnavailable && err == nil && seconds > 0 && seconds <= 60)
		if !well || o.took > answerTime {
			if bad++; bad <= 10 {
				t.Errorf("%v, Retry-After %q", o, o.header.Get("Retry-After"))
			}
		}
	}
	t.Logf("of %d calls %d were not refused as they should be; the longest took %s", len(all), bad, longest.Round(time.Millisecond))
}

// refusedAll checks that nothing was written where nothing could be, and that no check said yes where nobody could know.
func refusedAll(t *testing.T, all []outcome) {
	t.Helper()
	for _, o := range all {
		ok := o.status == http.StatusServiceUnavailable
		if o.what == "check" {
			ok = o.status == http.StatusOK && o.reason == consentv1.Decision_FRESHNESS_UNPROVABLE.String()
		}
		if !ok {
			t.Errorf("%v, and there was no database", o)
			return
		}
	}
}

// works tells after how long each kind of work gets done.
func (f *fleet) works(people []sample.Person) time.Duration {
	f.t.Helper()
	began := time.Now()
	p := people[0]
	f.insist("a consent", &consentv1.GiveConsentRequest{Subject: uniLogin(p), Activity: photos, RequestId: uuid.NewString(),
		GivenBy: &consentv1.GivenBy{Capacity: consentv1.GivenBy_GUARDIAN, Reference: "guardian-17"}, Evidence: "sha256:11aa"}, "/consents", &consentv1.Consent{})
	f.until("a check", func(c *client) bool {
		d := &consentv1.Decision{}
		err := c.Post(f.t.Context(), school+"/legalBasis:check", &consentv1.CheckLegalBasisRequest{Subject: uniLogin(p), Activity: photos}, d)
		return err == nil && d.GetReason() == consentv1.Decision_CONSENT_HOLDS
	})
	x := &exportv1.Export{}
	f.insist("an export", &exportv1.CreateExportRequest{Subject: uniLogin(people[1]), Kind: exportv1.Export_ACCESS, Language: "da", RequestId: uuid.NewString()}, "/exports", x)
	e := newErasure()
	f.insist("an erasure", &erasurev1.CreateErasureRequest{Subject: uniLogin(people[2]), Ground: erasurev1.Erasure_NO_LONGER_NECESSARY, RequestId: uuid.NewString()}, "/erasures", e)
	f.until("a plan", func(c *client) bool {
		return c.Get(f.t.Context(), "/v1/"+e.GetName(), e) == nil && e.GetState() == erasurev1.Erasure_AWAITING_APPROVAL
	})
	f.until("a package", func(c *client) bool {
		return c.Get(f.t.Context(), "/v1/"+x.GetName(), x) == nil && x.GetState() == exportv1.Export_READY
	})
	took := time.Since(began)
	f.until("the log", func(*client) bool {
		return slices.ContainsFunc(f.events(`resource = "`+x.GetName()+`"`, 2), isComplete)
	})
	f.t.Logf("the log has it after %s", time.Since(began).Round(10*time.Millisecond))
	return took
}

func isComplete(e *auditv1.AuditEvent) bool { return e.GetAction() == "export.complete" }

// insist makes a call until it succeeds.
func (f *fleet) insist(what string, req proto.Message, path string, resp proto.Message) {
	f.t.Helper()
	f.until(what, func(c *client) bool { return c.Post(f.t.Context(), school+path, req, resp) == nil })
}

// until asks again until the answer is yes, and says how long that took.
func (f *fleet) until(what string, yes func(c *client) bool) {
	f.t.Helper()
	began := time.Now()
	c := f.client("dpo")
	now := time.Now()
	token, err := f.Issuer.Token(access.Claims{Subject: "everybody", Roles: []string{"dpo", "platform", "partner", "auditor"},
		Controllers: []string{sample.Controller}, Issued: now, Expires: now.Add(time.Hour)})
	must(f.t, err)
	c.Token = token
	for !yes(c) {
		if time.Since(began) > 2*patience {
			f.t.Fatalf("%s did not come within %s", what, 2*patience)
		}
		time.Sleep(50 * time.Millisecond)
	}
	f.t.Logf("%s after %s", what, time.Since(began).Round(10*time.Millisecond))
}
