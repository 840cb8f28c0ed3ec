package sample

// System is the id of the learning platform: of the system in the register, of its participant, and in its data map.
const System = "learning-platform"

var institutionNumbers = map[string]string{Controller: "A0A001", OtherController: "A0A002"}

// School is a controller of the sample, as the register wants it.
type School struct {
	// ID is the controller's id.
	ID string
	// Name for people.
	Name string
	// InstitutionNumber is the school's number in the national roster.
	InstitutionNumber string
	// Contact and DPOEmail are e-mail addresses.
	Contact, DPOName, DPOEmail string
}

// Schools are the two controllers.
func Schools() []School {
	school := func(id, name string) School {
		return School{ID: id, Name: name, InstitutionNumber: institutionNumbers[id],
			Contact: "kontor." + id + "@skole.example", DPOName: "Databeskyttelsesrådgiveren", DPOEmail: "dpo." + id + "@skole.example"}
	}
	return []School{school(Controller, "Sønderskolen"), school(OtherController, "Vesterskolen")}
}

// Activity is a processing activity, as the register wants it (GDPR art. 30).
type Activity struct {
	// ID is the activity's id; the data map names activities by it.
	ID string
	// Purpose is what the data is processed for, in words that a parent can read.
	Purpose string
	// LegalBasis is the one ground of GDPR article 6(1), as the proto privacyops.type.v1.LegalBasis names it.
	LegalBasis string
	// DataCategories are those of the data map's datasets.
	DataCategories []string
	// SubjectCategories are categories of people.
	SubjectCategories []string
	// Recipients are ids of those who are instructed to receive the data (GDPR art. 4(9)).
	Recipients []string
	// Systems and Locations say where it happens; locations are ISO 3166-1 alpha-2.
	Systems, Locations []string
	// RetentionPeriod is an ISO 8601 period, counted from RetentionEvent.
	RetentionPeriod, RetentionEvent string
	// Protected is set where data must be kept although its erasure is asked for (GDPR art. 17(3)), on the law in Ground.
	Protected bool
	Ground    string
}

// Activities are three activities of each school: one on a public task, one on consent, one on a legal obligation.
func Activities() []Activity {
	return []Activity{
		{
			ID:                "teaching",
			Purpose:           "Undervisning på læringsplatformen: opgaver, afleveringer, vejledning og fravær.",
			LegalBasis:        "PUBLIC_TASK",
			DataCategories:    []string{"identity", "enrolment", "school-work", "assessment", "communication", "support", "usage", "attendance"},
			SubjectCategories: []string{"pupils", "teachers"}, Recipients: []string{"opgaveforlaget"},
			Systems: []string{System}, Locations: []string{"DK"},
			RetentionPeriod: "P6M", RetentionEvent: "LEFT_ROSTER",
		},
		{
			ID:             "photo-sharing",
			Purpose:        "Deling af billeder af eleven med klassen og dens forældre.",
			LegalBasis:     "CONSENT",
			DataCategories: []string{"image"}, SubjectCategories: []string{"pupils"}, Recipients: []string{"klassebilleder"},
			Systems: []string{System}, Locations: []string{"DK"},
			RetentionPeriod: "P1M", RetentionEvent: "CONSENT_WITHDRAWN",
		},
		{
			ID:             "exam-records",
			Purpose:        "Opbevaring af prøveresultater, så der kan udstedes et nyt bevis.",
			LegalBasis:     "LEGAL_OBLIGATION",
			DataCategories: []string{"exam-records"}, SubjectCategories: []string{"pupils"},
			Systems: []string{System}, Locations: []string{"DK"},
			RetentionPeriod: "P10Y", RetentionEvent: "EXAM_HELD",
			Protected: true, Ground: "Reglerne om skolens pligt til at opbevare prøveresultater (GDPR art. 17(3)(b))",
		},
	}
}
