package consent

import (
	"slices"
	"time"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/fault"
)

// Capacity is how somebody may speak for the person, by its name in the contract.
type Capacity string

// The capacities.
const (
	// Self is the person themselves.
	Self Capacity = "SELF"
	// Guardian is a holder of parental responsibility (GDPR art. 8(1)).
	Guardian Capacity = "GUARDIAN"
)

// State is where a consent stands, by its name in the contract.
type State string

// The states.
const (
	Given     State = "GIVEN"
	Withdrawn State = "WITHDRAWN"
	Expired   State = "EXPIRED"
)

// Consent is one agreement of one person to one activity (GDPR art. 4(11)).
type Consent struct {
	Controller      ControllerID
	ID              ConsentID
	Activity        ActivityID
	ActivityVersion int64
	// Subjects are the pseudonyms under which it was given, the one that was named first in front. Never empty.
	Subjects []SubjectRef
	Capacity Capacity
	// Reference is the platform's own reference to who gave it.
	Reference string
	// Sufficient says that whoever gave it was old enough to, or spoke for the child (art. 8(1)).
	Sufficient bool
	GiveTime   time.Time
	// WithdrawTime is zero while it is not withdrawn.
	WithdrawTime time.Time
	// ExpireTime is zero where it does not end by itself.
	ExpireTime time.Time
	Evidence   string
	// Text that was shown when it was asked for; zero where that is not known.
	Text ShownText
	// GiveRevision and WithdrawRevision give the order of acts; the second is 0 while it is not withdrawn.
	GiveRevision     Revision
	WithdrawRevision Revision
}

// StateAt tells where the consent stands at a moment. From its expire time on it is expired; a withdrawal stays a
// withdrawal.
func (c Consent) StateAt(now time.Time) State {
	switch {
	case c.WithdrawRevision != 0:
		return Withdrawn
	case !c.ExpireTime.IsZero() && !now.Before(c.ExpireTime):
		return Expired
	}
	return Given
}

// LastAct is the revision at which it was given or, if later, withdrawn.
func (c Consent) LastAct() Revision { return max(c.GiveRevision, c.WithdrawRevision) }

// ShownText names the text that a consent was given to, so that it can be shown later what the person has read (GDPR art. 7(1)).
// The text itself stays with the platform.
type ShownText struct {
	// Version is the platform's own number or date of it.
	Version string
	// Language is a BCP 47 tag.
	Language string
	// SHA256 of the text, hexadecimal.
	SHA256 string
}

// Giving is a consent about to be recorded. It is to one activity, which has one purpose: a consent to several things at once
// (GDPR recital 43) cannot be said. Nor can when it was given, which is when it is recorded: there is no consent in arrears.
type Giving struct {
	ID       ConsentID
	Subjects []SubjectRef
	Capacity Capacity
	// Reference is the platform's own reference to who gives it.
	Reference string
	// BirthDate of the person; nil where the platform does not say. It is used here and kept nowhere.
	BirthDate  *clock.Date
	ExpireTime time.Time
	Evidence   string
	Text       ShownText
}

// Give makes a consent of it. The faults are Invalid (UNKNOWN_ACTIVITY, NOT_CONSENT_BASED, BIRTH_DATE_REQUIRED, a bad field) or
// Precondition (ACTIVITY_ARCHIVED, OF_AGE). A nil activity is an unknown one.
//
// Without a date of birth nobody can tell whether who consents alone is old enough to. Where the activity concerns children, by its
// subject categories, such a consent is not sufficient; where it does not, it is. [Renew] cannot do without the date either.
func Give(g Giving, c Controller, a *Activity, now time.Time, rev Revision) (Consent, error) {
	if err := givable(a); err != nil {
		return Consent{}, err
	}
	if !g.ExpireTime.IsZero() && !g.ExpireTime.After(now) {
		return Consent{}, fault.BadField("expire_time", "is past; a consent ends in the future")
	}
	sufficient, err := g.sufficient(c, *a, now)
	if err != nil {
		return Consent{}, err
	}
	expires, err := g.end(c, now)
	if err != nil {
		return Consent{}, err
	}
	return Consent{
		Controller: c.ID, ID: g.ID, Activity: a.ID, ActivityVersion: a.Version, Subjects: g.Subjects,
		Capacity: g.Capacity, Reference: g.Reference, Sufficient: sufficient,
		GiveTime: now, ExpireTime: expires, Evidence: g.Evidence, Text: g.Text, GiveRevision: rev,
	}, nil
}

func givable(a *Activity) error {
	switch {
	case a == nil:
		return fault.New(fault.Invalid, "UNKNOWN_ACTIVITY",
			"The controller has registered no activity with this id. Register it before consent to it is asked for.")
	case a.Archived:
		return fault.New(fault.Precondition, "ACTIVITY_ARCHIVED",
			"The activity has ended, so there is nothing left to consent to.")
	case a.Basis != BasisConsent:
		return fault.Newf(fault.Invalid, "NOT_CONSENT_BASED",
			"The activity rests on GDPR art. %s, not on consent. Asking for a consent that could not be refused would mislead the person.",
			a.Basis.Article()).With("legalBasis", string(a.Basis))
	}
	return nil
}

func (g Giving) sufficient(c Controller, a Activity, now time.Time) (bool, error) {
	zone, err := c.Zone()
	if err != nil {
		return false, err
	}
	today := clock.DateOf(now, zone)
	switch {
	case g.BirthDate == nil:
		return g.Capacity == Guardian || !slices.ContainsFunc(a.SubjectCategories, Children), nil
	case today.Before(*g.BirthDate):
		return false, fault.BadField("subject_birth_date", "lies in the future")
	}
	return g.Capacity == Guardian || OldEnough(c.Jurisdiction, *g.BirthDate, today), nil
}

// end is when the consent ends by itself: when it says so, and under [Renew] no later than the child can be asked.
func (g Giving) end(c Controller, now time.Time) (time.Time, error) {
	if c.AgePolicy != Renew || g.Capacity != Guardian {
		return g.ExpireTime, nil
	}
	if g.BirthDate == nil {
		return time.Time{}, fault.New(fault.Invalid, "BIRTH_DATE_REQUIRED",
			"This controller has guardians' consents end when the child may consent alone (GDPR art. 8(1)), which takes the child's date of birth. "+
				"Send it in subject_birth_date; it is used to compute that day and not kept.").
			WithViolations([]fault.Violation{{Field: "subject_birth_date", Description: "is needed for a guardian's consent under the age policy RENEW"}})
	}
	zone, err := c.Zone()
	if err != nil {
		return time.Time{}, err
	}
	today := clock.DateOf(now, zone)
	if OldEnough(c.Jurisdiction, *g.BirthDate, today) {
		return time.Time{}, fault.New(fault.Precondition, "OF_AGE",
			"The person is old enough to consent alone (GDPR art. 8(1)), and this controller then asks them, not a guardian.")
	}
	reached := startOf(ReachesAge(c.Jurisdiction, *g.BirthDate, today), zone)
	if !g.ExpireTime.IsZero() && g.ExpireTime.Before(reached) {
		return g.ExpireTime, nil
	}
	return reached, nil
}

// Withdrawing lists what ends when the named consents are withdrawn: the named ones, and of the linked ones (those of the
// same activity that share an identifier with a named one) the ones that are certainly the same person's, so that an
// earlier consent does not come to light again under another of the person's identifiers.
//
// A named consent that is withdrawn already takes nothing with it: a repeated withdrawal must not end a consent that was
// given in between. What is withdrawn already is left out.
//
// Certain means that all identifiers of one consent are among the other's, where those that links join are the same. Two consents
// that each have an identifier of their own may be two children's with one parent's address, and are left alone.
func Withdrawing(named, linked []Consent, links Links) []ConsentID {
	var ids []ConsentID
	for _, c := range slices.Concat(named, linked) {
		same := slices.ContainsFunc(named, func(n Consent) bool {
			return n.WithdrawRevision == 0 && n.Activity == c.Activity &&
				(links.within(n.Subjects, c.Subjects) || links.within(c.Subjects, n.Subjects))
		})
		if same && c.WithdrawRevision == 0 && !slices.Contains(ids, c.ID) {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

// within reports whether everybody behind a is behind b too.
func (l Links) within(a, b []SubjectRef) bool {
	return within(l.persons(a), l.persons(b))
}

// persons gives for each ref what stands for its person, or the ref where it is linked to nothing.
func (l Links) persons(refs []SubjectRef) []SubjectRef {
	out := make([]SubjectRef, len(refs))
	for i, ref := range refs {
		out[i], _ = l.PersonOf(ref)
	}
	return out
}

func within(a, b []SubjectRef) bool {
	return !slices.ContainsFunc(a, func(r SubjectRef) bool { return !slices.Contains(b, r) })
}
