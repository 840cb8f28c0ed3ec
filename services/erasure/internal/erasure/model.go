package erasure

import (
	"fmt"
	"io"
	"log/slog"
	"time"
)

// ControllerID names a controller.
type ControllerID string

// ID names an erasure of a controller (UUIDv7).
type ID string

// Name is the resource name of an erasure.
func Name(c ControllerID, id ID) string {
	return "controllers/" + string(c) + "/erasures/" + string(id)
}

// Identifier is one name of the person. Its value is personal: every way to print or log it shows the type alone.
type Identifier struct{ Type, Value string }

// Format shows the type and hides the value under every verb.
func (i Identifier) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, i.Type+":[hidden]") }

// LogValue shows the type and hides the value.
func (i Identifier) LogValue() slog.Value { return slog.StringValue(i.Type + ":[hidden]") }

// State is where an erasure stands.
type State string

// The states.
const (
	Planning         State = "PLANNING"
	AwaitingApproval State = "AWAITING_APPROVAL"
	Grace            State = "GRACE"
	Running          State = "RUNNING"
	Verifying        State = "VERIFYING"
	Completed        State = "COMPLETED"
	Partial          State = "PARTIAL"
	Rejected         State = "REJECTED"
	Cancelled        State = "CANCELLED"
	Expired          State = "EXPIRED"
	Failed           State = "FAILED"
)

// transitions are the only changes of state there are.
var transitions = map[State][]State{
	Planning:         {AwaitingApproval, Verifying, Cancelled, Failed},
	AwaitingApproval: {Grace, Rejected, Cancelled, Expired},
	Grace:            {Running, AwaitingApproval, Cancelled},
	Running:          {Verifying, Partial},
	Verifying:        {Completed, Partial, Planning},
	Partial:          {Running},
}

// Final reports whether nothing will happen any more.
func (s State) Final() bool { return len(transitions[s]) == 0 }

// Started reports whether something may have been erased, so that calling back is too late.
func (s State) Started() bool {
	return s == Running || s == Verifying || s == Partial || s == Completed
}

// Ground is why the data must go.
type Ground string

// The grounds of art. 17(1), and those of the agreement.
const (
	ConsentWithdrawn  Ground = "CONSENT_WITHDRAWN"
	NoLongerNecessary Ground = "NO_LONGER_NECESSARY"
	ObjectionUpheld   Ground = "OBJECTION_UPHELD"
	Unlawful          Ground = "UNLAWFUL"
	LegalObligation   Ground = "LEGAL_OBLIGATION"
	ChildService      Ground = "CHILD_SERVICE"
	Retention         Ground = "RETENTION"
	ContractEnd       Ground = "CONTRACT_END"
)

// Approval is one person's yes to one plan.
type Approval struct {
	Person   string    `json:"person"`
	Time     time.Time `json:"time"`
	PlanHash string    `json:"planHash"`
}

// SystemState is where one system stands in an erasure.
type SystemState string

// The states of a system.
const (
	SystemPending   SystemState = "PENDING"
	SystemErased    SystemState = "ERASED"
	SystemVerified  SystemState = "VERIFIED"
	SystemRemaining SystemState = "REMAINING"
	SystemFailed    SystemState = "FAILED"
)

// SystemProgress is how one system stands.
type SystemProgress struct {
	System      string      `json:"system"`
	Participant string      `json:"participant"`
	Mandatory   bool        `json:"mandatory"`
	Order       int         `json:"order"`
	State       SystemState `json:"state"`
	Attempts    int         `json:"attempts"`
	// Round counts how often the system was asked to erase anew because something was found afterwards.
	Round int `json:"round"`
	// Done is the last round that the system has confirmed.
	Done     int              `json:"done"`
	Message  string           `json:"message,omitempty"`
	Datasets []DatasetOutcome `json:"datasets,omitempty"`
}

// DatasetOutcome is what was done with one dataset; counts are rows.
type DatasetOutcome struct {
	Dataset    string `json:"dataset"`
	Located    int64  `json:"located"`
	Erased     int64  `json:"erased"`
	Anonymised int64  `json:"anonymised"`
	Kept       int64  `json:"kept"`
	Unchanged  int64  `json:"unchanged"`
	Remaining  int64  `json:"remaining"`
}

// Residual is something that remains although it should be gone.
type Residual struct {
	System  string `json:"system"`
	Dataset string `json:"dataset,omitempty"`
	Table   string `json:"table,omitempty"`
	Count   int64  `json:"count"`
	Reason  string `json:"reason"`
}

// Erasure is one erasure of one person. It holds pseudonyms; the person's identifiers are kept apart, sealed.
type Erasure struct {
	Controller        ControllerID     `json:"-"`
	ID                ID               `json:"-"`
	State             State            `json:"-"`
	Fence             int64            `json:"-"`
	Revision          int64            `json:"-"`
	Ground            Ground           `json:"ground"`
	Channel           string           `json:"channel"`
	SubjectRef        string           `json:"subjectRef"`
	SubjectRefs       []string         `json:"subjectRefs"`
	Requester         string           `json:"requester"`
	RequiredApprovals int              `json:"requiredApprovals"`
	GracePeriod       time.Duration    `json:"gracePeriod"`
	Plan              *Plan            `json:"plan,omitempty"`
	Approvals         []Approval       `json:"approvals,omitempty"`
	Systems           []SystemProgress `json:"systems,omitempty"`
	Residuals         []Residual       `json:"residuals,omitempty"`
	Doubts            []Residual       `json:"doubts,omitempty"` // found by a verification though nothing had been counted
	Reason            string           `json:"reason,omitempty"`
	Attempts          int              `json:"attempts"`
	ReceiveTime       time.Time        `json:"receiveTime"`
	DueTime           time.Time        `json:"dueTime"`
	ApprovalExpires   time.Time        `json:"approvalExpires"`
	GraceEnd          time.Time        `json:"graceEnd"`
	NextAttempt       time.Time        `json:"nextAttempt"`
	StartTime         time.Time        `json:"startTime"`
	VerifyTime        time.Time        `json:"verifyTime"`
	CreateTime        time.Time        `json:"createTime"`
	UpdateTime        time.Time        `json:"updateTime"`
	// Announcement is the id of the audit event that holds the hash of Statement, once the erasure is verified.
	Announcement string `json:"announcement,omitempty"`
	// Statement is what the certificate says, in JSON.
	Statement string `json:"statement,omitempty"`
	// Certificate is the certificate's file, once it is issued.
	Certificate string `json:"certificate,omitempty"`
}

// Name is its resource name.
func (e *Erasure) Name() string { return Name(e.Controller, e.ID) }

// move changes the state. A change that is not in the table is a mistake in the program, and refused.
func (e *Erasure) move(to State, now time.Time) error {
	for _, s := range transitions[e.State] {
		if s == to {
			e.State, e.UpdateTime = to, now
			return nil
		}
	}
	return fmt.Errorf("erasure: there is no way from %s to %s", e.State, to)
}

// NextWork tells when there is work for [Engine.Advance]: ok is false while the erasure waits for people, or has ended.
// AWAITING_APPROVAL has work too: to lapse.
func (e *Erasure) NextWork() (at time.Time, ok bool) {
	switch e.State {
	case Planning, Running, Verifying, Partial:
		return e.NextAttempt, true
	case AwaitingApproval:
		return e.ApprovalExpires, true
	case Grace:
		return e.GraceEnd, true
	default:
		return time.Time{}, false
	}
}

// Forgotten reports whether the erasure is for the whole person, so that the audit log loses the person with it; also where no
// system held anything, since the log may.
func (e *Erasure) Forgotten() bool { return e.Plan != nil && e.Plan.Whole() }

// Named are the pseudonyms that events about the erasure name: none once the log has lost the person.
func (e *Erasure) Named() []string {
	if e.State == Completed && e.Forgotten() {
		return nil
	}
	return e.SubjectRefs
}
