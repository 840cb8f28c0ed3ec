package consent

import (
	"slices"
	"time"
)

// Question asks whether data about a person may be processed. Who the person is, is in the [Snapshot].
type Question struct {
	Activity ActivityID
	// Recipient who would receive the data; empty: the processor itself.
	Recipient      string
	DataCategories []string
	// Location of the processing, ISO 3166-1 alpha-2; empty: where the activity says.
	Location string
}

// Snapshot is what is known at one moment of what the question is about.
type Snapshot struct {
	Now time.Time
	// Activity in its newest version; nil where the controller has none with that id.
	Activity *Activity
	// Erased: the person behind one of the identifiers was erased (GDPR art. 17).
	Erased bool
	// Restricted: processing of the person's data is restricted (art. 18).
	Restricted bool
	// Objected: the person has objected to the activity, and the objection is open or upheld (art. 21).
	Objected bool
	// Consent that counts, as [StandingOf] finds it; nil where there is none.
	Consent *Consent
	// Stale: the asker has seen a newer state than this one.
	Stale bool
}

// SnapshotOf puts together what is known of one question: the activity, nil where it is unknown, and the persons behind each of
// the pseudonyms that were asked about, who are taken as one.
func SnapshotOf(activity *Activity, people []Person, now time.Time) Snapshot {
	s := Snapshot{Activity: activity, Now: now}
	s.Erased = slices.ContainsFunc(people, func(p Person) bool { return p.Erased })
	if activity == nil {
		return s
	}
	s.Restricted = slices.ContainsFunc(people, func(p Person) bool { return p.isRestricted(activity.ID) })
	s.Objected = slices.ContainsFunc(people, func(p Person) bool { return p.hasObjected(activity.ID) })
	if activity.Basis == BasisConsent {
		s.Consent = StandingOf(people, activity.ID)
	}
	return s
}

// Reason says why, by its name in the contract.
type Reason string

// The reasons, in the order in which they are tried.
const (
	LegalBasisHolds         Reason = "LEGAL_BASIS_HOLDS"
	ConsentHolds            Reason = "CONSENT_HOLDS"
	UnknownActivity         Reason = "UNKNOWN_ACTIVITY"
	ActivityArchived        Reason = "ACTIVITY_ARCHIVED"
	RecipientNotInstructed  Reason = "RECIPIENT_NOT_INSTRUCTED"
	LocationNotApproved     Reason = "LOCATION_NOT_APPROVED"
	DataCategoryNotCovered  Reason = "DATA_CATEGORY_NOT_COVERED"
	SubjectErased           Reason = "SUBJECT_ERASED"
	Restricted              Reason = "RESTRICTED"
	Objected                Reason = "OBJECTED"
	NoConsent               Reason = "NO_CONSENT"
	ConsentWithdrawn        Reason = "CONSENT_WITHDRAWN"
	ConsentExpired          Reason = "CONSENT_EXPIRED"
	GuardianConsentRequired Reason = "GUARDIAN_CONSENT_REQUIRED"
	FreshnessUnprovable     Reason = "FRESHNESS_UNPROVABLE"
)

// Decision is the answer.
type Decision struct {
	Allowed bool
	Reason  Reason
	// Basis of the activity; empty where the activity is unknown.
	Basis LegalBasis
	// Version of the activity that was decided on; 0 where it is unknown.
	Version int64
	// Consent that decided; empty where none did.
	Consent ConsentID
	// ExpireTime is when a yes ends without any change, because the consent that it rests on expires; zero where it does not.
	ExpireTime time.Time
}

// Decide answers a question from a snapshot. It allows only when no reason to deny holds.
func Decide(q Question, s Snapshot) Decision {
	d := Decision{Allowed: true, Reason: LegalBasisHolds}
	if s.Activity != nil {
		d.Basis, d.Version = s.Activity.Basis, s.Activity.Version
	}
	if d.Basis == BasisConsent {
		d.Reason = ConsentHolds
	}
	if i := slices.IndexFunc(denials, func(r denial) bool { return r.holds(q, s) }); i >= 0 {
		d.Allowed, d.Reason = false, denials[i].reason
	}
	if aboutConsent[d.Reason] && s.Consent != nil {
		d.Consent = s.Consent.ID
	}
	if d.Reason == ConsentHolds {
		d.ExpireTime = s.Consent.ExpireTime
	}
	return d
}

// aboutConsent are the reasons for which a particular consent decided.
var aboutConsent = map[Reason]bool{ConsentHolds: true, ConsentWithdrawn: true, ConsentExpired: true, GuardianConsentRequired: true}

// denial is a reason to deny. Its test may rely on the reasons before it not holding.
type denial struct {
	reason Reason
	holds  func(Question, Snapshot) bool
}

// denials in the order in which they are tried: first what the controller has instructed, then the person's rights, then
// the consent, and last whether the snapshot is good enough to say yes from.
var denials = []denial{
	{UnknownActivity, func(_ Question, s Snapshot) bool { return s.Activity == nil }},
	{ActivityArchived, func(_ Question, s Snapshot) bool { return s.Activity.Archived }},
	{RecipientNotInstructed, func(q Question, s Snapshot) bool {
		return q.Recipient != "" && !slices.Contains(s.Activity.Recipients, q.Recipient)
	}},
	{LocationNotApproved, func(q Question, s Snapshot) bool {
		return q.Location != "" && !slices.Contains(s.Activity.Locations, q.Location)
	}},
	{DataCategoryNotCovered, func(q Question, s Snapshot) bool {
		return slices.ContainsFunc(q.DataCategories, func(c string) bool { return !slices.Contains(s.Activity.DataCategories, c) })
	}},
	{SubjectErased, func(_ Question, s Snapshot) bool { return s.Erased }},
	{Restricted, func(_ Question, s Snapshot) bool { return s.Restricted }},
	{Objected, func(_ Question, s Snapshot) bool { return s.Objected && s.Activity.Objectionable() }},
	{NoConsent, consentBased(func(s Snapshot) bool { return s.Consent == nil })},
	{ConsentWithdrawn, consentBased(func(s Snapshot) bool { return s.Consent.StateAt(s.Now) == Withdrawn })},
	{ConsentExpired, consentBased(func(s Snapshot) bool { return s.Consent.StateAt(s.Now) == Expired })},
	{GuardianConsentRequired, consentBased(func(s Snapshot) bool { return !s.Consent.Sufficient })},
	{FreshnessUnprovable, func(_ Question, s Snapshot) bool { return s.Stale }},
}

// consentBased limits a test to activities that rest on consent: with another basis a consent is neither needed nor does
// its withdrawal change anything.
func consentBased(holds func(Snapshot) bool) func(Question, Snapshot) bool {
	return func(_ Question, s Snapshot) bool { return s.Activity.Basis == BasisConsent && holds(s) }
}
