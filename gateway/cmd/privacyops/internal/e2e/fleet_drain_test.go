package e2e

import (
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/privacyops/privacyops/services/participant/sample"
)

// drainTime is how long a process may take to end after SIGTERM.
const drainTime = 20 * time.Second

// TestFleetDrain stops each replica in turn under load, as a rolling restart does. No call may fail.
func TestFleetDrain(t *testing.T) {
	onStackOnly(t)
	var people []sample.Person
	f := newFleet(t, func(s *fleetSetting) {
		s.prepare = func(path string) { people = newcomers(t, path, mixedCallers*mixedPeople) }
	})
	load := f.begin(people, 5*time.Millisecond, f.client)
	time.Sleep(time.Second)
	for _, service := range []string{"consent", "gateway", "export", "gateway", "erasure", "gateway"} {
		for _, p := range f.replicas[service] {
			began := time.Now()
			code, took := p.terminate()
			if code != 0 || took > drainTime {
				t.Errorf("%v ended with code %d after %s:\n%s", p, code, took, p.lastWords())
			}
			p.start()
			p.awaitReady()
			t.Logf("%v ended after %s; %d calls meanwhile", p, took.Round(time.Millisecond), len(load.between(began, time.Now())))
		}
	}
	load.stop()
	all := load.between(time.Time{}, time.Now())
	t.Logf("%d calls, %d of them at the other gateway because the first did not take them: %v", len(all), f.spread.moved.Load(), counts(all))
	if len(all) < 1000 {
		t.Error("these are too few to tell")
	}
	complain(t, all)
	load.nothingLost(t, people)
}

// complain reports calls that failed.
func complain(t *testing.T, all []outcome) {
	t.Helper()
	bad := map[string]int{}
	for _, o := range all {
		if o.status != http.StatusOK {
			o.took, o.began = o.took.Round(time.Second), time.Time{}
			bad[o.String()]++
		}
	}
	for _, text := range slices.Sorted(maps.Keys(bad)) {
		t.Errorf("%d times: %s", bad[text], text)
	}
}
