package participant

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
)

// IdentifierType names a kind of identifier.
type IdentifierType string

// The identifier types of the suite.
const (
	UniLogin       IdentifierType = "UNILOGIN"         // Danish national school login
	LocalPersonID  IdentifierType = "LOCAL_PERSON_ID"  // the controller's own number for the person
	Email          IdentifierType = "EMAIL"            // e-mail address
	PlatformUserID IdentifierType = "PLATFORM_USER_ID" // the system's own row key
	Phone          IdentifierType = "PHONE"            // telephone number
	StudentNumber  IdentifierType = "STUDENT_NUMBER"   // student number at the institution
)

// IdentifierTypes are all the types, in the order of the protocol.
func IdentifierTypes() []IdentifierType {
	return []IdentifierType{UniLogin, LocalPersonID, Email, PlatformUserID, Phone, StudentNumber}
}

// Identifier is one name under which a system may know a person. Value is
// personal data: every way to print, log or marshal an Identifier shows the type
// only, so that no value reaches a log line or an error text by accident.
type Identifier struct {
	Type  IdentifierType
	Value string
}

// errNotMarshalled is what encoding/json reports for an Identifier: a silent
// redaction could be stored as if it were the value.
var errNotMarshalled = errors.New("participant: an identifier is personal data and is not marshalled")

// String shows the type and hides the value.
func (i Identifier) String() string { return string(i.Type) + ":[hidden]" }

// Format shows the type and hides the value under every verb.
func (i Identifier) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, i.String()) }

// LogValue shows the type and hides the value in structured logs.
func (i Identifier) LogValue() slog.Value { return slog.StringValue(i.String()) }

// MarshalJSON always fails; see errNotMarshalled.
func (i Identifier) MarshalJSON() ([]byte, error) { return nil, errNotMarshalled }

// Subject is one person as a controller names them: one or more identifiers that
// the controller vouches belong to the same person.
type Subject struct {
	Controller  string // controller id; data of other controllers are out of reach
	Identifiers []Identifier
}
