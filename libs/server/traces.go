package server

import (
	"context"
	"strings"

	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/metadata"

	"github.com/privacyops/privacyops/libs/access"
)

// TracesHeader is the metadata in which the gateway names the traces of the calls that it has put into one: trace ids, in the
// order of the calls, separated by commas.
const TracesHeader = "privacyops-traces"

// Traces gives the traces of the calls that the gateway has put into the call of ctx, if they are so many; nil otherwise. Nobody
// else is believed.
func Traces(ctx context.Context, calls int) []trace.TraceID {
	values := metadata.ValueFromIncomingContext(ctx, TracesHeader)
	if len(values) != 1 || access.CallerFrom(ctx).Service != "gateway" {
		return nil
	}
	ids := strings.Split(values[0], ",")
	if len(ids) != calls {
		return nil
	}
	out := make([]trace.TraceID, calls)
	for i, id := range ids {
		out[i], _ = trace.TraceIDFromHex(id) // one that is none is the zero trace: the event names none
	}
	return out
}
