package consent

import (
	"time"

	"github.com/privacyops/privacyops/libs/fault"
)

// What a controller gets that says nothing else.
const (
	DefaultTimeZone       = "Europe/Copenhagen"
	DefaultLanguage       = "da"
	DefaultIdentifierType = "UNILOGIN"
	DefaultApprovals      = 1
	DefaultGracePeriod    = 24 * time.Hour
)

// Controller is the school or municipality that decides why and how personal data is processed (GDPR art. 4(7)).
type Controller struct {
	ID          ControllerID
	DisplayName string
	// Jurisdiction is the ISO 3166-1 alpha-2 code of the law it is under.
	Jurisdiction string
	// TimeZone is the IANA name of the zone in which its days are counted.
	TimeZone string
	// Language of texts for its people, `da` or `en`.
	Language string
	Contact  string
	DPO      ContactPerson
	// RequiredApprovals is how many distinct people approve an erasure: 1 or 2.
	RequiredApprovals int
	// GracePeriod is how long an approved erasure can be called back; 0 is a choice, not an absence.
	GracePeriod time.Duration
	// PrimaryIdentifierType is the kind of identifier by which the controller names people.
	PrimaryIdentifierType string
	// Version counts changes, from 1.
	Version    int64
	CreateTime time.Time
	UpdateTime time.Time
}

// ContactPerson is somebody who can be reached for an office.
type ContactPerson struct {
	Name  string
	Email string
}

// WithDefaults fills in what was left empty. The grace period has no empty value here: who reads the request knows whether
// one was named.
func (c Controller) WithDefaults() Controller {
	if c.TimeZone == "" {
		c.TimeZone = DefaultTimeZone
	}
	if c.Language == "" {
		c.Language = DefaultLanguage
	}
	if c.RequiredApprovals == 0 {
		c.RequiredApprovals = DefaultApprovals
	}
	if c.PrimaryIdentifierType == "" {
		c.PrimaryIdentifierType = DefaultIdentifierType
	}
	return c
}

// Check applies the rules that no pattern can state. The fault is Invalid and names the field as the contract does.
func (c Controller) Check() error {
	if _, err := c.Zone(); err != nil {
		return fault.BadField("controller.time_zone", "is no time zone of the IANA database; write for example Europe/Copenhagen")
	}
	return nil
}

// Zone is the time zone in which the controller's days are counted.
func (c Controller) Zone() (*time.Location, error) {
	// LoadLocation also knows two names that mean whatever the machine is set to; a controller's law is not the machine's.
	if c.TimeZone == "" || c.TimeZone == "Local" {
		return nil, fault.BadField("controller.time_zone", "is empty or depends on the machine")
	}
	return time.LoadLocation(c.TimeZone)
}
