package clock

import (
	"sync"
	"time"
	_ "time/tzdata" // so that no zone files are needed on the machine
)

// DefaultZoneName is the time zone of a controller that names none.
const DefaultZoneName = "Europe/Copenhagen"

// DefaultZone returns the time zone Europe/Copenhagen.
var DefaultZone = sync.OnceValue(func() *time.Location {
	zone, err := time.LoadLocation(DefaultZoneName)
	if err != nil {
		panic("clock: the compiled-in zone data lack " + DefaultZoneName)
	}
	return zone
})

// Periods of law and agreement.
var (
	// ReplyPeriod is the time to answer a data subject (GDPR art. 12(3)).
	ReplyPeriod = Period{Months: 1}
	// ExtendedReplyPeriod is ReplyPeriod with its extension by two further months (art. 12(3), second sentence).
	ExtendedReplyPeriod = Period{Months: 3}
	// RosterPeriod is the time to erase a person who is no longer in the national roster (agreement, annex A.5).
	RosterPeriod = Period{Months: 6}
	// TerminationPeriod is the time to erase everything at the end of the service (agreement, clause 11.1).
	TerminationPeriod = Period{Days: 60}
	// ObjectionPeriod is the controller's time to object to a new sub-processor (agreement, clause 7).
	ObjectionPeriod = Period{Days: 30}
)

// Hours of breach notices.
const (
	// BreachNotice is the processor's time to tell the controller (agreement, clause 10).
	BreachNotice = 24 * time.Hour
	// AuthorityNotice is the controller's time to tell the authority (art. 33(1)).
	AuthorityNotice = 72 * time.Hour
)

// Due is the end of a period of law.
type Due struct {
	// Date is the last day of the period.
	Date Date
	// Zone is the name of the time zone in which Date is a day.
	Zone string
	// RuleVersion says by which rules and holidays Date was found.
	RuleVersion string
	// End is the last second of Date in Zone, in UTC.
	End time.Time
}

// Passed reports whether the period is over at now.
func (d Due) Passed(now time.Time) bool { return now.After(d.End) }

// Deadline returns the last day of the period p that an event at received sets off, by Regulation 1182/71 art. 3. A nil zone is
// [DefaultZone]. Periods run forwards: a negative number in p counts as zero.
func Deadline(received time.Time, zone *time.Location, p Period) Due {
	if zone == nil {
		zone = DefaultZone()
	}
	p = Period{Months: max(p.Months, 0), Days: max(p.Days, 0)}
	c := calendarOf(zone)
	event := DateOf(received, zone)
	last := c.roll(event.AddMonths(p.Months).AddDays(p.Days))
	if p.atLeastTwoDays() {
		last = c.withTwoWorkingDays(event, last)
	}
	return Due{Date: last, Zone: zone.String(), RuleVersion: c.version, End: last.End(zone).UTC()}
}

// roll returns d, or the next working day where d is none (art. 3(4)).
func (c calendar) roll(d Date) Date {
	for !c.working(d) {
		d = d.AddDays(1)
	}
	return d
}

// withTwoWorkingDays moves last until the days after event up to it include two working days (art. 3(5)). It stops at
// the second one, so that long periods cost nothing.
func (c calendar) withTwoWorkingDays(event, last Date) Date {
	found := 0
	for d := event.AddDays(1); found < 2; d = d.AddDays(1) {
		if !c.working(d) {
			continue
		}
		if found++; found == 2 && last.Before(d) {
			return d
		}
	}
	return last
}

// RespondBy returns until when a data subject's request must be answered: one month from its receipt (GDPR art. 12(3)).
// An extension, too, must be told by then.
func RespondBy(received time.Time, zone *time.Location) Due {
	return Deadline(received, zone, ReplyPeriod)
}

// ExtendedRespondBy returns until when a request must be answered whose period was extended by two further months: three
// months from its receipt.
func ExtendedRespondBy(received time.Time, zone *time.Location) Due {
	return Deadline(received, zone, ExtendedReplyPeriod)
}

// Elapsed returns the moment at which d has gone by since from, in UTC. Hours of law are elapsed hours: an hour that a
// change of the clock repeats counts, one that it leaves out does not.
func Elapsed(from time.Time, d time.Duration) time.Time { return from.UTC().Add(d) }
