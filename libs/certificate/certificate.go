package certificate

import (
	"encoding/json"
	"errors"
	"time"
)

// Format is the value of [Certificate.Format] that this package writes and reads.
const Format = "privacyops-erasure-certificate/v1"

// MaxSize is the size in bytes beyond which a file is no certificate; it holds several thousand datasets.
const MaxSize = 4 << 20

// Certificate is the content of one certificate file.
type Certificate struct {
	Format    string    `json:"format"`
	Statement Statement `json:"statement"`
	Log       Log       `json:"log"`
	Signature Signature `json:"signature"`
}

// Statement says what happened to one person's data. All counts are records, from 0 to 2^53-1.
type Statement struct {
	// Controller is the id of the controller that asked for the erasure.
	Controller string `json:"controller"`
	// Erasure is the resource name of the erasure, such as "controllers/north-school/erasures/0197…".
	Erasure string `json:"erasure"`
	// SubjectCommitment binds the statement to one person without naming them.
	SubjectCommitment string `json:"subjectCommitment"`
	// Ground is the reason for the erasure (art. 17(1) or the agreement), such as "CONSENT_WITHDRAWN".
	Ground string `json:"ground"`
	// Channel is how the request came in: MANUAL, ROSTER, SUPPORT or API.
	Channel string `json:"channel"`
	// PlanHash is the hash of the plan that was approved and carried out.
	PlanHash string `json:"planHash"`

	RequestedTime Instant    `json:"requestedTime"`
	Approvals     []Approval `json:"approvals"`
	// StartedTime is when the first system was told to erase; absent where nothing had to be erased.
	StartedTime Instant `json:"startedTime,omitzero"`
	// VerifiedTime is when the last system was asked what is still there.
	VerifiedTime Instant `json:"verifiedTime"`
	IssuedTime   Instant `json:"issuedTime"`

	Systems   []System   `json:"systems"`
	Residuals []Residual `json:"residuals"`
	Verdict   Verdict    `json:"verdict"`
	// DoesNotProve lists what nobody may conclude from the certificate; see [Limits].
	DoesNotProve []Text `json:"doesNotProve"`
}

// Approval is one person's consent to the plan, on the controller's behalf.
type Approval struct {
	// Person is a pseudonymous reference, never a name or an address.
	Person string  `json:"person"`
	Time   Instant `json:"time"`
}

// System is one place that holds personal data, such as a learning platform or a support desk.
type System struct {
	System string `json:"system"`
	// DataMapDigest identifies the version of the system's own description of its personal data.
	DataMapDigest string    `json:"dataMapDigest"`
	Datasets      []Dataset `json:"datasets"`
}

// Dataset accounts for the person's records in one dataset, as far as one processing activity needs them.
type Dataset struct {
	Dataset  string `json:"dataset"`
	Activity string `json:"activity"`
	// Located is how many records there were when the plan was made.
	Located    int64 `json:"located"`
	Erased     int64 `json:"erased"`
	Anonymised int64 `json:"anonymised"`
	// Kept is how many records stay on KeptGround, by the article in KeptArticle (such as "17(3)(b)").
	Kept        int64  `json:"kept"`
	KeptGround  string `json:"keptGround"`
	KeptArticle string `json:"keptArticle"`
	// Unchanged is how many records were as they should be already, or were dealt with by another dataset of the same table.
	Unchanged int64 `json:"unchanged"`
	// Remaining is how many records the read-back found beyond those that are kept.
	Remaining int64 `json:"remaining"`
}

// Residual is a leftover with its reason. With an ExpiresTime it goes by itself (a back-up that is overwritten); without one
// somebody has to act, and the verdict is [Partial].
type Residual struct {
	System      string  `json:"system"`
	Dataset     string  `json:"dataset"`
	Count       int64   `json:"count"`
	Reason      string  `json:"reason"`
	ExpiresTime Instant `json:"expiresTime,omitzero"`
}

// Verdict sums a statement up.
type Verdict string

// The verdicts. Anything but the first three is a leftover that somebody has to deal with.
const (
	// Complete: everything located was erased or anonymised, or was as it should be already, and the read-back found nothing.
	Complete Verdict = "COMPLETE"
	// CompleteWithKept: as Complete, but for records that a ground named in the statement obliges the controller to keep.
	CompleteWithKept Verdict = "COMPLETE_WITH_KEPT"
	// NothingFound: every system was asked and none held anything.
	NothingFound Verdict = "NOTHING_FOUND"
	// Partial: something is left; Residuals names it.
	Partial Verdict = "PARTIAL"
)

// Text is one sentence in the two languages of the certificate.
type Text struct {
	En string `json:"en"`
	Da string `json:"da"`
}

// Log is the proof that the audit log holds the statement's hash.
type Log struct {
	// Key is the log's verifier key in the form "name+hash+base64" (C2SP signed-note).
	Key string `json:"key"`
	// Leaf is the log entry: a JSON document whose detail.statementSha256 is [StatementHash] of the statement.
	Leaf []byte `json:"leaf"`
	// Index is the entry's place in the log, from 0.
	Index uint64 `json:"index"`
	// TreeSize is the number of entries that the checkpoint covers.
	TreeSize uint64 `json:"treeSize"`
	// Hashes is the inclusion proof of RFC 6962, from the leaf upwards.
	Hashes [][]byte `json:"hashes"`
	// Checkpoint is the log's signed checkpoint (C2SP tlog-checkpoint), the whole note.
	Checkpoint string `json:"checkpoint"`
}

// Signature is made by the certificate key.
type Signature struct {
	// Key is the certificate key's verifier key in the form "name+hash+base64".
	Key string `json:"key"`
	// Value is the Ed25519 signature of the canonical form of {format, log, statement}.
	Value []byte `json:"value"`
}

// Instant is a moment in UTC to the microsecond. It has exactly one written form (RFC 3339, "Z", no trailing zeros), which the
// canonical form needs; the zero Instant is absent.
type Instant struct{ time.Time }

// At returns the Instant of t; what is finer than a microsecond is dropped.
func At(t time.Time) Instant {
	if t.IsZero() {
		return Instant{}
	}
	return Instant{t.UTC().Truncate(time.Microsecond)}
}

const instantLayout = "2006-01-02T15:04:05.999999Z"

var errInstant = errors.New("a time is not written as RFC 3339 in UTC with at most six decimals")

// MarshalJSON writes the one form of i. It refuses years beyond 9999, which RFC 3339 has no form for.
func (i Instant) MarshalJSON() ([]byte, error) {
	t := At(i.Time)
	if y := t.Year(); y < 0 || y > 9999 {
		return nil, errInstant
	}
	return json.Marshal(t.Format(instantLayout))
}

// UnmarshalJSON accepts only the one form.
func (i *Instant) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return errInstant
	}
	t, err := time.Parse(instantLayout, s)
	if err != nil || t.Format(instantLayout) != s {
		return errInstant
	}
	*i = Instant{t}
	return nil
}
