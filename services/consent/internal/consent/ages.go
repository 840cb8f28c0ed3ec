package consent

import "github.com/privacyops/privacyops/libs/clock"

// defaultAge is the digital age of consent where no Member State law lowers it (GDPR art. 8(1)), and the highest there is: a state can
// only lower it. Where the law is not known it is the careful answer as well.
const defaultAge = 16

// ageRule is the digital age of consent from one day on.
type ageRule struct {
	from clock.Date
	age  int
}

// always is the first day of a rule that has not changed since the suite could be asked: a consent is judged on the day it is
// given.
var always clock.Date

// ages is the digital age of consent by jurisdiction, newest rule first. The EEA; a state that is not here has 16, as everywhere else.
var ages = map[string][]ageRule{
	// Datenschutzgesetz § 4 Abs. 4.
	"AT": {{always, 14}},
	// Loi du 30 juillet 2018 relative à la protection des personnes physiques, art. 7.
	"BE": {{always, 13}},
	// Zakon za zashtita na lichnite danni, art. 25c.
	"BG": {{always, 14}},
	// Law 125(I)/2018, section 8.
	"CY": {{always, 14}},
	// Zákon č. 110/2019 Sb., § 7.
	"CZ": {{always, 15}},
	// No derogation: art. 8(1) itself.
	"DE": {{always, 16}},
	// Databeskyttelsesloven § 6(2): 13 years at first, 15 years by the amending act in force on 1 January 2024.
	"DK": {{clock.Date{Year: 2024, Month: 1, Day: 1}, 15}, {always, 13}},
	// Isikuandmete kaitse seadus § 8.
	"EE": {{always, 13}},
	// Ley Orgánica 3/2018, art. 7.
	"ES": {{always, 14}},
	// Tietosuojalaki 5 §.
	"FI": {{always, 13}},
	// Loi n° 78-17 du 6 janvier 1978, art. 45.
	"FR": {{always, 15}},
	// Law 4624/2019, art. 21.
	"GR": {{always, 15}},
	// Zakon o provedbi Opće uredbe o zaštiti podataka, čl. 19.
	"HR": {{always, 16}},
	// No derogation.
	"HU": {{always, 16}},
	// Data Protection Act 2018, section 31.
	"IE": {{always, 16}},
	// Lög nr. 90/2018, 10. gr.
	"IS": {{always, 13}},
	// D.lgs. 196/2003 (Codice privacy), art. 2-quinquies.
	"IT": {{always, 14}},
	// Asmens duomenų teisinės apsaugos įstatymas, 6 straipsnis.
	"LT": {{always, 14}},
	// No derogation.
	"LU": {{always, 16}},
	// Fizisko personu datu apstrādes likums, 33. pants.
	"LV": {{always, 13}},
	// Subsidiary Legislation 586.11, regulation 4.
	"MT": {{always, 13}},
	// Uitvoeringswet AVG art. 5.
	"NL": {{always, 16}},
	// Personopplysningsloven § 5.
	"NO": {{always, 13}},
	// No derogation.
	"PL": {{always, 16}},
	// Lei n.º 58/2019, art. 16.
	"PT": {{always, 13}},
	// No derogation.
	"RO": {{always, 16}},
	// Lag (2018:218) 2 kap. 4 §.
	"SE": {{always, 13}},
	// Zakon o varstvu osebnih podatkov (ZVOP-2), 8. člen, in force on 26 January 2023; no derogation before.
	"SI": {{clock.Date{Year: 2023, Month: 1, Day: 26}, 15}, {always, 16}},
	// Zákon č. 18/2018 Z. z., § 15.
	"SK": {{always, 16}},
}
