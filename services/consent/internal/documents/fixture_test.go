package documents_test

import (
	"time"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/services/consent/internal/consent"
	"github.com/privacyops/privacyops/services/consent/internal/documents"
)

func at(day int) time.Time { return time.Date(2026, 3, day, 9, 30, 0, 0, time.UTC) }

// municipal is the register of a municipality's schools: all six legal bases, transfers on every ground, and one activity that has
// ended.
func municipal() documents.Register {
	activity := func(id, purpose string, basis consent.LegalBasis, change func(a *consent.Activity)) consent.Activity {
		a := consent.Activity{Controller: "soenderby", ID: consent.ActivityID(id), Purpose: purpose, Basis: basis,
			SubjectCategories: []string{"pupils"}, Systems: []consent.SystemID{"lms"}, Locations: []string{"DK"},
			Version: 1, Author: "usr_4c1d", CreateTime: at(1), UpdateTime: at(1)}
		change(&a)
		return a
	}
	return documents.Register{
		Controller: consent.Controller{ID: "soenderby", DisplayName: "Sønderby Kommune", Jurisdiction: "DK", TimeZone: "Europe/Copenhagen", Language: "da",
			Contact: "skoler@soenderby.example, Torvet 1, 9999 Sønderby", DPO: consent.ContactPerson{Name: "Dorte Dam", Email: "dpo@soenderby.example"},
			Kind: consent.PublicAuthority},
		Activities: []consent.Activity{
			activity("canteen", "Salg af mad i skolens kantine.", consent.BasisContract, func(a *consent.Activity) {
				a.DataCategories, a.Recipients, a.Systems = []string{"identity", "payment"}, []string{"canteen-operator"}, []consent.SystemID{"canteen"}
				a.Retention = consent.Retention{Period: "P1Y"}
			}),
			activity("emergency", "Hjælp ved ulykker og alvorlig sygdom.", consent.BasisVitalInterests, func(a *consent.Activity) {
				a.DataCategories, a.SpecialCondition = []string{"allergies", "emergency"}, "c"
				a.Source, a.Retention = "Forældrene, når barnet begynder i skolen", consent.Retention{Event: "LEFT_ROSTER"}
			}),
			activity("exam-records", "Opbevaring af prøveresultater, så der kan udstedes et nyt bevis.", consent.BasisLegalObligation, func(a *consent.Activity) {
				a.DataCategories = []string{"exam-records"}
				a.Retention = consent.Retention{Period: "P10Y", Event: "EXAM_HELD", Protected: true, Ground: "Reglerne om opbevaring af prøveresultater"}
			}),
			activity("newsletter", "Et nyhedsbrev om ungdomsskolens fritidshold.", consent.BasisLegitimateInterests, func(a *consent.Activity) {
				a.DataCategories, a.SubjectCategories = []string{"contact"}, []string{"pupils", "guardians"}
				a.Recipients, a.Locations = []string{"mail-house"}, []string{"DK", "CH", "IN"}
				a.Transfers = []consent.Transfer{{Location: "CH", Ground: consent.AdequacyDecision}, {Location: "IN", Ground: consent.BindingCorporateRules}}
				a.Retention, a.DirectMarketing, a.OutsideAuthorityTasks = consent.Retention{Period: "P2M10D", Event: "CONTRACT_END"}, true, true
			}),
			activity("old-portal", "Den gamle skoleportal.", consent.BasisPublicTask, func(a *consent.Activity) {
				a.DataCategories, a.Archived, a.Version, a.UpdateTime, a.Author = []string{"identity"}, true, 2, at(9), "usr_99ab"
			}),
			activity("photos", "Deling af billeder af eleven med klassen og dens forældre.", consent.BasisConsent, func(a *consent.Activity) {
				a.DataCategories, a.Recipients, a.Locations = []string{"image"}, []string{"class-photos"}, []string{"DK", "US"}
				a.Transfers = []consent.Transfer{{Location: "US", Ground: consent.StandardClauses, Safeguard: "skriv til dpo@soenderby.example"}}
				a.Retention = consent.Retention{Period: "P1M", Event: "CONSENT_WITHDRAWN"}
			}),
			activity("teaching", "Undervisning på læringsplatformen: opgaver, afleveringer, vejledning og fravær.", consent.BasisPublicTask, func(a *consent.Activity) {
				a.DataCategories = []string{"identity", "enrolment", "assignments", "assessment", "usage", "reading-level"}
				a.SubjectCategories, a.Recipients = []string{"pupils", "teachers"}, []string{"publisher"}
				a.Systems, a.Locations = []consent.SystemID{"lms", "helpdesk"}, []string{"DK", "IE", "PH"}
				a.Transfers = []consent.Transfer{{Location: "PH", Ground: consent.Derogation}}
				a.Source, a.Retention = "UNI-Login", consent.Retention{Period: "P6M", Event: "LEFT_ROSTER"}
				a.AutomatedDecisions, a.Version, a.UpdateTime, a.Author = true, 3, at(20), "usr_99ab"
			}),
		},
		Versions: map[consent.ActivityID][]documents.Version{
			"teaching": {{Number: 1, Author: "usr_4c1d", Time: at(1)}, {Number: 2, Author: "usr_4c1d", Time: at(12)}, {Number: 3, Author: "usr_99ab", Time: at(20)}},
		},
		Systems: []consent.System{
			{Controller: "soenderby", ID: "canteen", DisplayName: "Kantinen", OperatedBy: "Madhuset ApS", Location: "DK"},
			{Controller: "soenderby", ID: "helpdesk", DisplayName: "Support", OperatedBy: "Plan & Bog A/S", Location: "IE"},
			{Controller: "soenderby", ID: "lms", DisplayName: "Læringsplatform", OperatedBy: "Plan & Bog A/S", Location: "DK"},
		},
		Made: clock.Date{Year: 2026, Month: time.March, Day: 21},
	}
}

// minimal is a register with gaps, of a school outside the EEA.
func minimal() documents.Register {
	return documents.Register{
		Controller: consent.Controller{ID: "hill", DisplayName: "Hill School", Jurisdiction: "GB", TimeZone: "Europe/London", Language: "en"},
		Activities: []consent.Activity{
			{Controller: "hill", ID: "homework", Purpose: "Homework.", Basis: consent.BasisPublicTask, Version: 1, Author: "usr_1", CreateTime: at(2), UpdateTime: at(2),
				Systems: []consent.SystemID{"gone-platform"}, Locations: []string{"US"}},
		},
		Systems: []consent.System{{Controller: "hill", ID: "books", DisplayName: "Books"}},
		Made:    clock.Date{Year: 2026, Month: time.January, Day: 1},
	}
}

// printing is a way to print a document of a register.
type printing struct {
	name  string
	bytes func(documents.Register) (documents.Document, error)
}

var (
	languages = []documents.Language{documents.Danish, documents.English}
	audiences = map[string]documents.Audience{"subject": documents.Subject, "guardian": documents.Guardian}
	records   = map[string]documents.Perspective{"controller": documents.OfController, "processor": documents.OfProcessor}
)

// every is every document in every language and format.
func every() []printing {
	var out []printing
	for _, l := range languages {
		for name, to := range audiences {
			for _, f := range []documents.Format{documents.Markdown, documents.HTML} {
				out = append(out, printing{"notice-" + name + "." + string(l) + "." + string(f),
					func(r documents.Register) (documents.Document, error) { return documents.Notice(r, l, to, f) }})
			}
		}
		for name, of := range records {
			for _, f := range []documents.Format{documents.Markdown, documents.CSV, documents.JSON} {
				out = append(out, printing{"record-" + name + "." + string(l) + "." + string(f), func(r documents.Register) (documents.Document, error) {
					r.Controller.Language = string(l)
					return documents.RecordOfProcessing(r, of, f)
				}})
			}
		}
		for _, f := range []documents.Format{documents.Markdown, documents.JSON} {
			out = append(out, printing{"assessment." + string(l) + "." + string(f),
				func(r documents.Register) (documents.Document, error) {
					return documents.ImpactAssessmentInput(r, l, f)
				}})
		}
	}
	return out
}

// failer ends a test or one try of a property.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

func (p printing) of(t failer, r documents.Register) string {
	t.Helper()
	d, err := p.bytes(r)
	if err != nil {
		t.Fatalf("%s: %v", p.name, err)
	}
	return string(d.Body)
}
