package problem_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/privacyops/privacyops/gateway/internal/problem"
	"github.com/privacyops/privacyops/libs/fault"
)

// withInfo is a status as the services make them.
func withInfo(code codes.Code, reason, message string) error {
	st, err := status.New(code, message).WithDetails(&errdetails.ErrorInfo{Reason: reason, Domain: "privacyops"})
	if err != nil {
		panic(err)
	}
	return st.Err()
}

func TestOf(t *testing.T) {
	t.Parallel()
	const secret = "dial tcp 10.1.2.3:5432: anna"
	for name, c := range map[string]struct {
		err    error
		status int
		reason string
		retry  time.Duration
	}{
		"a service's":             {withInfo(codes.FailedPrecondition, "PACKAGE_EXPIRED", "Gone."), 410, "PACKAGE_EXPIRED", 0},
		"a service's conflict":    {withInfo(codes.FailedPrecondition, "PLAN_HASH_MISMATCH", "No."), 409, "PLAN_HASH_MISMATCH", 0},
		"the transport's":         {status.Error(codes.Unavailable, secret), 503, "UPSTREAM_UNAVAILABLE", 2 * time.Second},
		"the translator's":        {status.Error(codes.InvalidArgument, secret), 400, "INVALID_ARGUMENT", 0},
		"too much for a service":  {status.Error(codes.ResourceExhausted, secret), 429, "UPSTREAM_EXHAUSTED", time.Second},
		"late":                    {status.Error(codes.DeadlineExceeded, secret), 504, "DEADLINE_EXCEEDED", 0},
		"a version's difference":  {status.Error(codes.Unimplemented, secret), 500, "INTERNAL", 0},
		"unknown":                 {status.Error(codes.Unknown, secret), 500, "INTERNAL", 0},
		"no status at all":        {errors.New(secret), 500, "INTERNAL", 0},
		"a caller who went away":  {fmt.Errorf("x: %w", context.Canceled), 499, "CANCELLED", 0},
		"a cancelled call":        {status.Error(codes.Canceled, secret), 499, "CANCELLED", 0},
		"the door's":              {problem.Refuse(418, fault.Invalid, "TEAPOT", "Short and stout."), 418, "TEAPOT", 0},
		"the door's, with a wait": {problem.Refuse(429, fault.Exhausted, "SLOW", "Wait."), 429, "SLOW", time.Second},
	} {
		a := problem.Of(t.Context(), c.err)
		if a.Status != c.status || a.Reason != c.reason || a.RetryAfter != c.retry {
			t.Errorf("%s: %d %s %s", name, a.Status, a.Reason, a.RetryAfter)
		}
		if strings.Contains(string(a.Body), "anna") || !strings.Contains(string(a.Body), `"reason":"`) {
			t.Errorf("%s: %s", name, a.Body)
		}
	}
}

// Headers of an answer that is not given do not stay on the error.
func TestWrite(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	w.Header().Set("Content-Length", "99")
	w.Header().Set("Etag", `"x"`)
	w.Header().Set("Content-Disposition", "attachment")
	problem.Write(w, httptest.NewRequest(http.MethodGet, "/", nil), fault.New(fault.Unauthenticated, "TOKEN_INVALID", "token for anna@skole.dk expired"))
	if w.Code != 401 || w.Header().Get("WWW-Authenticate") != `Bearer realm="privacyops"` {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	for _, name := range []string{"Content-Length", "Etag", "Content-Disposition"} {
		if w.Header().Get(name) != "" {
			t.Errorf("%s stays", name)
		}
	}
	want := `{"code":16,"message":"token for anna@skole.dk expired","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"TOKEN_INVALID","domain":"privacyops"}]}`
	if w.Body.String() != want {
		t.Errorf("%s", w.Body)
	}
}
