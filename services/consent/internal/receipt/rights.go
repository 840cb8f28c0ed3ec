package receipt

import "github.com/privacyops/privacyops/services/consent/internal/consent"

// rights are the person's rights where processing rests on consent.
func rights(a consent.Activity) []Right {
	list := []Right{
		{"eu-gdpr:A7-3", phrases("Ret til at trække samtykket tilbage", "Right to withdraw consent"), phrases(
			"Samtykket kan trækkes tilbage når som helst, lige så let som det blev givet: i læringsplatformen eller ved at skrive til den dataansvarlige eller databeskyttelsesrådgiveren. "+
				"Det gælder straks. Behandling, der skete før, forbliver lovlig.",
			"Consent can be withdrawn at any time, as easily as it was given: in the learning platform, or by writing to the controller or the data protection officer. "+
				"It takes effect at once. Processing that happened before stays lawful.")},
		{"eu-gdpr:A15", phrases("Ret til indsigt", "Right of access"), nil},
		{"eu-gdpr:A16", phrases("Ret til berigtigelse", "Right to rectification"), nil},
		{"eu-gdpr:A17", phrases("Ret til sletning", "Right to erasure"), nil},
		{"eu-gdpr:A18", phrases("Ret til begrænsning af behandling", "Right to restriction of processing"), nil},
		{"eu-gdpr:A20", phrases("Ret til dataportabilitet", "Right to data portability"), nil},
	}
	if a.AutomatedDecisions {
		list = append(list, Right{"eu-gdpr:A22", phrases("Ret til ikke at være genstand for en afgørelse, der alene er automatisk", "Right not to be subject to a decision made by automated means alone"), nil})
	}
	return append(list, Right{"eu-gdpr:A77", phrases("Ret til at klage til tilsynsmyndigheden", "Right to lodge a complaint with the supervisory authority"), nil})
}

// tooYoung goes with a consent that a child gave alone and that is not sufficient (GDPR art. 8(1)).
func tooYoung() []Phrase {
	return phrases(
		"Barnet var for ungt til at give samtykke alene. Dette samtykke tillader intet, før indehaveren af forældremyndigheden samtykker.",
		"The child was too young to consent alone. This consent allows nothing until a holder of parental responsibility consents.")
}

func phrases(da, en string) []Phrase { return []Phrase{{"da", da}, {"en", en}} }
