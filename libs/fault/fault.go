// Package fault is the one typed error that crosses the boundaries between services and to callers.
//
// An [Error] keeps apart what a caller is told and what the operator learns: Message is public and says what to do, the
// cause stays inside. An error that is no Error is internal: outside it reads "internal error" with an id, never its text.
// The package knows no transport; package server maps kinds to gRPC codes in one place and back on the client's side.
package fault

import (
	"errors"
	"fmt"
	"maps"
	"time"
)

// Kind is the class of a fault; it decides the code a caller sees.
type Kind int

// The kinds, by what the caller can do about them.
const (
	// Internal: nothing; the suite is at fault. The zero value, so that an unclassified fault leaks nothing.
	Internal Kind = iota
	// Invalid: send a correct request.
	Invalid
	// Unauthenticated: send a valid token.
	Unauthenticated
	// Denied: ask somebody who may.
	Denied
	// NotFound: there is no such resource, or the caller's token does not reach it; the two look the same.
	NotFound
	// Exists: the resource, or the use of the key, exists already.
	Exists
	// Precondition: the resource is not in the state that the call needs.
	Precondition
	// Aborted: somebody else was faster; read again and repeat.
	Aborted
	// Exhausted: a limit is reached; wait.
	Exhausted
	// Unavailable: try again later.
	Unavailable
	// Gone: the resource existed and has reached the end of its time.
	Gone
	// Timeout: the deadline passed before the work was done.
	Timeout
)

// Violation is one bad field of a request.
type Violation struct {
	// Field is the dotted path in the request, as the proto names it.
	Field string
	// Description says what is wrong and what would be right. It never repeats the value.
	Description string
}

// Error is a fault.
type Error struct {
	kind       Kind
	reason     string
	message    string
	metadata   map[string]string
	violations []Violation
	retryAfter time.Duration
	cause      error
}

// New makes a fault. Reason is UPPER_SNAKE, stable and documented; message is for people and holds no personal data.
func New(kind Kind, reason, message string) *Error {
	return &Error{kind: kind, reason: reason, message: message}
}

// Newf is [New] with a formatted message. The arguments must be ids, counts or times, never personal data.
func Newf(kind Kind, reason, format string, args ...any) *Error {
	return New(kind, reason, fmt.Sprintf(format, args...))
}

// Missing is the fault for what is absent and for what belongs to somebody else. It names nothing, so that both are the same bytes.
func Missing() *Error {
	return New(NotFound, "NOT_FOUND", "There is no such resource, or this token does not reach it.")
}

// BadField is an Invalid fault about one field.
func BadField(field, description string) *Error {
	e := New(Invalid, "INVALID_ARGUMENT", "The request is not valid: "+field+": "+description+".")
	e.violations = []Violation{{Field: field, Description: description}}
	return e
}

// Because returns a copy with an internal cause, which is logged and never sent.
func (e *Error) Because(cause error) *Error {
	c := e.clone()
	c.cause = cause
	return c
}

// With returns a copy with one more public detail.
func (e *Error) With(key, value string) *Error {
	c := e.clone()
	if c.metadata == nil {
		c.metadata = map[string]string{}
	}
	c.metadata[key] = value
	return c
}

// WithViolations returns a copy that lists bad fields.
func (e *Error) WithViolations(v []Violation) *Error {
	c := e.clone()
	c.violations = v
	return c
}

// RetryIn returns a copy that tells the caller when to try again.
func (e *Error) RetryIn(d time.Duration) *Error {
	c := e.clone()
	c.retryAfter = d
	return c
}

func (e *Error) clone() *Error {
	c := *e
	c.metadata = maps.Clone(e.metadata)
	return &c
}

// Kind is the class.
func (e *Error) Kind() Kind { return e.kind }

// Reason is the stable public word.
func (e *Error) Reason() string { return e.reason }

// Message is the public text.
func (e *Error) Message() string { return e.message }

// Metadata is public detail; nil where there is none.
func (e *Error) Metadata() map[string]string { return e.metadata }

// Violations are the bad fields.
func (e *Error) Violations() []Violation { return e.violations }

// RetryAfter is when to try again; 0 where nothing is known.
func (e *Error) RetryAfter() time.Duration { return e.retryAfter }

// Error is the public text, with the reason. The cause is not in it.
func (e *Error) Error() string { return e.reason + ": " + e.message }

// Unwrap gives the cause, for errors.Is and for the log.
func (e *Error) Unwrap() error { return e.cause }

// From finds the fault in err's chain; where there is none, the result is Internal with err as its cause.
func From(err error) *Error {
	var f *Error
	if errors.As(err, &f) {
		return f
	}
	return New(Internal, "INTERNAL", "Internal error.").Because(err)
}

// Is reports whether err is a fault with this reason.
func Is(err error, reason string) bool {
	var f *Error
	return errors.As(err, &f) && f.reason == reason
}
