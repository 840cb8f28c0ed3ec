package consent

import (
	"slices"
	"strings"
	"time"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/fault"
)

// Activity is one version of one purpose of processing under exactly one legal basis (GDPR art. 5(1)(b), 6(1), 30). A
// version never changes; a change is the next version.
type Activity struct {
	Controller ControllerID
	ID         ActivityID
	// Purpose in words a parent can read.
	Purpose string
	Basis   LegalBasis
	// SpecialCondition is the point of art. 9(2), `a` … `j`; empty where no special category is processed.
	SpecialCondition  string
	DataCategories    []string
	SubjectCategories []string
	// Recipients that are instructed to receive the data (art. 4(9)).
	Recipients []string
	Systems    []SystemID
	// Locations are the approved places of processing, ISO 3166-1 alpha-2.
	Locations []string
	Retention Retention
	// Source of data that does not come from the person (art. 14(2)(f)).
	Source string
	// AutomatedDecisions says whether decisions are made by automated means alone (art. 22).
	AutomatedDecisions bool
	// DirectMarketing says that this is the purpose: an objection to it is absolute (art. 21(3)).
	DirectMarketing bool
	// Transfers are the grounds of transfers to places outside the EEA, one for each of the locations that is one.
	Transfers []Transfer
	// OutsideAuthorityTasks says that the activity is no part of the tasks of a controller that is a public authority.
	OutsideAuthorityTasks bool

	// Version is the number of this version, from 1.
	Version int64
	// Archived says that the activity has ended with this version.
	Archived bool
	// Author is who made this version.
	Author ActorRef
	// CreateTime is when the first version was made, UpdateTime when this one was.
	CreateTime time.Time
	UpdateTime time.Time
}

// Retention says how long data is kept for one activity, and on what ground it outlives a request for erasure.
type Retention struct {
	// Period is an ISO 8601 period; empty where none is set.
	Period string
	// Event is what starts the period.
	Event string
	// Protected data is kept although its erasure is asked for (art. 17(3)).
	Protected bool
	// Ground is the law or reason that protects it.
	Ground string
}

// Objectionable reports whether a person may object to the activity: to a public task and legitimate interests (GDPR art. 21(1)),
// and to direct marketing whatever its basis (art. 21(2)).
func (a Activity) Objectionable() bool { return a.DirectMarketing || a.Basis.Objectionable() }

// Check applies the rules of the register that an activity keeps whoever the controller is; for the others see
// [Activity.CheckUnder]. The fault is Invalid; its message names the article.
func (a Activity) Check() error {
	for _, rule := range activityRules {
		if rule.broken(a) {
			return broken(rule.reason, "activity."+rule.field, rule.says+" (GDPR art. "+rule.article+").")
		}
	}
	return nil
}

// CheckUnder applies the rules that depend on what the controller is. The fault is Invalid; its message names the article.
func (a Activity) CheckUnder(c Controller) error {
	if !a.barredTo(c) {
		return nil
	}
	return broken("LEGITIMATE_INTERESTS_OF_AUTHORITY", "activity.legal_basis",
		"A public authority does not process on legitimate interests in the performance of its tasks; name the public task or legal "+
			"obligation, or say outside_authority_tasks (GDPR art. 6(1), second subparagraph).")
}

// barredTo reports whether a controller may not have the activity.
func (a Activity) barredTo(c Controller) bool {
	return c.Kind == PublicAuthority && a.Basis == BasisLegitimateInterests && !a.OutsideAuthorityTasks && !a.Archived
}

func broken(reason, field, message string) error {
	return fault.New(fault.Invalid, reason, message).WithViolations([]fault.Violation{{Field: field, Description: message}})
}

// activityRules are tried in this order. What says is a sentence without its full stop.
var activityRules = []struct {
	reason, field, article, says string
	broken                       func(Activity) bool
}{
	{"LEGAL_BASIS_REQUIRED", "legal_basis", "6(1)",
		"An activity has exactly one of the six legal bases; for two bases register two activities",
		func(a Activity) bool { return !a.Basis.Known() }},
	{"RETENTION_PERIOD_INVALID", "retention.period", "5(1)(e)",
		"The retention period needs a length in years, months or days, for example P6M",
		func(a Activity) bool { return !validPeriod(a.Retention.Period) }},
	{"CONSENT_CANNOT_PROTECT", "retention.protected", "17(1)(b)",
		"What rests on consent is erased when the consent is withdrawn, so its retention cannot be protected; " +
			"if a law requires keeping the data, register that as an activity of its own",
		func(a Activity) bool { return a.Basis == BasisConsent && a.Retention.Protected }},
	{"RETENTION_GROUND_REQUIRED", "retention.ground", "17(3)",
		"Data that is kept although its erasure is asked for needs the law or reason in retention.ground",
		func(a Activity) bool { return a.Retention.Protected && strings.TrimSpace(a.Retention.Ground) == "" }},
	{"SPECIAL_CATEGORY_CONDITION_REQUIRED", "special_category_condition", "9(2)",
		"Special categories of personal data need a condition, a to j, in special_category_condition",
		func(a Activity) bool {
			return a.SpecialCondition == "" && slices.ContainsFunc(a.DataCategories, Special)
		}},
	{"TRANSFER_GROUND_REQUIRED", "transfers", "44-46",
		"A place of processing outside the EEA needs the ground of the transfer in transfers",
		func(a Activity) bool {
			return slices.ContainsFunc(a.Locations, func(l string) bool { return !InEEA(l) && a.transfersTo(l) == 0 })
		}},
	{"TRANSFER_UNFOUNDED", "transfers", "44",
		"A transfer is to one of the activity's locations that lies outside the EEA, and each of them has one",
		func(a Activity) bool {
			return slices.ContainsFunc(a.Transfers, func(t Transfer) bool {
				return InEEA(t.Location) || !slices.Contains(a.Locations, t.Location) || a.transfersTo(t.Location) > 1
			})
		}},
}

func validPeriod(p string) bool {
	if p == "" {
		return true
	}
	_, err := clock.ParsePeriod(p)
	return err == nil
}

// specialWords are words of category ids that mean one of the special categories of art. 9(1).
var specialWords = []string{
	"race", "racial", "ethnic", "ethnicity", // racial or ethnic origin
	"political",                                                   // political opinions
	"religion", "religious", "belief", "beliefs", "philosophical", // religious or philosophical beliefs
	"union",               // trade-union membership
	"genetic", "genetics", // genetic data
	"biometric", "biometrics", "fingerprint", "fingerprints", // biometric data for identifying a person
	"health", "medical", "diagnosis", "diagnoses", "disability", // data concerning health
	"allergy", "allergies", "medication", // the same, as schools write it
	"sexual", "sexuality", // sex life or sexual orientation
}

// Special reports whether a data category is a special one (GDPR art. 9(1)), by the words in its id: `health`,
// `health-notes` and `ethnic-origin` are. It catches what is named as such; whether a category with another name holds
// special data remains the controller's to say.
func Special(category string) bool {
	words := strings.Split(category, "-")
	return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(specialWords, w) }) ||
		strings.Contains(category, "sex-life")
}
