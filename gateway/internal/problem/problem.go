// Package problem is the one shape of error that callers of the REST interface see, whoever found the error: a service, the
// translation between JSON and the protos, or the door in front of both.
//
// The body is a google.rpc.Status in proto3 JSON, `{"code":…,"message":…,"details":[…]}`, and always carries an ErrorInfo
// with a stable reason. Texts that did not come from a fault (those of the transport, of a decoder, of a driver) never
// reach a caller: they may repeat what was sent.
package problem

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/protoadapt"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/server"
)

// challenge is the whole of every WWW-Authenticate header (RFC 6750 section 3). It never says what was wrong with a token.
const challenge = `Bearer realm="privacyops"`

// defaultRetry is what callers are told to wait where a service that is unavailable or exhausted does not say.
const defaultRetry = time.Second

// RefusalError is an error of the door itself, whose HTTP status the fault's kind alone does not decide.
type RefusalError struct {
	// Status is the HTTP status.
	Status int
	// Fault is what the caller is told.
	Fault *fault.Error
	// Allow lists the methods of the resource, for status 405 (RFC 9110 section 15.5.6).
	Allow string
}

// Error is the public text.
func (r *RefusalError) Error() string { return r.Fault.Error() }

// Unwrap gives the fault.
func (r *RefusalError) Unwrap() error { return r.Fault }

// Refuse makes a refusal.
func Refuse(httpStatus int, kind fault.Kind, reason, message string) *RefusalError {
	return &RefusalError{Status: httpStatus, Fault: fault.New(kind, reason, message)}
}

// Answer is an error as it goes over the wire.
type Answer struct {
	// Status is the HTTP status.
	Status int
	// Reason is the stable word, for the log.
	Reason string
	// RetryAfter is when to try again; 0 where that is of no use.
	RetryAfter time.Duration
	// Allow lists allowed methods; empty but for status 405.
	Allow string
	// Body is the JSON object, without a line end.
	Body []byte
}

// Of makes the answer to an error.
func Of(ctx context.Context, err error) Answer {
	f := faultOf(err)
	st, reason := statusOf(ctx, f), f.Reason()
	if cancelled(err) {
		st, reason = cancelledStatus, "CANCELLED"
	}
	a := Answer{Status: httpStatus(st.Code(), reason), Reason: reason, RetryAfter: f.RetryAfter(), Body: body(st)}
	var r *RefusalError
	if errors.As(err, &r) {
		a.Status, a.Allow = r.Status, r.Allow
	}
	if a.RetryAfter == 0 && (a.Status == http.StatusTooManyRequests || a.Status == http.StatusServiceUnavailable) {
		a.RetryAfter = defaultRetry
	}
	return a
}

// Write answers a request with an error.
func Write(w http.ResponseWriter, r *http.Request, err error) {
	a := Of(r.Context(), err)
	h := w.Header()
	for _, name := range []string{"Content-Length", "Content-Range", "Content-Disposition", "Etag", "Accept-Ranges", "Last-Modified"} {
		h.Del(name) // they would speak of an answer that is not given
	}
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	if a.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", challenge)
	}
	if a.Allow != "" {
		h.Set("Allow", a.Allow)
	}
	if a.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int((a.RetryAfter+time.Second-1)/time.Second)))
	}
	if a.Status == http.StatusRequestEntityTooLarge || a.Status == http.StatusRequestTimeout {
		h.Set("Connection", "close") // the rest of the body is not waited for
	}
	w.WriteHeader(a.Status)
	w.Write(a.Body)
}

// statusOf is the status that the body shows.
func statusOf(ctx context.Context, f *fault.Error) *status.Status {
	return status.Convert(server.Status(ctx, f))
}

// cancelledStatus is for callers who went away before there was an answer.
var cancelledStatus = func() *status.Status {
	st, err := status.New(codes.Canceled, "The call was cancelled.").WithDetails(
		protoadapt.MessageV1Of(&errdetails.ErrorInfo{Reason: "CANCELLED", Domain: "privacyops"}))
	if err != nil {
		return status.New(codes.Canceled, "The call was cancelled.")
	}
	return st
}()

func cancelled(err error) bool {
	return errors.Is(err, context.Canceled) || status.Code(err) == codes.Canceled
}

// faultOf finds what may be told. A status with an ErrorInfo was made by a service for callers; any other status was made
// on the way, and of it only the code counts.
func faultOf(err error) *fault.Error {
	var f *fault.Error
	if errors.As(err, &f) {
		return f
	}
	st, ok := status.FromError(err)
	if !ok || hasInfo(st) || st.Code() == codes.Unknown {
		return server.Classify(err)
	}
	switch st.Code() {
	case codes.InvalidArgument:
		return fault.New(fault.Invalid, "INVALID_ARGUMENT", "A value in the path or the query has the wrong form.").Because(err)
	case codes.Unavailable:
		return fault.New(fault.Unavailable, "UPSTREAM_UNAVAILABLE",
			"A part of the suite cannot be reached at the moment; try again shortly.").Because(err).RetryIn(2 * time.Second)
	case codes.ResourceExhausted:
		return fault.New(fault.Exhausted, "UPSTREAM_EXHAUSTED", "A limit of the suite is reached; send less or wait.").Because(err)
	case codes.DeadlineExceeded:
		return fault.New(fault.Timeout, "DEADLINE_EXCEEDED", "The call took longer than its deadline.").Because(err)
	}
	return fault.From(err)
}

func hasInfo(st *status.Status) bool {
	for _, d := range st.Details() {
		if _, ok := d.(*errdetails.ErrorInfo); ok {
			return true
		}
	}
	return false
}

// body writes the status as JSON. Protojson varies its blanks from build to build; compacting takes them out, so that equal
// errors are equal bytes.
func body(st *status.Status) []byte {
	raw, err := protojson.Marshal(st.Proto())
	var out bytes.Buffer
	if err != nil || json.Compact(&out, raw) != nil {
		return []byte(`{"code":13,"message":"Something went wrong on our side."}`)
	}
	return out.Bytes()
}
