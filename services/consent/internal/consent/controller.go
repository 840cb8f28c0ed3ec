package consent

import (
	"fmt"
	"strings"
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
	// Kind is what the controller is before the law; empty where it does not say.
	Kind ControllerKind
	// AgePolicy says what becomes of a guardian's consent when the child may consent alone.
	AgePolicy AgePolicy
	// Version counts changes, from 1.
	Version    int64
	CreateTime time.Time
	UpdateTime time.Time
}

// ControllerKind is what a controller is before the law, by its name in the contract.
type ControllerKind string

// The kinds of controller.
const (
	// PublicAuthority cannot process on legitimate interests in the performance of its tasks (GDPR art. 6(1), second subparagraph).
	PublicAuthority ControllerKind = "PUBLIC_AUTHORITY"
	// Private is a private school or a company.
	Private ControllerKind = "PRIVATE"
)

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

// maxNamed is how many activities a refusal names.
const maxNamed = 20

// CheckOver applies the rules that depend on what the controller is to its activities. The fault is Invalid; it names the article
// and the activities.
func (c Controller) CheckOver(activities []Activity) error {
	var barred []string
	for _, a := range activities {
		if a.barredTo(c) {
			barred = append(barred, string(a.ID))
		}
	}
	if len(barred) == 0 {
		return nil
	}
	named := strings.Join(barred[:min(len(barred), maxNamed)], ", ")
	return broken("LEGITIMATE_INTERESTS_OF_AUTHORITY", "controller.kind",
		fmt.Sprintf("%d activities rest on legitimate interests, on which a public authority does not process in the performance of its tasks "+
			"(GDPR art. 6(1), second subparagraph): %s. Change their basis, archive them, or say outside_authority_tasks of them first.", len(barred), named))
}

// Zone is the time zone in which the controller's days are counted.
func (c Controller) Zone() (*time.Location, error) {
	// LoadLocation also knows two names that mean whatever the machine is set to; a controller's law is not the machine's.
	if c.TimeZone == "" || c.TimeZone == "Local" {
		return nil, fault.BadField("controller.time_zone", "is empty or depends on the machine")
	}
	return time.LoadLocation(c.TimeZone)
}
