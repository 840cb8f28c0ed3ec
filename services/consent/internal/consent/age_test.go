package consent_test

import (
	"testing"

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
