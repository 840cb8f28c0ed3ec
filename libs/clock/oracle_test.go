package clock_test

// The oracle counts periods from the text of Regulation 1182/71 alone. It shares nothing with the product: days are numbers (the
// Julian day), dates come from integer arithmetic, Easter from the Gregorian computus of Butcher, the change of the clock from the rule of
// Directive 2000/84/EC, and nothing of package time is used but to take an instant apart in UTC.

import "time"

// day is the number of a day; day 0 is a Monday.
type day int

func dayOf(y, m, d int) day {
	a := (14 - m) / 12
	yy, mm := y+4800-a, m+12*a-3
	return day(d + (153*mm+2)/5 + 365*yy + yy/4 - yy/100 + yy/400 - 32045)
}

func (n day) date() (y, m, d int) {
	a := int(n) + 32044
	b := (4*a + 3) / 146097
	c := a - 146097*b/4
	e := (4*c + 3) / 1461
	f := c - 1461*e/4
	g := (5*f + 2) / 153
	return 100*b + e - 4800 + g/10, g + 3 - 12*(g/10), f - (153*g+2)/5 + 1
}

func easterSunday(y int) day {
	a, b, c := y%19, y/100, y%100
	d, e := b/4, b%4
	g := (8*b + 13) / 25
	h := (19*a + b - d - g + 15) % 30
	j, k := c/4, c%4
	m := (a + 11*h) / 319
	r := (2*e + 2*j - k - h + m + 32) % 7
	n := (h - m + r + 90) / 25
	p := (h - m + r + n + 19) % 32
	return dayOf(y, n, p)
}

// free reports whether n is a Saturday, a Sunday or one of the public holidays of Denmark.
func free(n day) bool {
	if n%7 >= 5 {
		return true
	}
	y, m, d := n.date()
	if m == 1 && d == 1 || m == 12 && (d == 25 || d == 26) {
		return true
	}
	switch n - easterSunday(y) {
	case -3, -2, 0, 1, 39, 49, 50:
		return true
	case 26:
		return y < 2024
	}
	return false
}

// lastSunday returns the last Sunday of a month of 31 days.
func lastSunday(y, m int) day {
	n := dayOf(y, m, 31)
	for n%7 != 6 {
		n--
	}
	return n
}

// receivedOn returns the Danish day of an instant: UTC plus one hour, and another from 01:00 UTC on the last Sunday in March to
// 01:00 UTC on the last Sunday in October.
func receivedOn(t time.Time) day {
	t = t.UTC()
	n := dayOf(t.Year(), int(t.Month()), t.Day())
	hours := func(n day, h int) int { return int(n)*24 + h }
	now := hours(n, t.Hour())
	offset := 1
	if now >= hours(lastSunday(t.Year(), 3), 1) && now < hours(lastSunday(t.Year(), 10), 1) {
		offset = 2
	}
	return day((now + offset) / 24)
}

// oracle returns the last day of a period of months or days that an event at t sets off.
func oracle(t time.Time, months, days int) (y, m, d int) {
	event := receivedOn(t) // art. 3(1): not counted itself
	ey, em, ed := event.date()
	em += months
	ey, em = ey+(em-1)/12, (em-1)%12+1
	last := dayOf(ey, em, 1) + day(ed) - 1
	if _, lm, _ := last.date(); lm != em { // art. 3(2)(c), second sentence: no such date in that month
		last = dayOf(ey+em/12, em%12+1, 1) - 1
	}
	last += day(days)
	for free(last) { // art. 3(4)
		last++
	}
	if months > 0 || days >= 2 { // art. 3(5)
		for {
			working := 0
			for n := event + 1; n <= last; n++ {
				if !free(n) {
					working++
				}
			}
			if working >= 2 {
				break
			}
			last++
		}
	}
	return last.date()
}
