package outbox

import (
	"context"
	"sync"
)

// Kind is the kind of access that an event records; the names are those of the method rule.
type Kind string

// The kinds of access.
const (
	View      Kind = "VIEW"
	Create    Kind = "CREATE"
	Modify    Kind = "MODIFY"
	Delete    Kind = "DELETE"
	Export    Kind = "EXPORT"
	Decision  Kind = "DECISION"
	Admin     Kind = "ADMIN"
	AuditRead Kind = "AUDIT_READ"
	Login     Kind = "LOGIN"
	KeyUse    Kind = "KEY_USE"
)

// Outcome is how what the event reports ended.
type Outcome string

// The outcomes.
const (
	OK      Outcome = "OK"
	Denied  Outcome = "DENIED"
	Invalid Outcome = "INVALID"
	Failed  Outcome = "FAILED"
)

// Event is one thing that happened. The zero values of Action, Kind and Controller are taken from the running call.
type Event struct {
	// ID is a UUID; made by Record where it is empty.
	ID string
	// Controller is the id of the controller concerned; empty where none is.
	Controller string
	// Action is what was done, `noun.verb`.
	Action string
	// Kind is the kind of access.
	Kind Kind
	// Resource is the name of what was acted on.
	Resource string
	// SubjectRefs are pseudonyms of the people concerned.
	SubjectRefs []string
	// Outcome is how it ended; OK where it is empty.
	Outcome Outcome
	// Reason is the stable word for why it was not done.
	Reason string
	// Detail holds ids, hashes and counts.
	Detail map[string]string
	// Before and After are the resource before and after a change: a protocol message, or what encoding/json can write. Only their
	// digests leave the process. A creation has no Before and a deletion no After.
	Before, After any
	// BeforeDigest and AfterDigest are these digests, 64 lower-case hex digits each. They are made of Before and After where those
	// are given.
	BeforeDigest string
	AfterDigest  string
}

// Actor is who acts. Ref is a pseudonymous reference of a person or client, or the name of a service.
type Actor struct {
	Kind  string // CALLER, SERVICE or ANONYMOUS
	Ref   string
	Roles []string
}

// Call is a running RPC, as far as its event needs to know it.
type Call struct {
	// Action and Kind come from the method rule; Controller from the request.
	Action     string
	Kind       Kind
	Controller string
	Actor      Actor

	mu       sync.Mutex
	recorded bool
	resource string
	refs     []string
	detail   map[string]string
}

type callKey struct{}

// WithCall makes the call known to Record and About below ctx.
func WithCall(ctx context.Context, c *Call) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

// CallFrom finds the running call; nil outside one.
func CallFrom(ctx context.Context) *Call {
	c, _ := ctx.Value(callKey{}).(*Call)
	return c
}

// About says what the running call concerns, for the event that is written for it when the handler writes none itself
// (calls that read). Outside a call it does nothing.
func About(ctx context.Context, resource string, subjectRefs ...string) {
	if c := CallFrom(ctx); c != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.resource, c.refs = resource, append(c.refs, subjectRefs...)
	}
}

// Detail adds an id, hash or count to the event that is written for the running call.
func Detail(ctx context.Context, key, value string) {
	if c := CallFrom(ctx); c != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.detail == nil {
			c.detail = map[string]string{}
		}
		c.detail[key] = value
	}
}

// Concerns says what a refused call was about, where its handler has not said so.
func (c *Call) Concerns(resource string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.resource == "" {
		c.resource = resource
	}
}

// Recorded reports whether an event of this call has been committed.
func (c *Call) Recorded() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.recorded
}

// Event gives the event of a call whose handler wrote none.
func (c *Call) Event() Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Event{Controller: c.Controller, Action: c.Action, Kind: c.Kind, Resource: c.resource,
		SubjectRefs: c.refs, Detail: c.detail}
}

func (c *Call) markRecorded() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.recorded = true
}
