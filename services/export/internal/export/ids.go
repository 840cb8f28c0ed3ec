package export

import (
	"errors"
	"strings"
)

// ControllerID names a controller in the register.
type ControllerID string

// ID names an export of a controller: a UUID that sorts by the time it was made.
type ID string

// SystemID names a system of a controller in the register.
type SystemID string

// ActivityID names an activity of a controller in the register.
type ActivityID string

// ParticipantName names a configured participant: what speaks for a system.
type ParticipantName string

// FileID names a package's file: a UUID of its own, so that a new package never overwrites the one it replaces.
type FileID string

// Ref is the whole name of an export.
type Ref struct {
	Controller ControllerID
	ID         ID
}

// Name is the resource name, `controllers/{controller}/exports/{export}`.
func (r Ref) Name() string { return "controllers/" + string(r.Controller) + "/exports/" + string(r.ID) }

// ParseName reads a resource name as [Ref.Name] writes it.
func ParseName(name string) (Ref, error) {
	parts := strings.Split(name, "/")
	if len(parts) != 4 || parts[0] != "controllers" || parts[1] == "" || parts[2] != "exports" || parts[3] == "" {
		return Ref{}, errors.New("export: not a name of the form controllers/{controller}/exports/{export}")
	}
	return Ref{ControllerID(parts[1]), ID(parts[3])}, nil
}
