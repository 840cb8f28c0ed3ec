package monitor

import (
	"cmp"
	"slices"
	"time"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

// AlertID is the id of an alert, a UUID.
type AlertID string

// Alert is something that a person should look at.
type Alert struct {
	ID AlertID
	// Controller that it concerns; empty: the suite.
	Controller audit.ControllerID
	Rule       string
	Severity   Severity
	Summary    Text
	Raised     time.Time
	// Last is when the last event that belongs to it was received, and Count how many there were.
	Last  time.Time
	Count int64
	// Events are the first ones that belong to it, at most MaxEvents.
	Events []audit.EventID
	// Acknowledged is when somebody said that they look after it, AcknowledgedBy who (a pseudonymous reference), Note what they said.
	Acknowledged   time.Time
	AcknowledgedBy string
	Note           string
	Deliveries     []Delivery
}

// MaxEvents is how many events an alert names.
const MaxEvents = 10

// DeliveryState is where a delivery stands.
type DeliveryState string

// The states of deliveries.
const (
	// Pending: it is tried, or tried again.
	Pending DeliveryState = "PENDING"
	// Delivered: the webhook has it.
	Delivered DeliveryState = "DELIVERED"
	// Dead: it was given up.
	Dead DeliveryState = "DEAD"
)

// Delivery is how an alert reached a webhook.
type Delivery struct {
	Alert    AlertID
	Webhook  string
	State    DeliveryState
	Attempts int
	// Next is when it is tried next, while it is pending.
	Next time.Time
	// Reason why the last attempt failed, UPPER_SNAKE.
	Reason string
}

// mark is an event at its time.
type mark struct {
	Time time.Time     `json:"t"`
	ID   audit.EventID `json:"e,omitempty"`
}

// compare orders marks by time, and by id where times are equal, so that what is kept does not hang on their order.
func (m mark) compare(o mark) int { return cmp.Or(m.Time.Compare(o.Time), cmp.Compare(m.ID, o.ID)) }

// insert puts a mark where it belongs.
func insert(marks []mark, m mark) []mark {
	at, _ := slices.BinarySearchFunc(marks, m, mark.compare)
	return slices.Insert(marks, at, m)
}

// Name is the alert's resource name.
func (a Alert) Name() string { return within(a.Controller) + "alerts/" + string(a.ID) }

// EventName is the resource name of an event that belongs to it. Events of the suite are named without a controller.
func (a Alert) EventName(id audit.EventID) string {
	return within(a.Controller) + "auditEvents/" + string(id)
}

func within(c audit.ControllerID) string {
	if c == "" {
		return ""
	}
	return "controllers/" + string(c) + "/"
}
