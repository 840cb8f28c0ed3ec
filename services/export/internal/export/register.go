package export

// LegalBasis is a ground of GDPR art. 6(1), as the proto names it.
type LegalBasis string

// The bases on which a person may take their data along (GDPR art. 20(1)(a)).
const (
	Consent  LegalBasis = "CONSENT"
	Contract LegalBasis = "CONTRACT"
)

// Snapshot is the register of one controller at one moment.
type Snapshot struct {
	Controller Controller
	Activities []Activity
	Systems    []RegisteredSystem
}

// Controller is who decides why and how data is processed (GDPR art. 4(7)).
type Controller struct {
	ID          ControllerID
	DisplayName string
	// Jurisdiction is the ISO 3166-1 code of the law it is under.
	Jurisdiction string
	// TimeZone is an IANA name; empty for the default.
	TimeZone string
	Language Language
	// Contact is where it is reached; DPOName and DPOEmail reach its data protection officer.
	Contact, DPOName, DPOEmail string
}

// Activity is one purpose of processing under one legal basis.
type Activity struct {
	ID                 ActivityID
	Purpose            string
	LegalBasis         LegalBasis
	SpecialCategory    string
	DataCategories     []string
	SubjectCategories  []string
	Recipients         []string
	Systems            []SystemID
	Locations          []string
	Retention          Retention
	Source             string
	AutomatedDecisions bool
	Archived           bool
}

// Retention says how long data is kept.
type Retention struct {
	// Period is an ISO 8601 period, counted from Event.
	Period, Event string
	// Protected data is kept although its erasure is asked for, on Ground.
	Protected bool
	Ground    string
}

// RegisteredSystem is a place where personal data is held.
type RegisteredSystem struct {
	ID          SystemID
	DisplayName string
	Participant ParticipantName
	Location    string
	OperatedBy  string
	Mandatory   bool
}
