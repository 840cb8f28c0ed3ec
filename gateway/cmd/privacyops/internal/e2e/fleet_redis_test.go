package e2e

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	"github.com/privacyops/privacyops/services/participant/sample"
)

const (
	// redisCalls are made while Redis has its faults.
	redisCalls = 2000
	// pauseTime is how long Redis answers nobody, once.
	pauseTime = 10 * time.Second
	// staleness is how long after a withdrawal was acknowledged a check without a token may not know of it.
	staleness = 2 * time.Second
	// withdrawals are made at one replica and looked for at the other.
	withdrawals = 60
)

// TestFleetRedis empties, pauses and kills Redis under load, then withdraws consents at one replica of the consent service and looks
// at the other, which misses every third notice. Each gateway knows one of the two alone.
func TestFleetRedis(t *testing.T) {
	onStackOnly(t)
	r := seeded(t)
	var people []sample.Person
	var proxy *lossy
	f := newFleet(t, func(s *fleetSetting) {
		s.quiet = true
		s.prepare = func(path string) { people = newcomers(t, path, mixedCallers*mixedPeople+withdrawals) }
		s.peers = func(p *process, env map[string]string) {
			if proxy == nil {
				proxy = newLossy(t, p.fleet.redis.Address())
			}
			switch p.service {
			case "gateway":
				env["PRIVACYOPS_CONSENT_ADDRESS"] = p.fleet.replicas["consent"][p.n].listen
			case "consent":
				env["PRIVACYOPS_REDIS"] = strings.Replace(env["PRIVACYOPS_REDIS"], p.fleet.redis.Address(), proxy.address, 1)
			}
		}
	})
	crowded := people[:mixedCallers*mixedPeople]
	load := f.begin(crowded, 20*time.Millisecond, f.client)
	faults := f.redisFaults(r, load)
	load.stop()
	all := load.between(time.Time{}, time.Now())
	t.Logf("%d calls, %v, during %v", len(all), counts(all), faults)
	complain(t, all)
	unproven := 0
	for _, o := range all {
		if o.reason == consentv1.Decision_FRESHNESS_UNPROVABLE.String() {
			unproven++
		}
	}
	if unproven > 0 {
		t.Errorf("%d checks could not be answered although the database was there", unproven)
	}
	load.nothingLost(t, crowded)
	f.withdrawalsAreSeen(r, people[len(crowded):])
	t.Logf("of %d notices %d were dropped; %d round trips of the consent service to Redis", proxy.passed.Load(), proxy.dropped.Load(), proxy.requests.Load())
	if proxy.dropped.Load() == 0 {
		t.Error("no notice was dropped: the replicas do not tell each other of changes through Redis")
	}
}

// redisFaults does to Redis what can happen to it, until enough calls were made, and says what it did.
func (f *fleet) redisFaults(r *rand.Rand, load *mixed) map[string]int {
	f.t.Helper()
	done := map[string]int{}
	for len(load.between(time.Time{}, time.Now())) < redisCalls || done["paused"] == 0 || done["killed"] < 2 {
		time.Sleep(time.Duration(r.IntN(1000)) * time.Millisecond)
		switch what := r.IntN(6); {
		case what == 0 && done["paused"] == 0:
			done["paused"]++
			f.redis.Do(f.t, "CLIENT", "PAUSE", pauseTime.Milliseconds(), "ALL")
			time.Sleep(pauseTime)
		case what == 1:
			done["killed"]++
			f.redis.Kill(f.t)
			time.Sleep(time.Duration(r.IntN(3000)) * time.Millisecond)
			f.redis.Restart(f.t)
		default:
			done["emptied"]++
			f.redis.Do(f.t, "FLUSHALL")
		}
	}
	return done
}

// withdrawalsAreSeen gives and withdraws at the first replica and checks at the second one: with the token of the withdrawal at
// once, without one within the time that is promised.
func (f *fleet) withdrawalsAreSeen(r *rand.Rand, people []sample.Person) {
	f.t.Helper()
	here, there := f.through(0, "platform"), f.through(1, "partner")
	var delays []time.Duration
	for i, p := range people {
		given := &consentv1.Consent{}
		here.post(school+"/consents", &consentv1.GiveConsentRequest{Subject: uniLogin(p), Activity: photos, RequestId: uuid.NewString(),
			GivenBy: &consentv1.GivenBy{Capacity: consentv1.GivenBy_GUARDIAN, Reference: "guardian-17"}, Evidence: "sha256:11aa"}, given)
		decided(f.t, there.check(p, photos, given.GetConsistencyToken()), consentv1.Decision_CONSENT_HOLDS)
		for range 3 { // whatever remembers answers has a chance to
			decided(f.t, there.check(p, photos, ""), consentv1.Decision_CONSENT_HOLDS)
		}
		away := false
		switch r.IntN(6) {
		case 0:
			f.redis.Do(f.t, "FLUSHALL")
		case 1:
			f.redis.Kill(f.t)
			away = true
		}
		withdrawn := &consentv1.Consent{}
		here.post(school+"/consents:withdraw", &consentv1.WithdrawConsentOfRequest{Subject: uniLogin(p), Activity: photos}, withdrawn)
		acknowledged := time.Now()
		if i%2 == 0 {
			decided(f.t, there.check(p, photos, withdrawn.GetConsistencyToken()), consentv1.Decision_CONSENT_WITHDRAWN)
		} else {
			delays = append(delays, there.awaitWithdrawn(p, acknowledged))
		}
		if away {
			f.redis.Restart(f.t)
		}
	}
	slices.Sort(delays)
	f.t.Logf("%d withdrawals were seen at once by their tokens, %d without: after %s (median), %s (longest)", len(people)-len(delays), len(delays),
		delays[len(delays)/2].Round(time.Millisecond), delays[len(delays)-1].Round(time.Millisecond))
}

// awaitWithdrawn checks without a token until the withdrawal is seen. A check that begins after the promised time and does not know
// of it is wrong.
func (c *client) awaitWithdrawn(p sample.Person, acknowledged time.Time) time.Duration {
	c.t.Helper()
	for {
		asked := time.Since(acknowledged)
		d := c.check(p, photos, "")
		if d.GetReason() == consentv1.Decision_CONSENT_WITHDRAWN {
			return asked
		}
		if asked > staleness {
			c.t.Errorf("%s after a withdrawal was acknowledged, the other replica says %s %s", asked.Round(time.Millisecond), d.GetDecision(), d.GetReason())
			return asked
		}
		time.Sleep(20 * time.Millisecond)
	}
}
