package server

import (
	"context"
	"errors"
	"fmt"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/sqldb"
)

// errorDomain is the domain of every ErrorInfo.
const errorDomain = "privacyops"

var toCode = map[fault.Kind]codes.Code{
	fault.Internal: codes.Internal, fault.Invalid: codes.InvalidArgument, fault.Unauthenticated: codes.Unauthenticated,
	fault.Denied: codes.PermissionDenied, fault.NotFound: codes.NotFound, fault.Exists: codes.AlreadyExists,
	fault.Precondition: codes.FailedPrecondition, fault.Aborted: codes.Aborted, fault.Exhausted: codes.ResourceExhausted,
	fault.Unavailable: codes.Unavailable, fault.Timeout: codes.DeadlineExceeded, fault.Gone: codes.FailedPrecondition,
}

var toKind = map[codes.Code]fault.Kind{
	codes.InvalidArgument: fault.Invalid, codes.Unauthenticated: fault.Unauthenticated, codes.PermissionDenied: fault.Denied,
	codes.NotFound: fault.NotFound, codes.AlreadyExists: fault.Exists, codes.FailedPrecondition: fault.Precondition,
	codes.Aborted: fault.Aborted, codes.ResourceExhausted: fault.Exhausted, codes.Unavailable: fault.Unavailable,
	codes.DeadlineExceeded: fault.Timeout, codes.OutOfRange: fault.Invalid,
}

// Classify finds the fault behind an error: its own, or the one that a database or context error stands for.
func Classify(err error) *fault.Error {
	var f *fault.Error
	switch {
	case errors.As(err, &f):
		return f
	case errors.Is(err, sqldb.ErrUnavailable):
		return fault.New(fault.Unavailable, "STORE_UNAVAILABLE",
			"The service cannot read or write its data at the moment. Nothing was changed; try again shortly.").Because(err).RetryIn(2e9)
	case errors.Is(err, context.DeadlineExceeded):
		return fault.New(fault.Timeout, "DEADLINE_EXCEEDED", "The call took longer than its deadline.").Because(err)
	case errors.Is(err, context.Canceled):
		return fault.New(fault.Timeout, "CANCELLED", "The call was cancelled.").Because(err)
	}
	if s, ok := status.FromError(err); ok && s.Code() != codes.Unknown {
		return fromStatus(s).Because(err)
	}
	return fault.From(err)
}

// Status gives the status that a caller sees. Of an internal error nothing is told but an id that the log has too.
func Status(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, context.Canceled) || (ctx.Err() != nil && status.Code(err) == codes.Canceled) {
		return status.Error(codes.Canceled, "The call was cancelled.")
	}
	f := Classify(err)
	info := &errdetails.ErrorInfo{Reason: f.Reason(), Domain: errorDomain, Metadata: f.Metadata()}
	message := f.Message()
	if f.Kind() == fault.Internal {
		id := trace.SpanContextFromContext(ctx).TraceID().String()
		info.Metadata = map[string]string{"errorId": id}
		message = "Something went wrong on our side. Quote the error id when you report it."
	}
	details := []protoadapt.MessageV1{protoadapt.MessageV1Of(info)}
	if v := f.Violations(); len(v) > 0 {
		details = append(details, protoadapt.MessageV1Of(badRequest(v)))
	}
	if d := f.RetryAfter(); d > 0 {
		details = append(details, protoadapt.MessageV1Of(&errdetails.RetryInfo{RetryDelay: durationpb.New(d)}))
	}
	s, derr := status.New(toCode[f.Kind()], message).WithDetails(details...)
	if derr != nil {
		return status.Error(codes.Internal, "Something went wrong on our side.")
	}
	return s.Err()
}

func badRequest(v []fault.Violation) *errdetails.BadRequest {
	b := &errdetails.BadRequest{}
	for _, x := range v {
		b.FieldViolations = append(b.FieldViolations, &errdetails.BadRequest_FieldViolation{Field: x.Field, Description: x.Description})
	}
	return b
}

// Fault makes a fault again of what a called service answered, so that reasons survive the hop. What did not come from a service
// of the suite, but was made by a library on the way, keeps its kind alone: its text may name addresses.
func Fault(err error) error {
	if err == nil {
		return nil
	}
	s, ok := status.FromError(err)
	if !ok {
		return err
	}
	return fromStatus(s).Because(fmt.Errorf("rpc: %s", s.Code()))
}

func fromStatus(s *status.Status) *fault.Error {
	kind, ok := toKind[s.Code()]
	if !ok {
		kind = fault.Internal
	}
	f := fault.New(kind, "UPSTREAM_"+upper(s.Code()), onTheWay(kind))
	for _, d := range s.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			if d.GetDomain() != errorDomain {
				return f
			}
			f = fault.New(kind, d.GetReason(), s.Message())
			for k, v := range d.GetMetadata() {
				f = f.With(k, v)
			}
		case *errdetails.RetryInfo:
			f = f.RetryIn(d.GetRetryDelay().AsDuration())
		case *errdetails.BadRequest:
			var v []fault.Violation
			for _, x := range d.GetFieldViolations() {
				v = append(v, fault.Violation{Field: x.GetField(), Description: x.GetDescription()})
			}
			f = f.WithViolations(v)
		}
	}
	return f
}

// onTheWay is the text of a fault that no service of the suite has worded.
func onTheWay(kind fault.Kind) string {
	switch kind {
	case fault.Unavailable, fault.Timeout:
		return "A part of the suite cannot be reached at the moment; try again shortly."
	case fault.Exhausted:
		return "A limit of the suite is reached; send less or wait."
	default:
		return "A part of the suite refused the call."
	}
}

// upper is a code's name in the manner of reasons: DeadlineExceeded is DEADLINE_EXCEEDED.
func upper(c codes.Code) string {
	var out []rune
	for i, r := range c.String() {
		if i > 0 && r >= 'A' && r <= 'Z' {
			out = append(out, '_')
		}
		if r >= 'a' && r <= 'z' {
			r -= 'a' - 'A'
		}
		out = append(out, r)
	}
	return string(out)
}
