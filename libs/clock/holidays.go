package clock

import (
	"time"

	"github.com/rickar/cal/v2"
	"github.com/rickar/cal/v2/aa"
	"github.com/rickar/cal/v2/dk"
)

// Versions of the rules, stored with every date so that it can be explained after they have changed.
const (
	// RuleDenmark is the regulation with the Danish public holidays as they stand since 2024.
	RuleDenmark = "EU-1182-71/DK-2024"
	// RuleWeekends is the regulation with week-ends only.
	RuleWeekends = "EU-1182-71/weekends"
)

// danishHolidays are the public holidays of Denmark; the package comment says why these. The library's own list
// (dk.Holidays) cannot be used whole: it counts Constitution Day, and leaves the two Sundays out.
var danishHolidays = []*cal.Holiday{
	dk.Nytaarsdag,
	dk.Skaertorsdag,
	dk.Langfredag,
	aa.Easter,
	dk.AndenPaaskedag,
	dk.StoreBededag, // ends with 2023 in the library, as in law
	dk.KristiHimmelfartsdag,
	aa.Pentecost,
	dk.AndenPinsedag,
	dk.Juledag,
	dk.AndenJuledag,
}

// calendar says which days are working days, and under which version of the rules.
type calendar struct {
	version  string
	holidays []*cal.Holiday
}

// calendarOf returns the calendar of the Member State that the zone belongs to, as far as it is known.
func calendarOf(zone *time.Location) calendar {
	if zone.String() == DefaultZoneName {
		return calendar{RuleDenmark, danishHolidays}
	}
	return calendar{version: RuleWeekends}
}

// working reports whether d is neither Saturday, Sunday nor public holiday (art. 2(2)).
func (c calendar) working(d Date) bool {
	if w := d.Weekday(); w == time.Saturday || w == time.Sunday {
		return false
	}
	for _, h := range c.holidays {
		if day, _ := h.Calc(d.Year); !day.IsZero() && dateOf(day) == d {
			return false
		}
	}
	return true
}

// IsWorkingDay reports whether d is a working day in the zone's country: neither Saturday nor Sunday nor, for Europe/Copenhagen, a
// Danish public holiday. A nil zone is [DefaultZone].
func IsWorkingDay(d Date, zone *time.Location) bool {
	if zone == nil {
		zone = DefaultZone()
	}
	return calendarOf(zone).working(d)
}
