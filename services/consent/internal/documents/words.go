package documents

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// text is a text in both languages. `{name}` in it stands for the controller's name.
type text struct{ da, en string }

// in gives the text in a language; Danish where it is not English.
func (t text) in(l Language) string {
	if l == English {
		return t.en
	}
	return t.da
}

// fill puts values in the place of their names in braces. Values are not looked at again.
func fill(s string, pairs ...string) string {
	named := make([]string, len(pairs))
	for i := range pairs {
		named[i] = pairs[i]
		if i%2 == 0 {
			named[i] = "{" + pairs[i] + "}"
		}
	}
	return strings.NewReplacer(named...).Replace(s)
}

// readable makes words of an id: `class-photos` is "class photos".
func readable(id string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(id), func(r rune) bool { return r == '-' || r == '_' }), " ")
}

// named gives the words for an id, or its own.
func named(dictionary map[string]text, id string, l Language) string {
	if t, ok := dictionary[id]; ok {
		return t.in(l)
	}
	return readable(id)
}

// months are the names of the months.
var months = map[Language][]string{
	Danish:  {"januar", "februar", "marts", "april", "maj", "juni", "juli", "august", "september", "oktober", "november", "december"},
	English: {"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"},
}

// day says a date in words.
func day(d clock.Date, l Language) string {
	if l == English {
		return fmt.Sprintf("%d %s %d", d.Day, months[English][d.Month-1], d.Year)
	}
	return fmt.Sprintf("%d. %s %d", d.Day, months[Danish][d.Month-1], d.Year)
}

// period says an ISO 8601 period in words; what is none stays as it is.
func period(iso string, l Language) string {
	p, err := clock.ParsePeriod(iso)
	if err != nil {
		return iso
	}
	var parts []string
	for _, part := range []struct {
		n         int
		one, many text
	}{
		{p.Months / 12, text{"år", "year"}, text{"år", "years"}},
		{p.Months % 12, text{"måned", "month"}, text{"måneder", "months"}},
		{p.Days, text{"dag", "day"}, text{"dage", "days"}},
	} {
		switch {
		case part.n == 1:
			parts = append(parts, "1 "+part.one.in(l))
		case part.n > 1:
			parts = append(parts, strconv.Itoa(part.n)+" "+part.many.in(l))
		}
	}
	return strings.Join(parts, text{" og ", " and "}.in(l))
}

// country names a country; one that is not in the table is shown by its code.
func country(code string, l Language) string {
	if t, ok := countries[code]; ok {
		return t.in(l)
	}
	return code
}

// third are the countries of an activity, as registered or as named by a ground of transfer, to which the rules on transfers
// apply (GDPR chapter V): those outside the EEA that are not the controller's own.
func (r Register) third(a consent.Activity) []string {
	var out []string
	for _, code := range a.Locations {
		if !consent.InEEA(code) && code != r.Controller.Jurisdiction {
			out = append(out, code)
		}
	}
	for _, t := range a.Transfers {
		if !slices.Contains(out, t.Location) {
			out = append(out, t.Location)
		}
	}
	return out
}

// transfer finds the ground of a transfer to a country.
func transfer(a consent.Activity, code string) (consent.Transfer, bool) {
	for _, t := range a.Transfers {
		if t.Location == code {
			return t, true
		}
	}
	return consent.Transfer{}, false
}

// place is an article with paragraph and point, as the regulation is quoted in English.
var place = regexp.MustCompile(`^(\d+)(?:\((\d+)\))?(?:\(([a-z])\))?$`)

// cite quotes a place in the GDPR as the language does: 6(1)(e) is "artikel 6, stk. 1, litra e" in Danish.
func cite(where string, l Language) string {
	if l == English {
		return "GDPR Article " + where
	}
	parts := place.FindStringSubmatch(where)
	if parts == nil {
		return "GDPR artikel " + where
	}
	says := "GDPR artikel " + parts[1]
	if parts[2] != "" {
		says += ", stk. " + parts[2]
	}
	if parts[3] != "" {
		says += ", litra " + parts[3]
	}
	return says
}

// article9 is the place of a condition for special categories.
func article9(condition string) string { return "9(2)(" + condition + ")" }
