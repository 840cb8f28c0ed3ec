package server_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/metadata"

	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/server"
)

// TestTraces: the gateway alone may say in which traces the calls were made that it has put into one.
func TestTraces(t *testing.T) {
	t.Parallel()
	one, two := trace.TraceID{1}, trace.TraceID{2}
	both := one.String() + "," + two.String()
	for name, test := range map[string]struct {
		service string
		values  []string
		calls   int
		want    []trace.TraceID
	}{
		"the gateway":            {"gateway", []string{both}, 2, []trace.TraceID{one, two}},
		"a call without a trace": {"gateway", []string{one.String() + "," + strings.Repeat("0", 32)}, 2, []trace.TraceID{one, {}}},
		"no trace id":            {"gateway", []string{one.String() + ",x"}, 2, []trace.TraceID{one, {}}},
		"too few":                {"gateway", []string{one.String()}, 2, nil},
		"too many":               {"gateway", []string{both}, 1, nil},
		"said twice":             {"gateway", []string{both, both}, 2, nil},
		"nothing said":           {"gateway", nil, 2, nil},
		"another service":        {"export", []string{both}, 2, nil},
		"no service":             {"", []string{both}, 2, nil},
	} {
		ctx := access.WithCaller(context.Background(), access.Caller{Service: test.service})
		ctx = metadata.NewIncomingContext(ctx, metadata.MD{server.TracesHeader: test.values})
		if d := cmp.Diff(test.want, server.Traces(ctx, test.calls)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}
