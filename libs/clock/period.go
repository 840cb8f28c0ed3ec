package clock

import (
	"fmt"
	"regexp"
	"strconv"
)

// Period is a length of time in calendar units, months first and then days.
type Period struct {
	Months int
	Days   int
}

// The longest period that can be written: 999 years, longer than any retention, or about 270 years in days.
const (
	maxMonths = 999 * 12
	maxDays   = 99_999
)

var periodForm = regexp.MustCompile(`^P(?:(\d{1,5})Y)?(?:(\d{1,5})M)?(?:(\d{1,5})W)?(?:(\d{1,5})D)?$`)

// ParsePeriod reads a period of days, weeks, months and years in the form of ISO 8601, such as "P6M", "P1Y" or "P60D".
// Hours are no calendar period and are refused, and so is a period of nothing.
func ParsePeriod(s string) (Period, error) {
	m := periodForm.FindStringSubmatch(s)
	if m == nil {
		return Period{}, fmt.Errorf("not a period of the form P1Y, P6M, P2W or P60D")
	}
	var n [5]int
	for i := 1; i < len(n); i++ {
		n[i], _ = strconv.Atoi(m[i]) // absent is zero; the form allows digits only
	}
	p := Period{Months: 12*n[1] + n[2], Days: 7*n[3] + n[4]}
	if p == (Period{}) {
		return Period{}, fmt.Errorf("the period has no length")
	}
	if p.Months > maxMonths || p.Days > maxDays {
		return Period{}, fmt.Errorf("the period is longer than %d months or %d days", maxMonths, maxDays)
	}
	return p, nil
}

// String returns the period in the form of ISO 8601, in months and days.
func (p Period) String() string {
	s := "P"
	if p.Months != 0 {
		s += strconv.Itoa(p.Months) + "M"
	}
	if p.Days != 0 || p.Months == 0 {
		s += strconv.Itoa(p.Days) + "D"
	}
	return s
}

// atLeastTwoDays says whether art. 3(5) of Regulation 1182/71 applies.
func (p Period) atLeastTwoDays() bool { return p.Months > 0 || p.Days >= 2 }
