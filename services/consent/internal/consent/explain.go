package consent

// Text is a text for people in the languages of the suite.
type Text struct{ DA, EN string }

// Explain puts the reason of a decision into words, with its article: of one about now, or of one about a moment in the past.
func Explain(d Decision, past bool) Text {
	t := explanations[d.Reason]
	if past {
		t = explanationsThen[d.Reason]
	}
	if d.Reason == LegalBasisHolds {
		t.DA += grounds[d.Basis].DA + " (GDPR art. " + d.Basis.Article() + ")."
		t.EN += grounds[d.Basis].EN + " (GDPR art. " + d.Basis.Article() + ")."
	}
	return t
}

// grounds name the bases that hold without consent, to end the sentence of [LegalBasisHolds].
var grounds = map[LegalBasis]Text{
	BasisContract:            {"en aftale med personen", "a contract with the person"},
	BasisLegalObligation:     {"en retlig forpligtelse", "a legal obligation"},
	BasisVitalInterests:      {"vitale interesser", "vital interests"},
	BasisPublicTask:          {"en opgave i samfundets interesse eller myndighedsudøvelse", "a task in the public interest or official authority"},
	BasisLegitimateInterests: {"en legitim interesse", "legitimate interests"},
}

// explanations of decisions about now.
var explanations = map[Reason]Text{
	LegalBasisHolds: {
		"Behandlingen er tilladt uden samtykke. Grundlaget er ",
		"The processing is allowed without consent. It rests on "},
	ConsentHolds: {
		"Behandlingen er tilladt: der er givet samtykke, og det er ikke trukket tilbage (GDPR art. 6(1)(a)).",
		"The processing is allowed: consent was given and has not been withdrawn (GDPR art. 6(1)(a))."},
	UnknownActivity: {
		"Behandlingen er ikke tilladt: den dataansvarlige har ikke givet instruks om denne aktivitet (GDPR art. 28(3)(a)).",
		"The processing is not allowed: the controller has given no instruction for this activity (GDPR art. 28(3)(a))."},
	ActivityArchived: {
		"Behandlingen er ikke tilladt: aktiviteten er afsluttet (GDPR art. 5(1)(b)).",
		"The processing is not allowed: the activity has ended (GDPR art. 5(1)(b))."},
	RecipientNotInstructed: {
		"Behandlingen er ikke tilladt: modtageren er ikke blandt dem, som den dataansvarlige har godkendt (GDPR art. 28(3)(a)).",
		"The processing is not allowed: the recipient is not among those the controller has instructed (GDPR art. 28(3)(a))."},
	LocationNotApproved: {
		"Behandlingen er ikke tilladt: stedet er ikke blandt dem, som den dataansvarlige har godkendt (GDPR art. 28(3)(a), 44).",
		"The processing is not allowed: the place is not among those the controller has approved (GDPR art. 28(3)(a), 44)."},
	DataCategoryNotCovered: {
		"Behandlingen er ikke tilladt: aktiviteten omfatter ikke alle disse oplysninger (GDPR art. 5(1)(c)).",
		"The processing is not allowed: the activity does not cover all of this data (GDPR art. 5(1)(c))."},
	SubjectErased: {
		"Behandlingen er ikke tilladt: personens oplysninger er slettet (GDPR art. 17).",
		"The processing is not allowed: the person's data was erased (GDPR art. 17)."},
	Restricted: {
		"Behandlingen er ikke tilladt: behandlingen af personens oplysninger er begrænset (GDPR art. 18).",
		"The processing is not allowed: processing of the person's data is restricted (GDPR art. 18)."},
	Objected: {
		"Behandlingen er ikke tilladt: personen har gjort indsigelse (GDPR art. 21).",
		"The processing is not allowed: the person has objected (GDPR art. 21)."},
	NoConsent: {
		"Behandlingen er ikke tilladt: der er ikke givet samtykke (GDPR art. 6(1)(a)).",
		"The processing is not allowed: no consent was given (GDPR art. 6(1)(a))."},
	ConsentWithdrawn: {
		"Behandlingen er ikke tilladt: samtykket er trukket tilbage (GDPR art. 7(3)).",
		"The processing is not allowed: the consent was withdrawn (GDPR art. 7(3))."},
	ConsentExpired: {
		"Behandlingen er ikke tilladt: samtykket er udløbet (GDPR art. 6(1)(a)).",
		"The processing is not allowed: the consent has expired (GDPR art. 6(1)(a))."},
	GuardianConsentRequired: {
		"Behandlingen er ikke tilladt: barnet er for ungt til at give samtykke alene. Indehaveren af forældremyndigheden skal samtykke (GDPR art. 8(1)).",
		"The processing is not allowed: the child is too young to consent alone. A holder of parental responsibility must consent (GDPR art. 8(1))."},
	FreshnessUnprovable: {
		"Behandlingen er ikke tilladt lige nu: det kan ikke vises, at svaret bygger på de nyeste oplysninger. Spørg igen om lidt (GDPR art. 5(2)).",
		"The processing is not allowed at the moment: it cannot be shown that the answer rests on the newest state. Ask again shortly (GDPR art. 5(2))."},
}

// explanationsThen are of decisions about a moment in the past. Freshness is no reason there.
var explanationsThen = map[Reason]Text{
	LegalBasisHolds: {
		"Behandlingen var på det tidspunkt tilladt uden samtykke. Grundlaget var ",
		"The processing was allowed at that time without consent. It rested on "},
	ConsentHolds: {
		"Behandlingen var på det tidspunkt tilladt: der var givet samtykke, og det var ikke trukket tilbage (GDPR art. 6(1)(a)).",
		"The processing was allowed at that time: consent had been given and not been withdrawn (GDPR art. 6(1)(a))."},
	UnknownActivity: {
		"Behandlingen var på det tidspunkt ikke tilladt: den dataansvarlige havde ikke givet instruks om denne aktivitet (GDPR art. 28(3)(a)).",
		"The processing was not allowed at that time: the controller had given no instruction for this activity (GDPR art. 28(3)(a))."},
	ActivityArchived: {
		"Behandlingen var på det tidspunkt ikke tilladt: aktiviteten var afsluttet (GDPR art. 5(1)(b)).",
		"The processing was not allowed at that time: the activity had ended (GDPR art. 5(1)(b))."},
	RecipientNotInstructed: {
		"Behandlingen var på det tidspunkt ikke tilladt: modtageren var ikke blandt dem, som den dataansvarlige havde godkendt (GDPR art. 28(3)(a)).",
		"The processing was not allowed at that time: the recipient was not among those the controller had instructed (GDPR art. 28(3)(a))."},
	LocationNotApproved: {
		"Behandlingen var på det tidspunkt ikke tilladt: stedet var ikke blandt dem, som den dataansvarlige havde godkendt (GDPR art. 28(3)(a), 44).",
		"The processing was not allowed at that time: the place was not among those the controller had approved (GDPR art. 28(3)(a), 44)."},
	DataCategoryNotCovered: {
		"Behandlingen var på det tidspunkt ikke tilladt: aktiviteten omfattede ikke alle disse oplysninger (GDPR art. 5(1)(c)).",
		"The processing was not allowed at that time: the activity did not cover all of this data (GDPR art. 5(1)(c))."},
	SubjectErased: {
		"Behandlingen var på det tidspunkt ikke tilladt: personens oplysninger var slettet (GDPR art. 17).",
		"The processing was not allowed at that time: the person's data had been erased (GDPR art. 17)."},
	Restricted: {
		"Behandlingen var på det tidspunkt ikke tilladt: behandlingen af personens oplysninger var begrænset (GDPR art. 18).",
		"The processing was not allowed at that time: processing of the person's data was restricted (GDPR art. 18)."},
	Objected: {
		"Behandlingen var på det tidspunkt ikke tilladt: personen havde gjort indsigelse (GDPR art. 21).",
		"The processing was not allowed at that time: the person had objected (GDPR art. 21)."},
	NoConsent: {
		"Behandlingen var på det tidspunkt ikke tilladt: der var ikke givet samtykke (GDPR art. 6(1)(a)).",
		"The processing was not allowed at that time: no consent had been given (GDPR art. 6(1)(a))."},
	ConsentWithdrawn: {
		"Behandlingen var på det tidspunkt ikke tilladt: samtykket var trukket tilbage (GDPR art. 7(3)).",
		"The processing was not allowed at that time: the consent had been withdrawn (GDPR art. 7(3))."},
	ConsentExpired: {
		"Behandlingen var på det tidspunkt ikke tilladt: samtykket var udløbet (GDPR art. 6(1)(a)).",
		"The processing was not allowed at that time: the consent had expired (GDPR art. 6(1)(a))."},
	GuardianConsentRequired: {
		"Behandlingen var på det tidspunkt ikke tilladt: barnet var for ungt til at give samtykke alene. Indehaveren af forældremyndigheden skulle samtykke (GDPR art. 8(1)).",
		"The processing was not allowed at that time: the child was too young to consent alone. A holder of parental responsibility had to consent (GDPR art. 8(1))."},
}
