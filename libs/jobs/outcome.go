package jobs

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"runtime"
	"time"

	"github.com/riverqueue/river"
	"google.golang.org/grpc/status"

	"github.com/privacyops/privacyops/libs/sqldb"
)

// Snooze is what a handler returns to be called again after d: what it waits for has
// not come yet. It is no failure and no attempt. A d below zero counts as zero.
func Snooze(d time.Duration) error { return snoozeError{max(d, 0)} }

// Cancel is what a handler returns when no further attempt can succeed. The job ends
// and is kept, with the describable part of err, among the cancelled ones.
func Cancel(err error) error { return cancelError{err} }

type snoozeError struct{ pause time.Duration }

func (e snoozeError) Error() string { return fmt.Sprintf("run again in %s", e.pause) }

type cancelError struct{ cause error }

func (e cancelError) Error() string { return "never run again: " + text(e.cause) }
func (e cancelError) Unwrap() error { return e.cause }

func text(err error) string {
	if err == nil {
		return "no cause given"
	}
	return err.Error()
}

// panicked is a handler's panic as an error.
type panicked struct{ value any }

func (p panicked) Error() string { return "the handler panicked" }

var errExhausted = errors.New("every attempt ended with the process")

// verdict is what becomes of a job after an attempt.
type verdict int

const (
	completed verdict = iota
	snoozed
	failed
	interrupted
	cancelled
)

// outcome is the end of an attempt. Its text holds no data.
type outcome struct {
	verdict verdict
	pause   time.Duration
	text    string
}

func (o outcome) failed() bool { return o.verdict == failed || o.verdict == cancelled }

// conclude reduces a handler's error to an outcome.
//
// Once the attempt's ctx was cancelled the runner is being stopped, and any error is
// taken for its consequence: those of RPCs, for example, do not wrap the context's.
func conclude(ctx context.Context, err error) outcome {
	var snooze snoozeError
	var cancel cancelError
	switch {
	case err == nil:
		return outcome{verdict: completed}
	case errors.As(err, &snooze):
		return outcome{verdict: snoozed, pause: snooze.pause}
	case errors.As(err, &cancel):
		return outcome{verdict: cancelled, text: describe(cancel.cause)}
	case errors.Is(ctx.Err(), context.Canceled):
		return outcome{verdict: interrupted, text: "interrupted"}
	default:
		return outcome{verdict: failed, text: describe(err)}
	}
}

// forRiver is the error that makes River do what the verdict says.
func (o outcome) forRiver() error {
	switch o.verdict {
	case completed:
		return nil
	case snoozed:
		return river.JobSnooze(o.pause)
	case cancelled:
		return river.JobCancel(errors.New(o.text))
	case interrupted:
		// River then makes the job available again and does not count the attempt.
		return fmt.Errorf("%s: %w", o.text, context.Canceled)
	default:
		return errors.New(o.text)
	}
}

// reasonPattern is what a public reason looks like. Anything else is prose, which may
// hold data.
var reasonPattern = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]{0,62}$`)

// describe says of an error what cannot be personal data.
func describe(err error) string {
	var reason interface{ Reason() string }
	if errors.As(err, &reason) && reasonPattern.MatchString(reason.Reason()) {
		return "reason " + reason.Reason()
	}
	var database *sqldb.Error
	if errors.As(err, &database) {
		return database.Error()
	}
	var remote interface{ GRPCStatus() *status.Status }
	if errors.As(err, &remote) {
		return "code " + remote.GRPCStatus().Code().String()
	}
	var panicked panicked
	if errors.As(err, &panicked) {
		return "panic: " + describePanic(panicked.value)
	}
	switch {
	case errors.Is(err, errExhausted):
		return errExhausted.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return "time limit exceeded"
	case errors.Is(err, context.Canceled):
		return "cancelled"
	}
	return "error of type " + innermost(err)
}

// describePanic keeps the text of the Go runtime's own panics, which speak of types,
// lengths and indexes; of others only the type.
func describePanic(value any) string {
	if err, ok := value.(runtime.Error); ok {
		return err.Error()
	}
	return fmt.Sprintf("value of type %T", value)
}

// innermost is the type of the error that all the wrapping began with.
func innermost(err error) string {
	for err != nil {
		next := errors.Unwrap(err)
		if joined, ok := err.(interface{ Unwrap() []error }); ok && len(joined.Unwrap()) > 0 {
			next = joined.Unwrap()[0]
		}
		if next == nil {
			return reflect.TypeOf(err).String()
		}
		err = next
	}
	return "nil"
}
