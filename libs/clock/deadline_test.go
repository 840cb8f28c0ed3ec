package clock_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/privacyops/privacyops/libs/clock"
)

func instant(tb testing.TB, s string) time.Time {
	tb.Helper()
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

func TestDeadlineGolden(t *testing.T) {
	t.Parallel()
	table, err := os.ReadFile("testdata/deadlines.tsv")
	if err != nil {
		t.Fatal(err)
	}
	cases := 0
	for line := range strings.Lines(string(table)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		cases++
		f := strings.Split(strings.TrimSpace(line), "\t")
		p := clock.Period{}
		if f[1] != "P0D" { // nothing is no period when written, but a caller can compute one
			if p, err = clock.ParsePeriod(f[1]); err != nil {
				t.Fatal(err)
			}
		}
		due := clock.Deadline(instant(t, f[0]), nil, p)
		if due.Date.String() != f[2] {
			t.Errorf("%s + %s = %s, want %s: %s", f[0], f[1], due.Date, f[2], f[3])
		}
		y, m, d := oracle(instant(t, f[0]), p.Months, p.Days)
		if want := (clock.Date{Year: y, Month: time.Month(m), Day: d}).String(); want != f[2] {
			t.Errorf("the oracle says %s for %s + %s, the table %s", want, f[0], f[1], f[2])
		}
	}
	if cases < 90 {
		t.Errorf("only %d golden cases were read", cases)
	}
}

// TestDeadlineOracle compares every day of 2020-2040, received at noon and in the last half hour of the UTC day, with the oracle.
func TestDeadlineOracle(t *testing.T) {
	t.Parallel()
	periods := []clock.Period{{Months: 1}, {Months: 3}, {Months: 6}, {Days: 30}, {Days: 60}}
	end := time.Date(2041, 1, 1, 0, 0, 0, 0, time.UTC)
	cases, late := 0, 0
	for d := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC); d.Before(end); d = d.AddDate(0, 0, 1) {
		for _, at := range []time.Duration{12 * time.Hour, 23*time.Hour + 30*time.Minute} {
			for _, p := range periods {
				cases++
				got := clock.Deadline(d.Add(at), nil, p).Date
				y, m, day := oracle(d.Add(at), p.Months, p.Days)
				want := clock.Date{Year: y, Month: time.Month(m), Day: day}
				if want.Before(got) {
					late++
				}
				if got != want {
					t.Errorf("%v + %v = %v, the oracle says %v", d.Add(at), p, got, want)
				}
			}
		}
	}
	t.Logf("%d dates, %d later than the oracle", cases, late)
	if cases != 2*5*7671 {
		t.Errorf("%d dates were compared, want %d", cases, 2*5*7671)
	}
}

// TestDeadlineAnyMoment draws moments to the second and periods of any length, short ones included.
func TestDeadlineAnyMoment(t *testing.T) {
	t.Parallel()
	from, to := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC).Unix(), time.Date(2040, 12, 31, 0, 0, 0, 0, time.UTC).Unix()
	rapid.Check(t, func(r *rapid.T) {
		received := time.Unix(rapid.Int64Range(from, to).Draw(r, "received"), 0)
		p := clock.Period{Months: rapid.IntRange(0, 26).Draw(r, "months"), Days: rapid.IntRange(0, 70).Draw(r, "days")}
		due := clock.Deadline(received, nil, p)
		y, m, d := oracle(received, p.Months, p.Days)
		if want := (clock.Date{Year: y, Month: time.Month(m), Day: d}); due.Date != want {
			r.Fatalf("%v + %v = %v, the oracle says %v", received.UTC(), p, due.Date, want)
		}
		if got := clock.DateOf(due.End, nil); got != due.Date || clock.DateOf(due.End.Add(time.Second), nil) == due.Date {
			r.Fatalf("the end %v is not the last second of %v", due.End, due.Date)
		}
		if due.Passed(due.End) || !due.Passed(due.End.Add(time.Second)) || due.Passed(received) {
			r.Fatalf("%v + %v passes at another moment than its end %v", received, p, due.End)
		}
	})
}

func TestDueEnd(t *testing.T) {
	t.Parallel()
	for received, want := range map[string]string{
		"2026-01-31T10:00:00Z": "2026-03-02T22:59:59Z", // winter time
		"2026-06-01T10:00:00Z": "2026-07-01T21:59:59Z", // summer time
		"2027-02-27T10:00:00Z": "2027-03-30T21:59:59Z", // received in winter, due in summer
		"2026-09-25T10:00:00Z": "2026-10-26T22:59:59Z", // received in summer, due in winter
	} {
		due := clock.RespondBy(instant(t, received), nil)
		if got := due.End.Format(time.RFC3339); got != want {
			t.Errorf("%s is due by %s, want %s", received, got, want)
		}
		if due.Zone != "Europe/Copenhagen" || due.RuleVersion != clock.RuleDenmark {
			t.Errorf("%s: zone %q, rules %q", received, due.Zone, due.RuleVersion)
		}
	}
}

func TestExtension(t *testing.T) {
	t.Parallel()
	received := instant(t, "2026-01-30T10:00:00Z")
	if got := clock.RespondBy(received, nil).Date.String(); got != "2026-03-02" {
		t.Errorf("due on %s, want 2026-03-02", got)
	}
	// Three months from the receipt, not two from the first due date: that would be 2 May, and so Monday 4 May.
	if got := clock.ExtendedRespondBy(received, nil).Date.String(); got != "2026-04-30" {
		t.Errorf("extended until %s, want 2026-04-30", got)
	}
}

func TestOtherZones(t *testing.T) {
	t.Parallel()
	load := func(name string) *time.Location {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		return zone
	}
	for _, tc := range []struct {
		zone, received, want, rules string
	}{
		{"Europe/Copenhagen", "2026-03-05T10:00:00Z", "2026-04-07", clock.RuleDenmark},
		{"Europe/Berlin", "2026-03-05T10:00:00Z", "2026-04-06", clock.RuleWeekends}, // Easter is not known there: earlier, never later
		{"UTC", "2026-03-05T23:30:00Z", "2026-04-06", clock.RuleWeekends},
		{"America/New_York", "2026-07-01T03:30:00Z", "2026-07-30", clock.RuleWeekends}, // still 30 June
		{"Pacific/Auckland", "2026-06-30T13:00:00Z", "2026-08-03", clock.RuleWeekends}, // already 1 July
	} {
		due := clock.Deadline(instant(t, tc.received), load(tc.zone), clock.ReplyPeriod)
		if due.Date.String() != tc.want || due.RuleVersion != tc.rules || due.Zone != tc.zone {
			t.Errorf("%s in %s: %+v, want %s by %s", tc.received, tc.zone, due, tc.want, tc.rules)
		}
	}
}

func TestNegativePeriodIsNone(t *testing.T) {
	t.Parallel()
	received := instant(t, "2026-11-18T10:00:00Z")
	if got := clock.Deadline(received, nil, clock.Period{Months: -1, Days: -5}).Date.String(); got != "2026-11-18" {
		t.Errorf("due on %s, want the day of the receipt", got)
	}
}

// TestElapsed counts hours through both nights in which the clock changes.
func TestElapsed(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		from string
		d    time.Duration
		want string
	}{
		{"2026-03-28T12:00:00+01:00", clock.BreachNotice, "2026-03-29T11:00:00Z"}, // 13:00 summer time
		{"2026-10-24T12:00:00+02:00", clock.BreachNotice, "2026-10-25T10:00:00Z"}, // 11:00 winter time
		{"2026-03-27T18:00:00+01:00", clock.AuthorityNotice, "2026-03-30T17:00:00Z"},
		{"2026-12-24T18:00:00+01:00", clock.AuthorityNotice, "2026-12-27T17:00:00Z"}, // no rest over Christmas
	} {
		if got := clock.Elapsed(instant(t, tc.from), tc.d).Format(time.RFC3339); got != tc.want {
			t.Errorf("%s + %v = %s, want %s", tc.from, tc.d, got, tc.want)
		}
	}
}
