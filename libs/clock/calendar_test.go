package clock_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/privacyops/privacyops/libs/clock"
)

// TestHolidays names each Danish public holiday, and each day that is often taken for one.
func TestHolidays(t *testing.T) {
	t.Parallel()
	for date, working := range map[string]bool{
		"2026-01-01": false, // Nytårsdag
		"2026-04-02": false, // Skærtorsdag
		"2026-04-03": false, // Langfredag
		"2026-04-05": false, // Påskedag
		"2026-04-06": false, // 2. påskedag
		"2026-05-14": false, // Kristi himmelfartsdag
		"2026-05-24": false, // Pinsedag
		"2026-05-25": false, // 2. pinsedag
		"2026-12-25": false, // Juledag
		"2025-12-26": false, // 2. juledag, on a Friday
		"2023-05-05": false, // Store bededag, for the last time
		"2022-05-13": false, // Store bededag
		"2024-04-26": true,  // would have been Store bededag
		"2025-05-16": true,
		"2026-05-01": true, // also would have been, and 1 May is none either
		"2026-03-30": true, // Monday before Easter
		"2026-04-07": true, // Tuesday after Easter
		"2026-05-15": true, // Friday after Ascension
		"2026-06-05": true, // Grundlovsdag
		"2026-12-24": true, // Juleaftensdag
		"2026-12-31": true, // Nytårsaftensdag
		"2026-11-21": false,
		"2026-11-22": false,
		"2026-11-23": true,
	} {
		d, err := clock.ParseDate(date)
		if err != nil {
			t.Fatal(err)
		}
		if got := clock.IsWorkingDay(d, nil); got != working {
			t.Errorf("%s (%s): working day = %v, want %v", date, d.Weekday(), got, working)
		}
	}
}

// TestHolidaysOracle compares every day from 2000 to 2060, and counts eleven holidays a year, ten without Store bededag.
func TestHolidaysOracle(t *testing.T) {
	t.Parallel()
	for n := dayOf(2000, 1, 1); n < dayOf(2061, 1, 1); n++ {
		y, m, d := n.date()
		if got := clock.IsWorkingDay(clock.Date{Year: y, Month: time.Month(m), Day: d}, nil); got == free(n) {
			t.Errorf("%d-%02d-%02d: working day = %v", y, m, d, got)
		}
	}
}

func TestDate(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "2026-2-3", "2026-02-30", "26-02-03", "2026-02-03T00:00:00Z"} {
		if d, err := clock.ParseDate(bad); err == nil {
			t.Errorf("%q is the date %v", bad, d)
		}
	}
	rapid.Check(t, func(r *rapid.T) {
		n := day(rapid.IntRange(int(dayOf(1900, 1, 1)), int(dayOf(2199, 12, 31))).Draw(r, "day"))
		shift := rapid.IntRange(-5000, 5000).Draw(r, "shift")
		y, m, d := n.date()
		date := clock.Date{Year: y, Month: time.Month(m), Day: d}
		y, m, d = (n + day(shift)).date()
		moved := date.AddDays(shift)
		if want := (clock.Date{Year: y, Month: time.Month(m), Day: d}); moved != want {
			r.Fatalf("%v + %d days = %v, want %v", date, shift, moved, want)
		}
		if date.Before(moved) != (shift > 0) {
			r.Fatalf("%v before %v = %v", date, moved, date.Before(moved))
		}
		if back, err := clock.ParseDate(date.String()); err != nil || back != date {
			r.Fatalf("%v reads back as %v, %v", date, back, err)
		}
		if got := int(date.Weekday()+6) % 7; got != int(n%7) {
			r.Fatalf("%v is a %v", date, date.Weekday())
		}
	})
}

func TestParsePeriod(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]clock.Period{
		"P1M":       {Months: 1},
		"P60D":      {Days: 60},
		"P2W":       {Days: 14},
		"P5Y":       {Months: 60},
		"P1Y6M":     {Months: 18},
		"P1Y2M3W4D": {Months: 14, Days: 25},
		"P999Y":     {Months: 11988},
	} {
		p, err := clock.ParsePeriod(in)
		if err != nil || p != want {
			t.Errorf("%s = %+v, %v; want %+v", in, p, err, want)
		}
		if back, err := clock.ParsePeriod(p.String()); err != nil || back != p {
			t.Errorf("%s is written %s, which reads %+v, %v", in, p, back, err)
		}
	}
	for _, bad := range []string{"", "P", "1M", "P0D", "P1H", "PT24H", "P1M1Y", "P-1M", "P1.5M", "P1000Y", "P99999D1W", "P100000D", "p1m", "P1M ", "P1M\n", "P٣M"} {
		if p, err := clock.ParsePeriod(bad); err == nil {
			t.Errorf("%q is the period %+v", bad, p)
		}
	}
}
