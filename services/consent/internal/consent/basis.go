package consent

// LegalBasis is one of the six grounds of GDPR art. 6(1), by its name in the contract. The zero value is none.
type LegalBasis string

// The six grounds.
const (
	BasisConsent             LegalBasis = "CONSENT"
	BasisContract            LegalBasis = "CONTRACT"
	BasisLegalObligation     LegalBasis = "LEGAL_OBLIGATION"
	BasisVitalInterests      LegalBasis = "VITAL_INTERESTS"
	BasisPublicTask          LegalBasis = "PUBLIC_TASK"
	BasisLegitimateInterests LegalBasis = "LEGITIMATE_INTERESTS"
)

// letters are the points of art. 6(1).
var letters = map[LegalBasis]string{
	BasisConsent: "a", BasisContract: "b", BasisLegalObligation: "c",
	BasisVitalInterests: "d", BasisPublicTask: "e", BasisLegitimateInterests: "f",
}

// Known reports whether b is one of the six grounds.
func (b LegalBasis) Known() bool { return letters[b] != "" }

// Article is the place of the ground in the regulation, for example `6(1)(e)`; empty for an unknown one.
func (b LegalBasis) Article() string {
	if !b.Known() {
		return ""
	}
	return "6(1)(" + letters[b] + ")"
}

// Objectionable reports whether a person may object to processing on this ground: art. 21(1) gives that right for points
// (e) and (f) only. Consent is withdrawn instead; the other grounds leave no choice.
func (b LegalBasis) Objectionable() bool {
	return b == BasisPublicTask || b == BasisLegitimateInterests
}
