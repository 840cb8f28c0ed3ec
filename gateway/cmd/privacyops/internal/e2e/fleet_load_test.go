package e2e

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"

	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
	exportv1 "github.com/privacyops/privacyops/proto/gen/privacyops/export/v1"
	"github.com/privacyops/privacyops/services/participant/sample"
)

// mixed is a load of everything that callers do at once. Each caller has people of its own, so that it knows what the answer to each
// check must be.
type mixed struct {
	ledger
	fleet  *fleet
	pace   time.Duration
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu       sync.Mutex
	wrong    []string // answers that say what is not so
	accepted []string // names of exports and erasures that were accepted
	consents map[string]bool
}

// mixture is how many callers there are, and how many people each of them needs.
const (
	mixedCallers = 12
	mixedPeople  = 100
)

// begin starts the load; people are mixedCallers*mixedPeople. It ends with stop.
func (f *fleet) begin(people []sample.Person, pace time.Duration, of func(role string) *client) *mixed {
	ctx, cancel := context.WithCancel(f.t.Context())
	m := &mixed{fleet: f, pace: pace, cancel: cancel, consents: map[string]bool{}}
	for n := range mixedCallers {
		caller := mixedCaller{mixed: m, people: people[n*mixedPeople : (n+1)*mixedPeople], platform: of("platform"), partner: of("partner"), dpo: of("dpo")}
		m.wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				caller.step(i)
				time.Sleep(m.pace)
			}
		})
	}
	return m
}

// stop ends the load after the calls that run.
func (m *mixed) stop() {
	m.cancel()
	m.wg.Wait()
}

func (m *mixed) lie(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wrong = append(m.wrong, fmt.Sprintf(format, args...))
}

// mixedCaller makes one call after the other.
type mixedCaller struct {
	*mixed
	people                 []sample.Person
	platform, partner, dpo *client
}

// step makes the i-th call. People at even places consent and withdraw; the others are exported and erased, each once.
func (c *mixedCaller) step(i int) {
	p := c.people[i%len(c.people)]
	once := i < len(c.people)
	switch {
	case i%2 == 0:
		c.toggle(p)
	case once && i%4 == 1:
		e := &exportv1.Export{}
		o := c.do(c.dpo, "export", "/exports", &exportv1.CreateExportRequest{Subject: uniLogin(p), Kind: exportv1.Export_ACCESS, Language: "da",
			RequestId: uuid.NewString()}, e)
		c.accept(o, e.GetName())
	case once:
		e := newErasure()
		o := c.do(c.platform, "erasure", "/erasures", &erasurev1.CreateErasureRequest{Subject: uniLogin(p),
			Ground: erasurev1.Erasure_NO_LONGER_NECESSARY, RequestId: uuid.NewString()}, e)
		c.accept(o, e.GetName())
	default:
		d := &consentv1.Decision{}
		if o := c.do(c.partner, "check", "/legalBasis:check", &consentv1.CheckLegalBasisRequest{Subject: uniLogin(p), Activity: "teaching"}, d); o.status == http.StatusOK {
			c.expect(d, consentv1.Decision_LEGAL_BASIS_HOLDS)
		}
	}
}

func (m *mixed) accept(o outcome, name string) {
	if o.status == http.StatusOK {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.accepted = append(m.accepted, name)
	}
}

// expect checks a decision. That freshness cannot be proven is never wrong, only of no use.
func (m *mixed) expect(d *consentv1.Decision, want consentv1.Decision_Reason) {
	if d.GetReason() != want && d.GetReason() != consentv1.Decision_FRESHNESS_UNPROVABLE {
		m.lie("a check says %s %s, want %s", d.GetDecision(), d.GetReason(), want)
	}
}

const photos = "photo-sharing"

// toggle gives or withdraws a consent, and checks that the change is seen: at once with its token.
func (c *mixedCaller) toggle(p sample.Person) {
	given := &consentv1.Consent{}
	o := c.do(c.platform, "give", "/consents", &consentv1.GiveConsentRequest{Subject: uniLogin(p), Activity: photos,
		GivenBy: &consentv1.GivenBy{Capacity: consentv1.GivenBy_GUARDIAN, Reference: "guardian-17"}, Evidence: "sha256:11aa", RequestId: uuid.NewString()}, given)
	if o.status != http.StatusOK {
		c.forget(p)
		return
	}
	c.remember(p, true)
	c.see(p, given.GetConsistencyToken(), consentv1.Decision_CONSENT_HOLDS)
	withdrawn := &consentv1.Consent{}
	o = c.do(c.platform, "withdraw", "/consents:withdraw", &consentv1.WithdrawConsentOfRequest{Subject: uniLogin(p), Activity: photos}, withdrawn)
	if o.status != http.StatusOK {
		c.forget(p)
		return
	}
	c.remember(p, false)
	c.see(p, withdrawn.GetConsistencyToken(), consentv1.Decision_CONSENT_WITHDRAWN)
}

func (c *mixedCaller) see(p sample.Person, token string, want consentv1.Decision_Reason) {
	d := &consentv1.Decision{}
	req := &consentv1.CheckLegalBasisRequest{Subject: uniLogin(p), Activity: photos,
		Consistency: &consentv1.Consistency{Requirement: &consentv1.Consistency_Token{Token: token}}}
	if o := c.do(c.partner, "check", "/legalBasis:check", req, d); o.status == http.StatusOK {
		c.expect(d, want)
	}
}

// remember notes what the last acknowledged write of a person was; forget, that nobody knows.
func (m *mixed) remember(p sample.Person, holds bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.consents[p.UniLogin] = holds
}

func (m *mixed) forget(p sample.Person) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.consents, p.UniLogin)
}

// do makes a call that ends also where the load has been stopped: what it did shall be known.
func (c *mixedCaller) do(by *client, what, path string, req, resp proto.Message) outcome {
	return c.call(context.WithoutCancel(by.t.Context()), by, what, http.MethodPost, school+path, req, resp)
}

// nothingLost checks, when all is well again, that what was acknowledged is there.
func (m *mixed) nothingLost(t *testing.T, people []sample.Person) {
	t.Helper()
	for i, text := range m.wrong {
		if i == 10 {
			break
		}
		t.Error(text)
	}
	dpo, lost := m.fleet.client("dpo"), 0
	for _, name := range m.accepted {
		if err := dpo.Get(t.Context(), "/v1/"+name, nil); err != nil {
			if lost++; lost <= 10 {
				t.Errorf("%s was accepted and is not there: %v", name, err)
			}
		}
	}
	partner := m.fleet.client("partner")
	for _, p := range people {
		holds, known := m.consents[p.UniLogin]
		if !known {
			continue
		}
		req := &consentv1.CheckLegalBasisRequest{Subject: uniLogin(p), Activity: photos, Consistency: &consentv1.Consistency{Requirement: &consentv1.Consistency_Full{Full: true}}}
		d := &consentv1.Decision{}
		partner.post(school+"/legalBasis:check", req, d)
		if got := d.GetReason() == consentv1.Decision_CONSENT_HOLDS; got != holds {
			t.Errorf("the last acknowledged write says that consent holds: %v, the check says %s", holds, d.GetReason())
		}
	}
	t.Logf("%d accepted exports and erasures and %d people's consents are as they were acknowledged; %d wrong answers", len(m.accepted)-lost, len(m.consents), len(m.wrong))
}
