package server_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/server"
	"github.com/privacyops/privacyops/libs/sqldb"
)

// TestFaultsSurviveTheHop makes a status of a fault of each kind, and a fault of it again.
func TestFaultsSurviveTheHop(t *testing.T) {
	t.Parallel()
	kinds := map[fault.Kind]codes.Code{
		fault.Invalid: codes.InvalidArgument, fault.Unauthenticated: codes.Unauthenticated, fault.Denied: codes.PermissionDenied,
		fault.NotFound: codes.NotFound, fault.Exists: codes.AlreadyExists, fault.Precondition: codes.FailedPrecondition,
		fault.Aborted: codes.Aborted, fault.Exhausted: codes.ResourceExhausted, fault.Unavailable: codes.Unavailable,
		fault.Gone: codes.FailedPrecondition, fault.Timeout: codes.DeadlineExceeded, fault.Internal: codes.Internal,
	}
	for kind, code := range kinds {
		in := fault.New(kind, "A_REASON", "Do this.").With("key", "value").RetryIn(3 * time.Second).
			WithViolations([]fault.Violation{{Field: "a.b", Description: "too long"}}).Because(errors.New(secret))
		err := server.Status(t.Context(), in)
		if status.Code(err) != code || strings.Contains(status.Convert(err).Proto().String(), "anna") {
			t.Errorf("kind %v: %v", kind, err)
		}
		out := fault.From(server.Fault(err))
		wantKind, wantMessage, wantMetadata := kind, "Do this.", map[string]string{"key": "value"}
		switch kind {
		case fault.Gone: // gRPC has no such code; the reason tells
			wantKind = fault.Precondition
		case fault.Internal:
			wantMessage, wantMetadata = "Something went wrong on our side. Quote the error id when you report it.", map[string]string{"errorId": strings.Repeat("0", 32)}
		default: // comes back as it went
		}
		if out.Kind() != wantKind || out.Reason() != "A_REASON" || out.Message() != wantMessage || out.RetryAfter() != 3*time.Second {
			t.Errorf("kind %v came back as %v %v, retry after %v", kind, out.Kind(), out, out.RetryAfter())
		}
		if diff := cmp.Diff(wantMetadata, out.Metadata()); diff != "" {
			t.Errorf("kind %v: metadata (-want +got):\n%s", kind, diff)
		}
		if diff := cmp.Diff(in.Violations(), out.Violations()); diff != "" {
			t.Errorf("kind %v: violations (-want +got):\n%s", kind, diff)
		}
	}
	if err := server.Status(t.Context(), nil); err != nil || server.Fault(nil) != nil {
		t.Errorf("no error became %v", err)
	}
}

func TestClassify(t *testing.T) {
	t.Parallel()
	foreign, err := status.New(codes.NotFound, secret).WithDetails(protoadapt.MessageV1Of(&errdetails.ErrorInfo{Reason: "BUCKET", Domain: "storage.example"}))
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name   string
		err    error
		kind   fault.Kind
		reason string
	}{
		{"any error", errors.New(secret), fault.Internal, "INTERNAL"},
		{"wrapped fault", fmt.Errorf("reading: %w", fault.Missing()), fault.NotFound, "NOT_FOUND"},
		{"fault over a database", fault.New(fault.Aborted, "RACE", "Again.").Because(sqldb.ErrUnavailable), fault.Aborted, "RACE"},
		{"database", fmt.Errorf("%s: %w", secret, sqldb.ErrUnavailable), fault.Unavailable, "STORE_UNAVAILABLE"},
		{"deadline", fmt.Errorf("%s: %w", secret, context.DeadlineExceeded), fault.Timeout, "DEADLINE_EXCEEDED"},
		{"cancelled", fmt.Errorf("%s: %w", secret, context.Canceled), fault.Timeout, "CANCELLED"},
		{"connection", status.Error(codes.Unavailable, secret), fault.Unavailable, "UPSTREAM_UNAVAILABLE"},
		{"limit", status.Error(codes.ResourceExhausted, secret), fault.Exhausted, "UPSTREAM_RESOURCE_EXHAUSTED"},
		{"method unknown there", status.Error(codes.Unimplemented, secret), fault.Internal, "UPSTREAM_UNIMPLEMENTED"},
		{"unknown", status.Error(codes.Unknown, secret), fault.Internal, "INTERNAL"},
		{"another's details", foreign.Err(), fault.NotFound, "UPSTREAM_NOT_FOUND"},
	} {
		f := server.Classify(tc.err)
		if f.Kind() != tc.kind || f.Reason() != tc.reason || strings.Contains(f.Error(), "anna") {
			t.Errorf("%s: %v (kind %v), want %s (kind %v)", tc.name, f, f.Kind(), tc.reason, tc.kind)
		}
		if text := status.Convert(server.Status(t.Context(), tc.err)).Proto().String(); strings.Contains(text, "anna") {
			t.Errorf("%s: the status tells what is inside: %s", tc.name, text)
		}
	}
	if plain := errors.New("x"); server.Fault(plain) != plain { //nolint:errorlint // the very same
		t.Error("Fault changes what is no status")
	}
	if err := server.Status(t.Context(), fmt.Errorf("x: %w", context.Canceled)); status.Code(err) != codes.Canceled {
		t.Errorf("a cancelled call: %v", err)
	}
}
