package evidence

import (
	"errors"
	"strings"
	"time"
)

// Bounds of evidence.
const (
	// Keep is how long a package can be fetched.
	Keep = 30 * 24 * time.Hour
	// WitnessTime is how long gathering waits for witnesses, from the request on. After it the package says that they have not signed.
	WitnessTime = 2 * time.Minute
	// MaxPeriod is the longest period.
	MaxPeriod = 400 * 24 * time.Hour
)

// ControllerID names a controller.
type ControllerID string

// ID names evidence of a controller: a UUID that sorts by the time it was asked for.
type ID string

// FileID names a package's file: a UUID.
type FileID string

// Ref is the whole name of evidence.
type Ref struct {
	Controller ControllerID
	ID         ID
}

// Name is the resource name, `controllers/{controller}/evidence/{evidence}`.
func (r Ref) Name() string {
	return "controllers/" + string(r.Controller) + "/evidence/" + string(r.ID)
}

// ParseName reads a resource name as [Ref.Name] writes it.
func ParseName(name string) (Ref, error) {
	parts := strings.Split(name, "/")
	if len(parts) != 4 || parts[0] != "controllers" || parts[1] == "" || parts[2] != "evidence" || parts[3] == "" {
		return Ref{}, errors.New("evidence: not a name of the form controllers/{controller}/evidence/{evidence}")
	}
	return Ref{ControllerID(parts[1]), ID(parts[3])}, nil
}

// State is where evidence stands.
type State string

// The states. From the first two it becomes READY or FAILED, from READY EXPIRED.
const (
	Pending   State = "PENDING"
	Gathering State = "GATHERING"
	Ready     State = "READY"
	Failed    State = "FAILED"
	Expired   State = "EXPIRED"
)

// Valid reports whether s is a state.
func (s State) Valid() bool {
	switch s {
	case Pending, Gathering, Ready, Failed, Expired:
		return true
	}
	return false
}

// Reasons of evidence that has no package.
const (
	// ReasonNoController: the register has no such controller.
	ReasonNoController = "NO_CONTROLLER"
	// ReasonKeysDestroyed: the package was withdrawn, because keys were destroyed that open some of it. It can be asked for anew.
	ReasonKeysDestroyed = "KEYS_DESTROYED"
	// ReasonDropped: the period, or the entry before it, was in a part of the log that was dropped under its retention period.
	ReasonDropped = "LOG_DROPPED"
	// ReasonNotVerified: what was gathered did not verify, so it was not handed over. Somebody has to look at the log.
	ReasonNotVerified = "NOT_VERIFIED"
	// ReasonUnavailable: log, register or certificates could not be read for a long time.
	ReasonUnavailable = "UNAVAILABLE"
)

// Errors of gathering and of stores.
var (
	// ErrMissing says that the controller has no such evidence.
	ErrMissing = errors.New("evidence: no such evidence")
	// ErrNotYet says that the log does not cover the period yet.
	ErrNotYet = errors.New("evidence: the log's checkpoint does not cover the period yet")
	// ErrDropped says that entries that the package needs were dropped with their shard.
	ErrDropped = errors.New("evidence: entries of the period were dropped under the log's retention period")
	// ErrNoController says that the register has no such controller.
	ErrNoController = errors.New("evidence: no such controller")
	// ErrContradiction says that index and log contradict each other, or that a package does not verify.
	ErrContradiction = errors.New("evidence: what was gathered does not verify")
	// ErrEnded says that the evidence has ended meanwhile.
	ErrEnded = errors.New("evidence: it has ended")
)

// Evidence is what the log holds about one controller in a period, on its way into a package or in one.
type Evidence struct {
	Ref
	State State
	// Start, included, and End, not included, bound the period.
	Start, End time.Time
	// Language of the report that opens first, `da` or `en`.
	Language string
	// Events were gathered, of Total.
	Events, Total int64
	Created       time.Time
	// Expires is when the package is deleted; zero while there is none.
	Expires time.Time
	// Reason says why there is no package, where there will be none.
	Reason string
	// Package is nil while there is none.
	Package *Package
}

// Package is the file.
type Package struct {
	File FileID
	// SHA256, lower-case hex, and Size are those of the file as it is fetched.
	SHA256 string
	Size   int64
	// Key, wrapped by the keyring, opens Secret, and that the file at rest.
	Key, Secret []byte
}

// PeriodError says what is wrong with a period, in words for the caller.
type PeriodError struct{ Field, Message string }

func (e *PeriodError) Error() string { return e.Field + " " + e.Message }

// New begins evidence.
func New(ref Ref, start, end time.Time, language string, now time.Time) (*Evidence, error) {
	start, end = start.UTC().Truncate(time.Microsecond), end.UTC().Truncate(time.Microsecond)
	switch {
	case start.Year() < 2018: // the GDPR applies from 25 May 2018
		return nil, &PeriodError{"start_time", "lies before the GDPR"}
	case !start.Before(end):
		return nil, &PeriodError{"end_time", "must lie after start_time"}
	case end.Sub(start) > MaxPeriod:
		return nil, &PeriodError{"end_time", "must lie at most 400 days after start_time; ask for several periods"}
	case end.After(now):
		return nil, &PeriodError{"end_time", "lies in the future; evidence is of what has happened"}
	}
	if language == "" {
		language = "da"
	}
	return &Evidence{Ref: ref, State: Pending, Start: start, End: end, Language: language, Created: now.UTC().Truncate(time.Microsecond)}, nil
}
