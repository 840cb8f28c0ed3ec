package consent

import "slices"

// Transfer is the ground of a transfer of data to a place outside the EEA (GDPR chapter V).
type Transfer struct {
	// Location is the place, ISO 3166-1 alpha-2.
	Location string
	Ground   TransferGround
	// Safeguard says how a person gets a copy of the safeguards, or where they are made available (art. 13(1)(f)).
	Safeguard string
}

// TransferGround is why a transfer is allowed, by its name in the contract.
type TransferGround string

// The grounds.
const (
	// AdequacyDecision of the Commission (GDPR art. 45).
	AdequacyDecision TransferGround = "ADEQUACY_DECISION"
	// StandardClauses on data protection (art. 46(2)(c)).
	StandardClauses TransferGround = "STANDARD_CLAUSES"
	// BindingCorporateRules (art. 47).
	BindingCorporateRules TransferGround = "BINDING_CORPORATE_RULES"
	// Derogation for a specific situation (art. 49).
	Derogation TransferGround = "DEROGATION"
)

// transfersTo counts the grounds that are given for a place.
func (a Activity) transfersTo(location string) (n int) {
	for _, t := range a.Transfers {
		if t.Location == location {
			n++
		}
	}
	return n
}

// eea are the countries in which the GDPR is law, by ISO 3166-1 alpha-2: the member states of the Union (art. 99 and TEU art. 52),
// and Iceland, Liechtenstein and Norway, for which Decision of the EEA Joint Committee No 154/2018 of 6 July 2018 made it part of the
// EEA Agreement. Territories with a code of their own are not in the list: those that belong to the Union are named by their country.
var eea = []string{
	"AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT", "LT", "LU", "LV", "MT", "NL", "PL",
	"PT", "RO", "SE", "SI", "SK", "IS", "LI", "NO",
}

// InEEA reports whether a country lies in the European Economic Area, where personal data moves freely (GDPR art. 1(3)).
func InEEA(country string) bool { return slices.Contains(eea, country) }
