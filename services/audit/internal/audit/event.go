package audit

import (
	"slices"
	"time"
)

// EventID is the id of an event: a UUID in lower case, made once by the service that reports the event, together with
// the change it is about, and repeated whenever the report is.
type EventID string

// ControllerID names a controller, `^[a-z0-9][a-z0-9-]{0,62}$`. The empty id stands for the suite itself: events
// that concern no single controller.
type ControllerID string

// SubjectRef is the pseudonym of a data subject: a keyed hash, never an identifier.
type SubjectRef string

// ActorKind says what kind of actor caused an event.
type ActorKind string

// The kinds of actors.
const (
	// ActorCaller is the holder of a token: a person, or a client such as a learning platform.
	ActorCaller ActorKind = "CALLER"
	// ActorService is a service of the suite that acted by itself.
	ActorService ActorKind = "SERVICE"
	// ActorAnonymous is somebody unknown, as with a call that was refused for want of a token.
	ActorAnonymous ActorKind = "ANONYMOUS"
)

// Actor is who caused an event.
type Actor struct {
	Kind ActorKind
	// Ref is a pseudonymous reference of the person or client, or the name of the service; empty for somebody unknown.
	Ref string
	// Roles the actor held at the time, in lower case.
	Roles []string
}

// Kind is the kind of access that an event records.
type Kind string

// The kinds of access (logging duty L.1). That one was refused is an Outcome, not a kind.
const (
	// KindView: personal data or the register was looked at.
	KindView Kind = "VIEW"
	// KindCreate: something came into being.
	KindCreate Kind = "CREATE"
	// KindModify: something was changed.
	KindModify Kind = "MODIFY"
	// KindDelete: something was deleted.
	KindDelete Kind = "DELETE"
	// KindExport: personal data left the suite.
	KindExport Kind = "EXPORT"
	// KindAdmin: the suite or the register was administered (logging duty L.3).
	KindAdmin Kind = "ADMIN"
	// KindDecision: a decision on a legal basis was given.
	KindDecision Kind = "DECISION"
	// KindAuditRead: the audit log itself was read (logging duty L.4).
	KindAuditRead Kind = "AUDIT_READ"
	// KindLogin: a token came to the suite for the first time.
	KindLogin Kind = "LOGIN"
	// KindKeyUse: a key of the suite was used, made or destroyed.
	KindKeyUse Kind = "KEY_USE"
)

var kinds = []Kind{
	KindView, KindCreate, KindModify, KindDelete, KindExport,
	KindAdmin, KindDecision, KindAuditRead, KindLogin, KindKeyUse,
}

// Valid reports whether k is one of the kinds above.
func (k Kind) Valid() bool { return slices.Contains(kinds, k) }

// Outcome is how an access ended.
type Outcome string

// The outcomes.
const (
	// OutcomeOK: it was done.
	OutcomeOK Outcome = "OK"
	// OutcomeDenied: the caller was not allowed to.
	OutcomeDenied Outcome = "DENIED"
	// OutcomeFailed: it was allowed, but did not succeed.
	OutcomeFailed Outcome = "FAILED"
	// OutcomeInvalid: the request broke a rule of its form.
	OutcomeInvalid Outcome = "INVALID"
)

var outcomes = []Outcome{OutcomeOK, OutcomeDenied, OutcomeFailed, OutcomeInvalid}

// Valid reports whether o is one of the outcomes above.
func (o Outcome) Valid() bool { return slices.Contains(outcomes, o) }

// Event is what a service reports. It holds pseudonyms, ids, hashes and counts, never personal data.
type Event struct {
	ID EventID
	// Controller whose data the event concerns; empty for events of the suite itself.
	Controller ControllerID
	// Service that reports the event.
	Service string
	Actor   Actor
	// Action that was tried, `noun.verb`, for example "erasure.approve".
	Action string
	Kind   Kind
	// Resource is the name of what was acted on, `controllers/{c}/erasures/{id}`; it holds ids only.
	Resource string
	// SubjectRefs are the pseudonyms of the data subjects concerned, at most MaxSubjectRefs.
	SubjectRefs []SubjectRef
	Outcome     Outcome
	// Reason is a code in upper case with underscores, for example "ROLE_MISSING"; empty when there is nothing to say.
	Reason string
	// TraceParent is the W3C trace context of the access; empty when there was none.
	TraceParent string
	// OccurredTime by the reporter's clock, kept apart from the time of receipt.
	OccurredTime time.Time
	// Detail holds further ids, hashes and counts, at most MaxDetails. An erasure certificate is tied to its entry by
	// the key "statementSha256".
	Detail map[string]string
	// BeforeDigest and AfterDigest are of the resource before and after a change, 64 lower-case hex digits each: two events of a
	// resource between which nothing was left out have the same digest where they meet. Empty: there was none, or nothing changed.
	BeforeDigest string
	AfterDigest  string
	// Batch holds the decisions that the event stands for; nil for all events but those with decisions.
	Batch *Batch
	// People are the keys of those whom the event names, in ascending order, once it is sealed ([Event.Sealing]), and Sealed is
	// what only all of these keys together make readable: SubjectRefs, Resource (but for that of an erasure), Detail and the digests, which are then empty.
	// A batch is sealed in its decisions alone, each of which names People.
	People []KeyID
	Sealed []byte
}

// TraceID returns the trace id of the event's trace context, 32 hex digits, or "" where there is none.
func (e Event) TraceID() string {
	if len(e.TraceParent) != traceParentLength {
		return ""
	}
	return e.TraceParent[3:35]
}

// Canonical returns the event with its time in UTC and cut to microseconds, which is what a leaf holds.
func (e Event) Canonical() Event {
	e.OccurredTime = canonicalTime(e.OccurredTime)
	return e
}

// Entry is an accepted event: the event, the time of its receipt and its number.
type Entry struct {
	Event
	// ReceivedTime by the audit service's clock, to the microsecond; it never runs backwards within a log.
	ReceivedTime time.Time
	// ControllerSequence counts the entries of one controller: 1, 2, 3, … without gaps.
	ControllerSequence uint64
}

func canonicalTime(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }
