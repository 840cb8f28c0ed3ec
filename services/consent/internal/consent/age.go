package consent

import (
	"slices"
	"strings"
	"time"

	"github.com/privacyops/privacyops/libs/clock"
)

// AgePolicy is what becomes of a guardian's consent once the child may consent alone, by its name in the contract. The zero value
// is [Keep].
type AgePolicy string

// The policies.
const (
	// Keep leaves it as it is; the young person may withdraw it.
	Keep AgePolicy = "KEEP"
	// Renew ends it at the start of the day on which the child is old enough, so that they are asked themselves.
	Renew AgePolicy = "RENEW"
)

// childWords are words of category ids that mean people of whom some are children.
var childWords = []string{"child", "children", "kid", "kids", "minor", "minors", "pupil", "pupils", "student", "students"}

// Children reports whether a subject category can hold children, by the words in its id: `pupils` and `primary-school-children` can.
func Children(category string) bool {
	return slices.ContainsFunc(strings.Split(category, "-"), func(w string) bool { return slices.Contains(childWords, w) })
}

// DigitalAge is the age in years from which a child consents alone in a jurisdiction (ISO 3166-1 alpha-2), on a day.
func DigitalAge(jurisdiction string, on clock.Date) int {
	for _, rule := range ages[jurisdiction] {
		if !on.Before(rule.from) {
			return rule.age
		}
	}
	return defaultAge
}

// OldEnough reports whether a person born on that day may consent alone on a day (GDPR art. 8(1)). Who is born on
// 29 February is a year older on 1 March of a year without that day, the later of the two readings.
func OldEnough(jurisdiction string, born, on clock.Date) bool {
	return !on.Before(birthday(born, DigitalAge(jurisdiction, on)))
}

// ReachesAge is the first day, not before a given one, on which a person is [OldEnough], as far as the law is known.
func ReachesAge(jurisdiction string, born, from clock.Date) clock.Date {
	if OldEnough(jurisdiction, born, from) {
		return from
	}
	// Either a birthday decides, or the day on which a lower age comes into force.
	first := birthday(born, defaultAge)
	for _, rule := range append([]ageRule{{age: defaultAge}}, ages[jurisdiction]...) {
		for _, day := range []clock.Date{birthday(born, rule.age), rule.from} {
			if from.Before(day) && day.Before(first) && OldEnough(jurisdiction, born, day) {
				first = day
			}
		}
	}
	return first
}

// birthday is the day on which somebody is so many years old.
func birthday(born clock.Date, age int) clock.Date {
	// The calendar makes 1 March of a 29 February that a year does not have.
	return clock.DateOf(time.Date(born.Year+age, born.Month, born.Day, 12, 0, 0, 0, time.UTC), time.UTC)
}

// startOf is the first moment of a day in a zone. That is not always midnight: where clocks go forward at midnight the day begins at
// one o'clock, and where they go back to it, midnight comes twice.
func startOf(day clock.Date, zone *time.Location) time.Time {
	start := time.Date(day.Year, day.Month, day.Day, 0, 0, 0, 0, zone)
	start = start.Add(-maxShift) // time.Date picks either side of a change of clocks
	for clock.DateOf(start, zone).Before(day) {
		start = start.Add(shiftStep)
	}
	return start
}

const (
	// shiftStep divides every change of clocks since 1970 and the offsets that days are counted by.
	shiftStep = 15 * time.Minute
	// maxShift is longer than any change of clocks within a day.
	maxShift = 3 * time.Hour
)
