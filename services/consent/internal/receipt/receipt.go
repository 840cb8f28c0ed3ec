package receipt

import (
	"encoding/json"
	"fmt"

	"github.com/gowebpki/jcs"
)

// Format is the version of the document's structure.
const Format = "privacyops-consent-receipt/v1"

// ContentType of a receipt file.
const ContentType = "application/json"

// Receipt is the document. Lists that are empty say that there is none.
type Receipt struct {
	Context map[string]string `json:"@context"`
	// ID is the consent's UUID as a URN: a later receipt of the same consent has the same one, and another time.
	ID   string `json:"@id"`
	Type string `json:"@type"`
	// Format is the schema version; Standard is where the structure comes from.
	Format   string `json:"dct:hasVersion"`
	Standard string `json:"dct:references"`
	// Identifier is the consent's resource name.
	Identifier string `json:"dct:identifier"`
	// Issued is when the receipt was made. What comes later is not in it.
	Issued string `json:"dct:issued"`
	// Publisher names the installation that signs.
	Publisher string `json:"dct:publisher"`
	// State is where the consent stood then.
	State  string `json:"dpv:hasStatus"`
	Record Record `json:"dpv:hasRecordOfActivity"`
}

// Record is the consent with its history.
type Record struct {
	Type       string     `json:"@type"`
	Subject    Subject    `json:"dpv:hasDataSubject"`
	Controller Controller `json:"dpv:hasDataController"`
	Processors []Party    `json:"dpv:hasDataProcessor"`
	// Jurisdiction is the law that the controller is under.
	Jurisdiction string `json:"dpv:hasJurisdiction"`
	// Law is the GDPR where it applies.
	Law     string  `json:"dpv:hasApplicableLaw,omitempty"`
	Process Process `json:"dpv:hasProcess"`
	// Notice names the text that was shown; nil where that is not known.
	Notice *Notice `json:"dpv:hasNotice,omitempty"`
	// Events are what has happened to the consent, oldest first.
	Events []Event `json:"dpv:hasConsentStatus"`
}

// Subject is the person, by pseudonyms.
type Subject struct {
	Type        string   `json:"@type"`
	Identifiers []string `json:"dct:identifier"`
}

// Party is somebody who takes part.
type Party struct {
	Type    string `json:"@type"`
	Name    string `json:"dpv:hasName"`
	Contact string `json:"dpv:hasContact,omitempty"`
}

// Controller is who decides about the processing.
type Controller struct {
	Party
	Identifier string `json:"dct:identifier"`
	// Officer is the data protection officer; nil where the register names none.
	Officer *Party `json:"dpv:hasDataProtectionOfficer,omitempty"`
}

// Process is the activity in the version that was consented to.
type Process struct {
	Type       string `json:"@type"`
	Identifier string `json:"dct:identifier"`
	Version    int64  `json:"dct:hasVersion"`
	Purpose    Text   `json:"dpv:hasPurpose"`
	// LegalBasis is consent, and the condition of art. 9(2) where special categories are processed.
	LegalBasis []string    `json:"dpv:hasLegalBasis"`
	Data       []Category  `json:"dpv:hasPersonalData"`
	Recipients []string    `json:"dpv:hasRecipient"`
	Locations  []Location  `json:"dpv:hasProcessingCondition"`
	Storage    []Retention `json:"dpv:hasStorageCondition"`
	Rights     []Right     `json:"dpv:hasRight"`
}

// Text is a text in the language in which the controller wrote it.
type Text struct {
	Type        string `json:"@type"`
	Description string `json:"dct:description"`
}

// Category is a category of personal data.
type Category struct {
	Type       string `json:"@type"`
	Identifier string `json:"dct:identifier"`
}

// Location is a place of processing, with the ground of the transfer where it lies outside the EEA.
type Location struct {
	Type  string `json:"@type"`
	Place string `json:"dpv:hasLocation"`
	// Ground is why the transfer is allowed, Article its place in GDPR chapter V, Safeguard how to get a copy; empty where there is none
	// on record.
	Ground    string `json:"dpv:hasLegalBasis,omitempty"`
	Article   string `json:"dct:references,omitempty"`
	Safeguard string `json:"dct:description,omitempty"`
}

// Retention says how long data is kept.
type Retention struct {
	Type     string   `json:"@type"`
	Duration Duration `json:"dpv:hasDuration"`
}

// Duration is a length of time, or its end.
type Duration struct {
	Type string `json:"@type"`
	// Value is an ISO 8601 period or time.
	Value string `json:"rdf:value"`
	// From is what starts a period.
	From string `json:"dct:description,omitempty"`
}

// Right is a right of the person.
type Right struct {
	ID    string   `json:"@id"`
	Title []Phrase `json:"dct:title"`
	// How it is exercised, where there is more to say than to ask the controller.
	How []Phrase `json:"dct:description,omitempty"`
}

// Phrase is a text in one of the languages of the suite.
type Phrase struct {
	Language string `json:"@language"`
	Value    string `json:"@value"`
}

// Notice names a text.
type Notice struct {
	Type     string `json:"@type"`
	Version  string `json:"dct:hasVersion,omitempty"`
	Language string `json:"dct:language,omitempty"`
	SHA256   string `json:"schema:sha256,omitempty"`
}

// Event is something that happened to the consent.
type Event struct {
	Type string `json:"@type"`
	Time string `json:"dpv:isIndicatedAtTime"`
	// By is who gave it; empty for what was not told, or happens by itself.
	By string `json:"dpv:isIndicatedBy,omitempty"`
	// Until is when it ends by itself.
	Until *Duration `json:"dpv:hasDuration,omitempty"`
	Note  []Phrase  `json:"dct:description,omitempty"`
}

// File gives the receipt file. Sign makes a JWS with detached content.
func (r Receipt) File(sign func(payload []byte) (string, error)) ([]byte, error) {
	payload, err := canonical(r)
	if err != nil {
		return nil, err
	}
	signature, err := sign(payload)
	if err != nil {
		return nil, err
	}
	file, err := canonical(struct {
		JWS     string          `json:"jws"`
		Receipt json.RawMessage `json:"receipt"`
	}{signature, payload})
	return append(file, '\n'), err
}

func canonical(v any) ([]byte, error) {
	raw, err := json.Marshal(v)
	if err == nil {
		raw, err = jcs.Transform(raw)
	}
	if err != nil {
		return nil, fmt.Errorf("receipt: encode: %w", err)
	}
	return raw, nil
}
