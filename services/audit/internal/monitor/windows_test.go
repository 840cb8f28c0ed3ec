package monitor

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

// TestWindows holds the engine, which sees events one by one, in steps and with restarts between them, against the words of a rule
// applied to all events at once: it is broken when more than so many are within its time, or its day is not like the days before, and
// raises nothing while the quiet time of its last alert lasts.
func TestWindows(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		rule := anyRule(r)
		at, times := base, []time.Time{}
		pauses := []time.Duration{0, 0, time.Second, rule.Within / 3, rule.Within - 1, rule.Within, rule.Quiet - time.Second, rule.Quiet, 5 * time.Hour}
		for range rapid.IntRange(1, 80).Draw(r, "events") {
			at = at.Add(max(0, rapid.SampledFrom(pauses).Draw(r, "pause"))).Truncate(time.Microsecond)
			times = append(times, at)
		}
		s := newStream([]Rule{rule})
		var entries []Entry
		for _, at := range times {
			entries = append(entries, s.entry(Observation{Controller: "north", Action: "roster.import", Outcome: audit.OutcomeOK, Time: at}))
		}
		for from := 0; from < len(entries); {
			to := min(len(entries), from+rapid.IntRange(1, 20).Draw(r, "step"))
			s.judge(entries[from:to])
			if from = to; rapid.Bool().Draw(r, "restart") {
				s.memory = restarted(r, s.memory)
			}
		}
		var got []time.Time
		for _, a := range s.raised(rule.Name) {
			got = append(got, a.Raised)
		}
		if diff := cmp.Diff(inWords(rule, times), got); diff != "" {
			r.Fatalf("%+v of %v is raised (-by its words +by the engine):\n%s", rule, times, diff)
		}
	})
}

// anyRule is a rule of one of the three kinds.
func anyRule(r *rapid.T) Rule {
	rule := Rule{Name: "any", Severity: Warning, By: ByController, When: []Match{{Actions: []string{"roster.import"}}},
		Quiet:   rapid.SampledFrom([]time.Duration{time.Second, time.Minute, time.Hour, 24 * time.Hour}).Draw(r, "quiet"),
		Summary: Text{"noget", "something"}}
	switch rapid.SampledFrom([]string{"each", "within", "days"}).Draw(r, "kind") {
	case "within":
		rule.Over, rule.Within = rapid.IntRange(1, 6).Draw(r, "over"), rapid.SampledFrom([]time.Duration{time.Second, time.Minute, time.Hour}).Draw(r, "within")
	case "days":
		rule.Statistic = &Statistic{Days: rapid.IntRange(1, 5).Draw(r, "days"), Sigmas: 3, Floor: int64(rapid.IntRange(0, 6).Draw(r, "floor"))}
	}
	if err := CheckRules([]Rule{rule}); err != nil {
		r.Fatal(err)
	}
	return rule
}

// inWords says when a rule raises alerts about events that happened at these times.
func inWords(rule Rule, times []time.Time) (raised []time.Time) {
	for i, now := range times {
		if n := len(raised); n > 0 && now.Before(raised[n-1].Add(rule.Quiet)) {
			continue
		}
		if brokenBy(rule, times[:i+1], now) {
			raised = append(raised, now)
		}
	}
	return raised
}

func brokenBy(rule Rule, until []time.Time, now time.Time) bool {
	count := func(since, before time.Time) (n float64) {
		for _, t := range until {
			if !t.Before(since) && t.Before(before) {
				n++
			}
		}
		return n
	}
	switch {
	case rule.Over > 0:
		return count(now.Add(-rule.Within+1), now.Add(1)) > float64(rule.Over)
	case rule.Statistic == nil:
		return true
	}
	today := now.Truncate(day)
	var before []float64
	for d := 1; d <= rule.Statistic.Days; d++ {
		before = append(before, count(today.Add(-time.Duration(d)*day), today.Add(-time.Duration(d-1)*day)))
	}
	mean, variance := average(before), 0.0
	for _, n := range before {
		variance += (n - mean) * (n - mean) / float64(len(before))
	}
	return count(today, now.Add(1)) > slices.Max([]float64{float64(rule.Statistic.Floor), mean + rule.Statistic.Sigmas*math.Sqrt(variance)})
}

func average(of []float64) (mean float64) {
	for _, n := range of {
		mean += n / float64(len(of))
	}
	return mean
}
