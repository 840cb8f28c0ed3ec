package documents

import "github.com/privacyops/privacyops/services/consent/internal/consent"

// categories are the categories of data that schools commonly name, in words. They fit in the middle of a sentence.
var categories = map[string]text{
	"identity":        {"identitet, for eksempel navn og brugernavn", "identity, such as name and user name"},
	"contact":         {"kontaktoplysninger", "contact details"},
	"enrolment":       {"skole, klasse og hold", "school, class and groups"},
	"groups":          {"klasse og hold", "class and groups"},
	"assignments":     {"opgaver og afleveringer", "assignments and what is handed in"},
	"school-work":     {"opgaver og andet skolearbejde", "assignments and other school work"},
	"assessment":      {"vurderinger og tilbagemeldinger", "assessments and feedback"},
	"grades":          {"karakterer", "grades"},
	"marks":           {"karakterer", "marks"},
	"exam-records":    {"prøver og prøveresultater", "exams and their results"},
	"attendance":      {"fremmøde og fravær", "attendance and absence"},
	"communication":   {"beskeder", "messages"},
	"support":         {"spørgsmål til support", "questions to support"},
	"usage":           {"brug af systemet, for eksempel hvornår der er logget ind", "use of the system, such as when somebody logs in"},
	"login":           {"login", "logins"},
	"ip-address":      {"IP-adresse", "IP address"},
	"device":          {"oplysninger om computer eller telefon", "information about the computer or phone"},
	"location":        {"hvor personen befinder sig", "where the person is"},
	"image":           {"billeder", "pictures"},
	"photos":          {"fotos", "photos"},
	"video":           {"video", "video"},
	"health":          {"helbred", "health"},
	"allergies":       {"allergier", "allergies"},
	"medication":      {"medicin", "medication"},
	"religion":        {"religion", "religion"},
	"ethnic-origin":   {"etnisk oprindelse", "ethnic origin"},
	"special-needs":   {"behov for særlig støtte", "need of special support"},
	"guardians":       {"forældre og andre med forældremyndighed", "parents and others with parental responsibility"},
	"payment":         {"betaling", "payment"},
	"emergency":       {"kontakt ved ulykke eller sygdom", "whom to call in an emergency"},
	"national-id":     {"personnummer", "national identification number"},
	"interests":       {"interesser", "interests"},
	"self-evaluation": {"elevens egen vurdering", "self-evaluation"},
}

// people are categories of people.
var people = map[string]text{
	"pupils": {"elever", "pupils"}, "students": {"studerende", "students"}, "children": {"børn", "children"},
	"teachers": {"lærere", "teachers"}, "educators": {"pædagoger", "educators"}, "staff": {"medarbejdere", "staff"},
	"administrators": {"administrativt personale", "administrative staff"}, "guardians": {"forældre og andre med forældremyndighed", "parents and others with parental responsibility"},
	"parents": {"forældre", "parents"}, "guests": {"gæster", "guests"},
}

// events start a period of keeping. They stand after "efter" or "after".
var events = map[string]text{
	"LEFT_ROSTER":       {"udmeldelse fra skolen", "leaving the school"},
	"COURSE_END":        {"forløbets afslutning", "the end of the course"},
	"SCHOOL_YEAR_END":   {"skoleårets afslutning", "the end of the school year"},
	"CONTRACT_END":      {"aftalens ophør", "the end of the agreement"},
	"CONSENT_WITHDRAWN": {"det tidspunkt, hvor samtykket blev trukket tilbage", "the consent has been withdrawn"},
	"EXAM_HELD":         {"prøven", "the exam"},
	"LAST_LOGIN":        {"sidste login", "the last login"},
	"CASE_CLOSED":       {"sagens afslutning", "the end of the case"},
	"COLLECTED":         {"det tidspunkt, hvor oplysningerne blev indsamlet", "the information was collected"},
}

// bases name the legal bases for those who work with them.
var bases = map[consent.LegalBasis]text{
	consent.BasisConsent:             {"Samtykke", "Consent"},
	consent.BasisContract:            {"Kontrakt", "Contract"},
	consent.BasisLegalObligation:     {"Retlig forpligtelse", "Legal obligation"},
	consent.BasisVitalInterests:      {"Vitale interesser", "Vital interests"},
	consent.BasisPublicTask:          {"Opgave i samfundets interesse eller offentlig myndighedsudøvelse", "Task in the public interest or official authority"},
	consent.BasisLegitimateInterests: {"Legitime interesser", "Legitimate interests"},
}

// conditions are those of GDPR art. 9(2), by their point. They end the sentence "they may be used …".
var conditions = map[string]text{
	"a": {"når der er givet udtrykkeligt samtykke", "when explicit consent has been given"},
	"b": {"fordi det er nødvendigt efter reglerne om arbejde og social sikring", "because the rules on employment and social security require it"},
	"c": {"fordi det er nødvendigt for at beskytte nogens liv eller helbred, når personen ikke selv kan sige ja", "because it is necessary to protect somebody's life or health when the person cannot consent"},
	"d": {"fordi det sker i en forening uden gevinst for øje og kun handler om dens egne medlemmer og kontakter", "because it happens in a non-profit association and is only about its own members and contacts"},
	"e": {"fordi personen selv tydeligt har gjort dem offentlige", "because the person has clearly made it public"},
	"f": {"fordi det er nødvendigt for et retskrav eller en sag ved domstolene", "because it is necessary for a legal claim or for a court"},
	"g": {"fordi vigtige samfundsinteresser kræver det, og en lov tillader det", "because important public interests require it and a law allows it"},
	"h": {"fordi det er nødvendigt for sundhed eller social omsorg, og en lov eller en aftale med en sundhedsperson tillader det", "because it is necessary for health or social care, and a law or a contract with a health professional allows it"},
	"i": {"fordi det er nødvendigt for folkesundheden, og en lov tillader det", "because it is necessary for public health, and a law allows it"},
	"j": {"fordi det er nødvendigt for arkiver, forskning eller statistik, og en lov tillader det", "because it is necessary for archives, research or statistics, and a law allows it"},
}

// transferGrounds say why a transfer is allowed. They follow the name of a country and a colon.
var transferGrounds = map[consent.TransferGround]text{
	consent.AdequacyDecision: {"EU-Kommissionen har besluttet, at oplysningerne er godt nok beskyttet der (GDPR artikel 45).",
		"The European Commission has decided that information is protected well enough there (GDPR Article 45)."},
	consent.StandardClauses: {"Modtageren har skrevet under på EU's standardkontrakt om beskyttelse af oplysninger (GDPR artikel 46, stk. 2, litra c).",
		"The recipient has signed the EU's standard contract on the protection of data (GDPR Article 46(2)(c))."},
	consent.BindingCorporateRules: {"Modtageren hører til en koncern med bindende regler, som en myndighed har godkendt (GDPR artikel 47).",
		"The recipient belongs to a group with binding rules that an authority has approved (GDPR Article 47)."},
	consent.Derogation: {"Det bygger på en undtagelse for særlige situationer (GDPR artikel 49).",
		"It rests on an exception for specific situations (GDPR Article 49)."},
}
