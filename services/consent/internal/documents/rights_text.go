package documents

import (
	"slices"

	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// rights are those that a notice tells of, in the regulation's order. Only says for which activities there is one; nil: always.
var rights = []struct {
	says voice
	only func([]consent.Activity) bool
}{
	{says: voice{
		text{"Indsigt: Du kan få at vide, hvilke oplysninger om dig der bliver brugt, og du kan få en kopi af dem (artikel 15).",
			"Access: You can find out what information about you is used, and you can get a copy of it (Article 15)."},
		text{"Indsigt: I kan få at vide, hvilke oplysninger om dit barn der bliver brugt, og I kan få en kopi af dem (artikel 15).",
			"Access: You can find out what information about your child is used, and you can get a copy of it (Article 15)."}}},
	{says: voice{
		text{"Rettelse: Du kan få rettet det, der er forkert, og få tilføjet det, der mangler (artikel 16).",
			"Correction: You can have what is wrong corrected and what is missing added (Article 16)."},
		text{"Rettelse: I kan få rettet det, der er forkert, og få tilføjet det, der mangler (artikel 16).",
			"Correction: You can have what is wrong corrected and what is missing added (Article 16)."}}},
	{says: voice{
		text{"Sletning: Du kan bede om at få oplysninger slettet, for eksempel når der ikke længere er brug for dem (artikel 17).",
			"Erasure: You can ask for information to be erased, for example when it is no longer needed (Article 17)."},
		text{"Sletning: I kan bede om at få oplysninger slettet, for eksempel når der ikke længere er brug for dem (artikel 17).",
			"Erasure: You can ask for information to be erased, for example when it is no longer needed (Article 17)."}}},
	{says: voice{
		text{"Begrænsning: Du kan bede om, at oplysninger kun bliver gemt og ikke brugt, for eksempel mens det bliver undersøgt, om de er rigtige (artikel 18).",
			"Restriction: You can ask for information to be only kept and not used, for example while it is checked whether it is right (Article 18)."},
		text{"Begrænsning: I kan bede om, at oplysninger kun bliver gemt og ikke brugt, for eksempel mens det bliver undersøgt, om de er rigtige (artikel 18).",
			"Restriction: You can ask for information to be only kept and not used, for example while it is checked whether it is right (Article 18)."}}},
	{says: voice{
		text{"At tage oplysninger med: Du kan få de oplysninger, du selv har givet, i en form, som andre systemer kan læse. Det gælder det, der sker med samtykke eller på grund af en aftale (artikel 20).",
			"Taking information with you: You can get the information that you gave yourself in a form that other systems can read. This goes for what happens with consent or because of an agreement (Article 20)."},
		text{"At tage oplysninger med: I kan få de oplysninger, I selv har givet, i en form, som andre systemer kan læse. Det gælder det, der sker med samtykke eller på grund af en aftale (artikel 20).",
			"Taking information with you: You can get the information that you gave yourselves in a form that other systems can read. This goes for what happens with consent or because of an agreement (Article 20)."}}},
	{says: voice{
		text{"Indsigelse: Du kan sige, at du ikke vil have, at oplysningerne bliver brugt, og hvorfor. Så skal {name} se på, om det skal stoppe. Det gælder opgaver for samfundet, myndighedsopgaver og legitime interesser (artikel 21).",
			"Objection: You can say that you do not want the information to be used, and why. Then {name} has to consider whether it must stop. This goes for tasks for society, tasks of an authority and legitimate interests (Article 21)."},
		text{"Indsigelse: I kan sige, at I ikke vil have, at oplysningerne bliver brugt, og hvorfor. Så skal {name} se på, om det skal stoppe. Det gælder opgaver for samfundet, myndighedsopgaver og legitime interesser (artikel 21).",
			"Objection: You can say that you do not want the information to be used, and why. Then {name} has to consider whether it must stop. This goes for tasks for society, tasks of an authority and legitimate interests (Article 21)."}}},
	{only: anyOf(func(a consent.Activity) bool { return a.Basis == consent.BasisConsent }), says: voice{
		text{"Samtykke: Et ja kan trækkes tilbage når som helst, og det skal være lige så let som at give det. Det, der er sket før, er stadig i orden (artikel 7).",
			"Consent: A yes can be taken back at any time, and that must be as easy as giving it. What happened before is still lawful (Article 7)."},
		text{"Samtykke: Et ja kan trækkes tilbage når som helst, og det skal være lige så let som at give det. Det, der er sket før, er stadig i orden (artikel 7).",
			"Consent: A yes can be taken back at any time, and that must be as easy as giving it. What happened before is still lawful (Article 7)."}}},
	{only: anyOf(func(a consent.Activity) bool { return a.AutomatedDecisions }), says: voice{
		text{"Afgørelser uden mennesker: Du kan bede om, at et menneske ser på en afgørelse, som en computer har truffet alene (artikel 22).",
			"Decisions without people: You can ask for a person to look at a decision that a computer has made alone (Article 22)."},
		text{"Afgørelser uden mennesker: I kan bede om, at et menneske ser på en afgørelse, som en computer har truffet alene (artikel 22).",
			"Decisions without people: You can ask for a person to look at a decision that a computer has made alone (Article 22)."}}},
}

// anyOf reports whether one of the activities is so.
func anyOf(is func(consent.Activity) bool) func([]consent.Activity) bool {
	return func(list []consent.Activity) bool { return slices.ContainsFunc(list, is) }
}
