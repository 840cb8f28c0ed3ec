package rest

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/privacyops/privacyops/gateway/internal/problem"
	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/idempotency"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
	exportv1 "github.com/privacyops/privacyops/proto/gen/privacyops/export/v1"
)

// jsonOptions is how answers are written.
var jsonOptions = protojson.MarshalOptions{EmitDefaultValues: true}

// newMux makes the translator of unary calls. Its own leniencies are turned off; what it cannot be told is done before it
// sees a request ([Handler.unary]).
func (h *Handler) newMux(ctx context.Context) (*runtime.ServeMux, error) {
	mux := runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, &runtime.HTTPBodyMarshaler{
			Marshaler: marshaler{&runtime.JSONPb{MarshalOptions: jsonOptions}}}),
		runtime.WithDisableHTTPMethodOverride(), runtime.WithDisablePathLengthFallback(),
		runtime.WithIncomingHeaderMatcher(incoming), runtime.WithOutgoingHeaderMatcher(nothing),
		runtime.WithOutgoingTrailerMatcher(nothing), runtime.WithWriteContentLength(), runtime.WithForwardResponseOption(secure),
		runtime.WithErrorHandler(func(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, err error) {
			h.fail(w, r, err)
		}),
		runtime.WithRoutingErrorHandler(func(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, r *http.Request, status int) {
			h.fail(w, r, problem.Refuse(status, fault.NotFound, "ROUTE_NOT_FOUND", "There is nothing at this path."))
		}),
	)
	return mux, errors.Join(
		auditv1.RegisterAuditLogHandlerClient(ctx, mux, auditv1.NewAuditLogClient(h.conns["privacyops.audit.v1"])),
		auditv1.RegisterAuditEvidenceHandlerClient(ctx, mux, auditv1.NewAuditEvidenceClient(h.conns["privacyops.audit.v1"])),
		auditv1.RegisterAuditKeepingHandlerClient(ctx, mux, auditv1.NewAuditKeepingClient(h.conns["privacyops.audit.v1"])),
		auditv1.RegisterAuditMonitoringHandlerClient(ctx, mux, auditv1.NewAuditMonitoringClient(h.conns["privacyops.audit.v1"])),
		consentv1.RegisterConsentsHandlerClient(ctx, mux, consentv1.NewConsentsClient(h.conns["privacyops.consent.v1"])),
		consentv1.RegisterLegalBasisHandlerClient(ctx, mux, consentv1.NewLegalBasisClient(h.conns["privacyops.consent.v1"])),
		consentv1.RegisterRegisterHandlerClient(ctx, mux, consentv1.NewRegisterClient(h.conns["privacyops.consent.v1"])),
		consentv1.RegisterRightsHandlerClient(ctx, mux, consentv1.NewRightsClient(h.conns["privacyops.consent.v1"])),
		consentv1.RegisterDocumentsHandlerClient(ctx, mux, consentv1.NewDocumentsClient(h.conns["privacyops.consent.v1"])),
		erasurev1.RegisterErasuresHandlerClient(ctx, mux, erasurev1.NewErasuresClient(h.conns["privacyops.erasure.v1"])),
		erasurev1.RegisterRostersHandlerClient(ctx, mux, erasurev1.NewRostersClient(h.conns["privacyops.erasure.v1"])),
		exportv1.RegisterExportsHandlerClient(ctx, mux, exportv1.NewExportsClient(h.conns["privacyops.export.v1"])),
	)
}

// incoming lets the idempotency key through. The translator adds the token by itself.
func incoming(key string) (string, bool) {
	return idempotency.Header, strings.EqualFold(key, idempotency.Header)
}

// nothing lets no metadata of a service out as headers.
func nothing(string) (string, bool) { return "", false }

// onlyKnown keeps the headers that calls may depend on. All others (cookies, Grpc-Timeout, Grpc-Metadata-…, X-Forwarded-…,
// X-HTTP-Method-Override) are gone before anything can look at them.
func onlyKnown(h http.Header) http.Header {
	out := http.Header{}
	for _, name := range []string{"Authorization", "Content-Type", "Idempotency-Key"} {
		if v := h.Values(name); len(v) > 0 {
			out[name] = v
		}
	}
	return out
}

// outgoing gives the context for a call that the translator does not make.
func outgoing(r *http.Request) context.Context {
	md := metadata.MD{}
	if v := r.Header.Values("Authorization"); len(v) == 1 {
		md.Set("authorization", v[0])
	}
	if v := r.Header.Values("Idempotency-Key"); len(v) == 1 {
		md.Set(idempotency.Header, v[0])
	}
	return metadata.NewOutgoingContext(r.Context(), md)
}

// bearer writes the scheme as the services expect it; HTTP takes it in any case.
func bearer(authorization string) string {
	_, token, _ := strings.Cut(authorization, " ")
	return "Bearer " + token
}
