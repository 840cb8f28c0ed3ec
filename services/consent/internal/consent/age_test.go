package consent_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

func day(t *testing.T, s string) clock.Date {
	t.Helper()
	d, err := clock.ParseDate(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDigitalAge(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		jurisdiction, on string
		want             int
	}{
		{"DK", "2023-12-31", 13}, {"DK", "2024-01-01", 15}, {"DK", "2026-03-02", 15},
		{"DE", "2026-03-02", 16}, {"NL", "2026-03-02", 16}, {"SE", "2026-03-02", 13}, {"NO", "2026-03-02", 13}, {"FI", "2026-03-02", 13},
		{"PL", "2026-03-02", 16}, {"US", "2026-03-02", 16}, {"", "2026-03-02", 16},
	} {
		if got := consent.DigitalAge(test.jurisdiction, day(t, test.on)); got != test.want {
			t.Errorf("%s on %s: %d, want %d", test.jurisdiction, test.on, got, test.want)
		}
	}
}

func TestOldEnough(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		jurisdiction, born, on string
		want                   bool
	}{
		{"DK", "2011-03-02", "2026-03-01", false},
		{"DK", "2011-03-02", "2026-03-02", true},
		{"DK", "2011-03-03", "2026-03-02", false},
		// The rule of the day counts: 14 years old, before and after the Danish change.
		{"DK", "2009-06-01", "2023-12-31", true},
		{"DK", "2009-06-01", "2024-01-01", false},
		{"SE", "2013-03-02", "2026-03-02", true},
		{"DE", "2011-03-02", "2026-03-02", false},
		// Born on a leap day: 15 on 1 March.
		{"DK", "2012-02-29", "2027-02-28", false},
		{"DK", "2012-02-29", "2027-03-01", true},
	} {
		if got := consent.OldEnough(test.jurisdiction, day(t, test.born), day(t, test.on)); got != test.want {
			t.Errorf("%s, born %s, on %s: %v", test.jurisdiction, test.born, test.on, got)
		}
	}
}

// TestAges holds the table to what art. 8(1) allows, and to having a row for every state but one whose law is not known here.
func TestAges(t *testing.T) {
	t.Parallel()
	today := day(t, "2026-03-02")
	for states, age := range map[string]int{
		"BE EE FI IS LV MT NO PT SE": 13, "AT BG CY ES IT LT": 14, "CZ DK FR GR SI": 15, "DE HR HU IE LI LU NL PL RO SK": 16,
	} {
		for state := range strings.SplitSeq(states, " ") {
			if !consent.InEEA(state) {
				t.Errorf("%s is not in the EEA", state)
			}
			if got := consent.DigitalAge(state, today); got != age || got < 13 || got > 16 {
				t.Errorf("%s: %d, want %d", state, got, age)
			}
		}
	}
	if got := consent.DigitalAge("SI", day(t, "2023-01-25")); got != 16 {
		t.Errorf("SI before its law: %d", got)
	}
}

func TestReachesAge(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ jurisdiction, born, from, want string }{
		"on the birthday":              {"DK", "2012-05-01", "2026-03-02", "2027-05-01"},
		"the day before":               {"DK", "2011-03-03", "2026-03-02", "2026-03-03"},
		"today":                        {"DK", "2011-03-02", "2026-03-02", "2026-03-02"},
		"long ago":                     {"DK", "1980-01-01", "2026-03-02", "2026-03-02"},
		"a leap day, in a common year": {"DK", "2012-02-29", "2026-03-02", "2027-03-01"},
		"a leap day, in a leap year":   {"DE", "2012-02-29", "2026-03-02", "2028-02-29"},
		"14 when the age went to 15":   {"DK", "2009-12-31", "2024-01-01", "2024-12-31"},
		"13 just before that":          {"DK", "2010-12-31", "2023-06-01", "2023-12-31"},
		"13 just after that":           {"DK", "2011-01-01", "2023-06-01", "2026-01-01"},
		"15 when the age came to 15":   {"SI", "2007-06-01", "2022-12-01", "2023-01-26"},
		"an unknown law":               {"US", "2012-05-01", "2026-03-02", "2028-05-01"},
	} {
		if got := consent.ReachesAge(test.jurisdiction, day(t, test.born), day(t, test.from)); got != day(t, test.want) {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

// TestReachesAgeIsTheFirstDay looks at every day between: none before is old enough, and the found one is.
func TestReachesAgeIsTheFirstDay(t *testing.T) {
	t.Parallel()
	leap, epoch := day(t, "2004-02-29"), day(t, "2004-01-01")
	rapid.Check(t, func(r *rapid.T) {
		jurisdiction := rapid.SampledFrom([]string{"DK", "SI", "SE", "DE", "FR", "XX"}).Draw(r, "jurisdiction")
		born := epoch.AddDays(rapid.IntRange(0, 16*366).Draw(r, "born"))
		if rapid.Bool().Draw(r, "leap day") {
			born = clock.Date{Year: leap.Year + 4*rapid.IntRange(0, 4).Draw(r, "leap years"), Month: leap.Month, Day: leap.Day}
		}
		from := born.AddDays(rapid.IntRange(0, 16*366).Draw(r, "from"))
		got := consent.ReachesAge(jurisdiction, born, from)
		if got.Before(from) || !consent.OldEnough(jurisdiction, born, got) {
			r.Fatalf("%s, born %s, from %s: %s", jurisdiction, born, from, got)
		}
		for d := from; d.Before(got); d = d.AddDays(1) {
			if consent.OldEnough(jurisdiction, born, d) {
				r.Fatalf("%s, born %s, from %s: %s, but is old enough on %s", jurisdiction, born, from, got, d)
			}
		}
	})
}

// TestRenewEndsWithTheDay gives guardians' consents in zones with every kind of midnight: the consent holds to the last microsecond before
// the birthday there, and not after.
func TestRenewEndsWithTheDay(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		// In the Azores and Havana clocks go forward at midnight; in Havana they also go back to it; Lord Howe shifts by half an hour.
		name := rapid.SampledFrom([]string{"Europe/Copenhagen", "Atlantic/Azores", "America/Havana", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"}).Draw(r, "zone")
		zone, err := time.LoadLocation(name)
		if err != nil {
			r.Fatal(err)
		}
		born := day(t, "2014-01-01").AddDays(rapid.IntRange(0, 4000).Draw(r, "born"))
		now := noon
		if clock.DateOf(now, zone).Before(born) {
			now = born.AddDays(1).End(zone)
		}
		c := consent.Controller{ID: "school", Jurisdiction: "FR", TimeZone: name, AgePolicy: consent.Renew}
		given, err := consent.Give(consent.Giving{Capacity: consent.Guardian, BirthDate: &born}, c,
			&consent.Activity{ID: "photos", Basis: consent.BasisConsent}, now, 7)
		if err != nil {
			r.Fatal(err)
		}
		reached := consent.ReachesAge("FR", born, clock.DateOf(now, zone))
		if got := clock.DateOf(given.ExpireTime, zone); got != reached {
			r.Fatalf("born %s in %s: ends %s, want %s", born, name, given.ExpireTime.In(zone), reached)
		}
		if last := clock.DateOf(given.ExpireTime.Add(-time.Microsecond), zone); !last.Before(reached) {
			r.Fatalf("born %s in %s: ends %s, but that day has begun before", born, name, given.ExpireTime.In(zone))
		}
	})
}

// TestStrangeMidnights names the birthdays whose midnight is not, or comes twice.
func TestStrangeMidnights(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ zone, born, want string }{
		"clocks go forward at midnight":     {"America/Havana", "2011-03-14", "2027-03-14T05:00:00Z"}, // there is no 00:00 on 14 March 2027
		"clocks go back to midnight":        {"America/Havana", "2011-11-07", "2027-11-07T04:00:00Z"}, // 00:00 comes twice on 7 November 2027
		"clocks go forward later that day":  {"Europe/Copenhagen", "2011-03-28", "2027-03-27T23:00:00Z"},
		"clocks go back later that day":     {"Europe/Copenhagen", "2011-10-31", "2027-10-30T22:00:00Z"},
		"a leap day in a year without it":   {"Europe/Copenhagen", "2012-02-29", "2028-02-28T23:00:00Z"},
		"the first of January, east of UTC": {"Pacific/Auckland", "2012-01-01", "2027-12-31T11:00:00Z"},
	} {
		born := day(t, test.born)
		c := consent.Controller{ID: "school", Jurisdiction: "DE", TimeZone: test.zone, AgePolicy: consent.Renew}
		given, err := consent.Give(consent.Giving{Capacity: consent.Guardian, BirthDate: &born}, c,
			&consent.Activity{ID: "photos", Basis: consent.BasisConsent}, noon, 7)
		if err != nil || given.ExpireTime.UTC().Format(time.RFC3339) != test.want {
			t.Errorf("%s: %s, %v; want %s", name, given.ExpireTime.UTC(), err, test.want)
		}
	}
}
