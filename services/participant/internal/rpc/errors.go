package rpc

import (
	"context"
	"errors"
	"time"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/services/participant/internal/participant"
)

// ErrUnavailable is what a participant returns, wrapped, when its system does not answer at the moment.
var ErrUnavailable = errors.New("participant: the system does not answer at the moment")

const (
	// unsettledRetry lets whatever writes about the person finish.
	unsettledRetry = 30 * time.Second
	// unavailableRetry is about the time that a database takes to restart.
	unavailableRetry = 10 * time.Second
)

// faultOf is a participant's error in the words of the protocol. The error itself stays inside as the cause: by its contract it
// names no person, but an implementation may be sloppy. What the protocol has no word for is left to the server, which tells
// a caller who has gone and a deadline that has passed from what is nobody's business outside.
func (s *Server) faultOf(err error) error {
	var f *fault.Error
	switch {
	case err == nil, errors.As(err, &f), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, participant.ErrFenced):
		return fault.New(fault.Precondition, "FENCED",
			"A newer holder of this request exists; stop working on it.").Because(err)
	case errors.Is(err, participant.ErrDataMapChanged):
		return fault.New(fault.Precondition, "DATA_MAP_CHANGED",
			"The data map is not the one that was approved; make a new plan.").Because(err)
	case errors.Is(err, participant.ErrRequestReused):
		return fault.New(fault.Precondition, "REQUEST_REUSED",
			"This request is known with another subject or other datasets; use a new one.").Because(err)
	case errors.Is(err, participant.ErrUnsettled):
		return fault.New(fault.Unavailable, "UNSETTLED",
			"New data keep arriving for this person; repeat the call later.").Because(err).RetryIn(unsettledRetry)
	case errors.Is(err, participant.ErrConstraint):
		return fault.New(fault.Precondition, "CONSTRAINT_VIOLATED",
			"The system refuses: rows that stay refer to what should go. Its data map has to say what becomes of them.").Because(err)
	case errors.Is(err, participant.ErrInvalid):
		return fault.New(fault.Invalid, "INVALID_ARGUMENT",
			"The participant cannot use this request; check the identifiers and the names of the datasets.").Because(err)
	}
	if _, down := s.explain(err); down || errors.Is(err, ErrUnavailable) {
		return fault.New(fault.Unavailable, "PARTICIPANT_UNAVAILABLE",
			"The system does not answer at the moment; repeat the call later.").Because(err).RetryIn(unavailableRetry)
	}
	return err
}
