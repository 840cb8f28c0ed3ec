// Package clock is the suite's one source of time, and its legal clock.
//
// # Time
//
// Whatever decides by the time of day takes a [Clock]. [System] is the only caller of time.Now; tests use a [Fake].
//
// # Periods of law
//
// Regulation (EEC, Euratom) 1182/71 art. 3 says how a period of days or months is counted, and holds for all periods of Union law,
// those of the GDPR among them. [Deadline] applies it:
//
//   - the day of the event is not counted (art. 3(1))
//   - a period of months ends on the day of the same date as the event, or on the last day of a month that has no such
//     date (art. 3(2)(c)); a period of days ends with its last day (art. 3(2)(b))
//   - Saturdays, Sundays and public holidays are counted (art. 3(3)), but a period that would end on one ends with the next
//     working day (art. 3(4))
//   - a period of two days or more includes at least two working days (art. 3(5))
//
// Days are days of the controller's time zone: what arrives at 23:30 UTC arrives in Denmark on the next day. The zone files are
// compiled in. time.AddDate is not used for months, because it turns 31 January plus one month into 3 March.
//
// # Public holidays
//
// Art. 2(1) leaves them to the Member State. For Denmark they are the days of the national church: New Year's Day, Maundy Thursday, Good
// Friday, Easter Sunday and Monday, Store bededag (until 2023: abolished by act no. 214 of 7 March 2023), Ascension, Whit Sunday and
// Monday, 25 and 26 December.
//
// Constitution Day (5 June), 24 December and 31 December are not among them: they are shop-closing days, and where Danish law wants a period to
// roll past them it names them beside the public holidays (act on limitation periods, § 27(2): "på en helligdag, grundlovsdag, den 24.
// eller den 31. december"). The GDPR has no such rule of its own. Of two readings the one chosen is also the earlier one: a reply on
// 24 December is in time under either. So what arrives on 24 November 2026 is due on Thursday 24 December 2026.
//
// For zones other than Europe/Copenhagen no holidays are known and only week-ends roll, which is never later than the law of the place.
//
// # Hours
//
// The 24 and 72 hours of breach notices (GDPR art. 33 and the data-processing agreement) are elapsed hours: they run through nights,
// week-ends and changes of the clock, see [BreachNotice] and [AuthorityNotice].
package clock
