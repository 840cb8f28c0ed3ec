package audit

import (
	"fmt"
	"regexp"
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

// The alphabets. None holds a space, "@" or a letter beyond ASCII, so no name and no e-mail address fits.
var (
	eventIDPattern    = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[1-8][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	controllerPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
	servicePattern    = regexp.MustCompile(`^[a-z][a-z0-9-]{0,62}$`)
	rolePattern       = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`)
	actionPattern     = regexp.MustCompile(`^[a-z_]{1,40}\.[a-z_]{1,40}$`)
	resourcePattern   = regexp.MustCompile(`^([A-Za-z0-9._~:/-]{1,300})?$`)
	reasonPattern     = regexp.MustCompile(`^([A-Z][A-Z0-9_]{0,63})?$`)
	tracePattern      = regexp.MustCompile(`^(00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2})?$`)
	digestPattern     = regexp.MustCompile(`^([0-9a-f]{64})?$`)
	detailKeyPattern  = regexp.MustCompile(`^[a-z][A-Za-z0-9_.-]{0,63}$`)
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
		{eventIDPattern.MatchString(string(e.ID)), "id", "must be a UUID in lower case"},
		{e.Controller == "" || controllerPattern.MatchString(string(e.Controller)), "controller", "must be a controller id or empty"},
		{servicePattern.MatchString(e.Service), "service", "must be the name of a service"},
		{actionPattern.MatchString(e.Action), "action", "must be of the form noun.verb"},
		{e.Kind.Valid(), "kind", "must be one of the known kinds"},
		{resourcePattern.MatchString(e.Resource), "resource", "must be a resource name of ids, at most 300 characters"},
		{e.Outcome.Valid(), "outcome", "must be one of the known outcomes"},
		{reasonPattern.MatchString(e.Reason), "reason", "must be a code in upper case, at most 64 characters"},
		{tracePattern.MatchString(e.TraceParent), "traceparent", "must be a W3C trace context, version 00, or empty"},
		{digestPattern.MatchString(e.BeforeDigest), "before_digest", "must be 64 lower-case hex digits or empty"},
		{digestPattern.MatchString(e.AfterDigest), "after_digest", "must be 64 lower-case hex digits or empty"},
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
		if !rolePattern.MatchString(r) {
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
		if !detailKeyPattern.MatchString(k) {
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
