package monitor

import "time"

// recorded is what an event of an alert has the digest of. What the suite itself adds to an alert, more events and deliveries, is not in
// it, as that changes without an event.
type recorded struct {
	Name, Rule     string
	Raised         time.Time
	Acknowledged   time.Time
	AcknowledgedBy string
	Note           string
}

// Recorded is the alert as the digests before and after a change tell it.
func (a Alert) Recorded() any {
	return recorded{Name: a.Name(), Rule: a.Rule, Raised: a.Raised, Acknowledged: a.Acknowledged, AcknowledgedBy: a.AcknowledgedBy, Note: a.Note}
}
