package consent

import "time"

// System is a place where personal data of the controller is held.
type System struct {
	Controller  ControllerID
	ID          SystemID
	DisplayName string
	// Participant is the name of the configured participant that speaks for the system.
	Participant string
	// Location is where it runs, ISO 3166-1 alpha-2; may be empty.
	Location   string
	OperatedBy string
	// Mandatory says that an erasure or export is complete only with this system.
	Mandatory bool
	// Order in which erasures go through the systems, lowest first.
	Order int
	// Version counts changes, from 1.
	Version    int64
	CreateTime time.Time
	UpdateTime time.Time
}
