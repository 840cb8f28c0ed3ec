package consent

import "github.com/privacyops/privacyops/libs/clock"

// defaultAge is the digital age of consent where no Member State law lowers it (GDPR art. 8(1)); outside the table it is
// the careful answer as well.
const defaultAge = 16

// ageRule is the digital age of consent from one day on.
type ageRule struct {
	from clock.Date
	age  int
}

// ages is the digital age of consent by jurisdiction, newest rule first.
var ages = map[string][]ageRule{
	// Databeskyttelsesloven § 6(2): 13 years at first, 15 years by the amending act in force on 1 January 2024.
	"DK": {{clock.Date{Year: 2024, Month: 1, Day: 1}, 15}, {clock.Date{}, 13}},
	// No derogation: art. 8(1) itself.
	"DE": {{clock.Date{}, 16}},
	// Uitvoeringswet AVG art. 5.
	"NL": {{clock.Date{}, 16}},
	// Lag (2018:218) 2 kap. 4 §.
	"SE": {{clock.Date{}, 13}},
	// Personopplysningsloven § 5.
	"NO": {{clock.Date{}, 13}},
	// Tietosuojalaki 5 §.
	"FI": {{clock.Date{}, 13}},
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
	birthday := clock.Date{Year: born.Year + DigitalAge(jurisdiction, on), Month: born.Month, Day: born.Day}
	return !on.Before(birthday)
}
