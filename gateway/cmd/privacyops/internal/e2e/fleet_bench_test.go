package e2e

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	"github.com/privacyops/privacyops/services/participant/sample"
)

const (
	benchCallers = 32
	benchRounds  = 21
	benchRound   = 1500 * time.Millisecond
	// benchWrites is how many of so many calls are writes: one.
	benchWrites = 10
)

// TestBenchReplicas compares one replica with two on the same machine, PostgreSQL and Redis beside them: the same load in rounds that
// take turns. It judges nothing: `make bench-replicas` prints what it measured.
func TestBenchReplicas(t *testing.T) {
	if os.Getenv("PRIVACYOPS_BENCH") == "" {
		t.Skip("it measures and proves nothing; `make bench-replicas` runs it")
	}
	onStackOnly(t)
	var people []sample.Person
	f := newFleet(t, func(s *fleetSetting) {
		s.quiet, s.gateways = true, 3
		s.prepare = func(path string) { people = newcomers(t, path, benchCallers*benchWrites) }
		s.peers = func(p *process, env map[string]string) {
			if p.service == "gateway" && p.n == 0 {
				env["PRIVACYOPS_CONSENT_ADDRESS"] = p.fleet.replicas["consent"][0].listen
			}
		}
	})
	modes := []*benchMode{{name: "1 gateway, 1 consent", gateways: []int{0}}, {name: "1 gateway, 2 consent", gateways: []int{1}},
		{name: "2 gateways, 2 consent", gateways: []int{1, 2}}}
	for round := range benchRounds {
		for i := range modes { // no mode always comes first
			modes[(round+i)%len(modes)].run(f, people, round == 0)
		}
	}
	fmt.Printf("\n%d callers, 1 write in %d calls, %d rounds of %s each that take turns; median (lowest, highest):\n", benchCallers, benchWrites, benchRounds-1, benchRound)
	for _, m := range modes {
		ratios := make([]float64, 0, len(m.rates))
		for i, rate := range m.rates {
			ratios = append(ratios, 100*rate/modes[0].rates[i])
		}
		fmt.Printf("  %-22s %5.0f calls/s (%.0f, %.0f), %3.0f %% of one in the same round (%.0f, %.0f), %.2f round trips to Redis a call\n", m.name,
			median(m.rates), slices.Min(m.rates), slices.Max(m.rates), median(ratios), slices.Min(ratios), slices.Max(ratios), float64(m.trips)/float64(m.calls))
		if m.failed.Load() > 0 {
			t.Errorf("%s: %d calls failed", m.name, m.failed.Load())
		}
	}
	fmt.Println()
}

var benchClient = &http.Client{Timeout: patience, Transport: &http.Transport{MaxIdleConnsPerHost: benchCallers}}

// benchMode is one way to serve the load.
type benchMode struct {
	name         string
	gateways     []int
	rates        []float64
	calls, trips int64
	failed       atomic.Int64
}

func median(of []float64) float64 {
	of = slices.Sorted(slices.Values(of))
	return of[len(of)/2]
}

// run is one round. The first one warms up and does not count.
func (m *benchMode) run(f *fleet, people []sample.Person, warm bool) {
	ctx, cancel := context.WithTimeout(f.t.Context(), benchRound)
	defer cancel()
	before, began := f.redisTrips(), time.Now()
	var calls atomic.Int64
	var wg sync.WaitGroup
	for n := range benchCallers {
		gateway := m.gateways[n%len(m.gateways)]
		platform, partner := f.through(gateway, "platform"), f.through(gateway, "partner")
		platform.HTTP, partner.HTTP = benchClient, benchClient
		own := people[n*benchWrites : (n+1)*benchWrites]
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				if benchCall(platform, partner, own, i) != nil {
					m.failed.Add(1)
				}
				calls.Add(1)
			}
		})
	}
	wg.Wait()
	took := time.Since(began)
	if warm {
		return
	}
	m.rates = append(m.rates, float64(calls.Load())/took.Seconds())
	m.calls += calls.Load()
	m.trips += f.redisTrips() - before
}

// benchCall is the i-th call of a caller: a write, then checks of the people it wrote about.
func benchCall(platform, partner *client, people []sample.Person, i int) error {
	p, ctx := people[i%len(people)], context.Background()
	switch i % (2 * benchWrites) {
	case 0:
		return platform.Post(ctx, school+"/consents", &consentv1.GiveConsentRequest{Subject: uniLogin(p), Activity: photos, RequestId: uuid.NewString(),
			GivenBy: &consentv1.GivenBy{Capacity: consentv1.GivenBy_GUARDIAN, Reference: "guardian-17"}, Evidence: "sha256:11aa"}, nil)
	case benchWrites:
		return platform.Post(ctx, school+"/consents:withdraw", &consentv1.WithdrawConsentOfRequest{Subject: uniLogin(p), Activity: photos}, nil)
	}
	return partner.Post(ctx, school+"/legalBasis:check", &consentv1.CheckLegalBasisRequest{Subject: uniLogin(p), Activity: photos}, nil)
}

// redisTrips is how often clients of Redis have waited for it: what scripts run inside it does not count.
func (f *fleet) redisTrips() (n int64) {
	text, _ := f.redis.Do(f.t, "INFO", "commandstats").(string)
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		name, rest, ok := strings.Cut(lines.Text(), ":calls=")
		if !ok || !slices.Contains(roundTrips, strings.TrimPrefix(name, "cmdstat_")) {
			continue
		}
		number, _, _ := strings.Cut(rest, ",")
		calls, err := strconv.ParseInt(number, 10, 64)
		must(f.t, err)
		n += calls
	}
	return n
}

// roundTrips are the commands that the suite sends itself: everything is a script.
var roundTrips = []string{"eval", "evalsha", "ping", "subscribe", "hello", "auth"}
