package audit

import (
	"fmt"
	"time"
)

// Bounds of an event. Together they keep a leaf within MaxLeafBytes.
const (
	// MaxSubjectRefs is how many data subjects one event may name.
	MaxSubjectRefs = 200
	// MaxDetails is how many details one event may hold.
	MaxDetails = 50
	// MaxLeafBytes bounds the leaf of a single event.
	MaxLeafBytes = 48 << 10
	// MaxBatchLeafBytes bounds the leaf of a batch of decisions; it is the log's own bound (C2SP tlog-tiles).
	MaxBatchLeafBytes = 1<<16 - 1
)

const (
	maxRoles          = 16
	traceParentLength = 55
)

// FieldError says which field of an event breaks which rule. It repeats no value.
type FieldError struct {
	// Field is the path of the field, as in the protocol: "actor.ref".
	Field string
	// Problem says what is wrong and what is right.
	Problem string
}

// Error implements error.
func (e *FieldError) Error() string { return e.Field + " " + e.Problem }

// Validate checks the form of an event. The error is a *FieldError and names the first field that breaks a rule.
func (e Event) Validate() error {
	checks := []struct {
		ok             bool
		field, problem string
	}{
		{validID(e.ID), "id", "must be a UUID in lower case"},
		{validController(e.Controller), "controller", "must be a controller id or empty"},
		{validService(e.Service), "service", "must be the name of a service"},
		{validAction(e.Action), "action", "must be of the form noun.verb"},
		{e.Kind.Valid(), "kind", "must be one of the known kinds"},
		{validResource(e.Resource), "resource", "must be a resource name of ids, at most 300 characters"},
		{e.Outcome.Valid(), "outcome", "must be one of the known outcomes"},
		{validReason(e.Reason), "reason", "must be a code in upper case, at most 64 characters"},
		{validTrace(e.TraceParent), "traceparent", "must be a W3C trace context, version 00, or empty"},
		{validDigest(e.BeforeDigest), "before_digest", "must be 64 lower-case hex digits or empty"},
		{validDigest(e.AfterDigest), "after_digest", "must be 64 lower-case hex digits or empty"},
		{validTime(e.OccurredTime), "occur_time", "must be set, to a year from 2000 to 9999"},
	}
	for _, c := range checks {
		if !c.ok {
			return &FieldError{c.field, c.problem}
		}
	}
	if err := e.Actor.validate(); err != nil {
		return err
	}
	if err := validateSubjects(e.SubjectRefs); err != nil {
		return err
	}
	if err := e.validateSealed(); err != nil {
		return err
	}
	if err := validateDetail(e.Detail); err != nil || e.Batch == nil {
		return err
	}
	return e.validateBatch()
}

func (a Actor) validate() error {
	switch {
	case a.Kind != ActorCaller && a.Kind != ActorService && a.Kind != ActorAnonymous:
		return &FieldError{"actor.kind", "must be CALLER, SERVICE or ANONYMOUS"}
	case a.Kind == ActorAnonymous && a.Ref != "":
		return &FieldError{"actor.ref", "must be empty for somebody unknown"}
	case a.Kind != ActorAnonymous && !validRef(a.Ref):
		return &FieldError{"actor.ref", "must be a pseudonymous reference, at most 128 characters"}
	case len(a.Roles) > maxRoles:
		return &FieldError{"actor.roles", fmt.Sprintf("must hold at most %d roles", maxRoles)}
	}
	for _, r := range a.Roles {
		if !validRole(r) {
			return &FieldError{"actor.roles", "must hold names of roles in lower case"}
		}
	}
	return nil
}

func validateSubjects(refs []SubjectRef) error {
	if len(refs) > MaxSubjectRefs {
		return &FieldError{"subject_refs", fmt.Sprintf("must hold at most %d pseudonyms; report further ones in further events", MaxSubjectRefs)}
	}
	for _, r := range refs {
		if !validRef(string(r)) {
			return &FieldError{"subject_refs", "must hold pseudonyms, at most 128 characters each"}
		}
	}
	return nil
}

func validateDetail(detail map[string]string) error {
	if len(detail) > MaxDetails {
		return &FieldError{"detail", fmt.Sprintf("must hold at most %d entries", MaxDetails)}
	}
	for k, v := range detail {
		if !validDetailKey(k) {
			return &FieldError{"detail", "must have keys in lower camel case, at most 64 characters"}
		}
		if !validText(v) {
			return &FieldError{"detail", "must hold ids, hashes, counts and times only: no spaces, no e-mail addresses, no names, at most 512 characters a value"}
		}
	}
	return nil
}

func validTime(t time.Time) bool {
	y := t.UTC().Year()
	return y >= 2000 && y <= 9999
}
