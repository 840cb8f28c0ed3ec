package rest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/privacyops/privacyops/gateway/internal/problem"
	"github.com/privacyops/privacyops/gateway/internal/route"
	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/keyring"
	"github.com/privacyops/privacyops/libs/redis"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
	exportv1 "github.com/privacyops/privacyops/proto/gen/privacyops/export/v1"
)

// Config is what the handler is made of. All is required.
type Config struct {
	// Consent, Export, Erasure and Audit are connections to the services, made with the gateway's certificate.
	Consent, Export, Erasure, Audit grpc.ClientConnInterface
	// Log takes what an operator must know; no request is ever logged.
	Log *slog.Logger
	// Clock dates events.
	Clock clock.Clock
	// NewID makes UUIDs for events.
	NewID func() string
	// Keyring makes the digests by which repeated requests are told from others.
	Keyring *keyring.Keyring
	// Replies remembers the answers of creating calls, for this gateway or for all of them.
	Replies redis.Replies
}

func (c Config) complete() bool {
	return c.Consent != nil && c.Export != nil && c.Erasure != nil && c.Audit != nil && c.Log != nil && c.Clock != nil && c.NewID != nil &&
		c.Keyring != nil && c.Replies != nil
}

// Files are the protos whose annotated methods are served.
func Files() []protoreflect.FileDescriptor {
	return []protoreflect.FileDescriptor{
		auditv1.File_privacyops_audit_v1_audit_proto, auditv1.File_privacyops_audit_v1_evidence_proto,
		auditv1.File_privacyops_audit_v1_alerts_proto, auditv1.File_privacyops_audit_v1_keys_proto, consentv1.File_privacyops_consent_v1_consent_proto,
		consentv1.File_privacyops_consent_v1_register_proto, consentv1.File_privacyops_consent_v1_rights_proto,
		consentv1.File_privacyops_consent_v1_documents_proto, erasurev1.File_privacyops_erasure_v1_erasure_proto,
		exportv1.File_privacyops_export_v1_export_proto,
	}
}

// Own are the routes that no annotation can say: files, and the paths of the log's tiles.
func Own() []route.Route {
	return []route.Route{
		{Method: http.MethodGet, Template: "/v1/controllers/{controller}/exports/{export}/package",
			RPC: exportv1.Exports_ReadPackage_FullMethodName, Kind: route.Download},
		{Method: http.MethodGet, Template: "/v1/controllers/{controller}/evidence/{evidence}/package",
			RPC: auditv1.AuditEvidence_ReadEvidencePackage_FullMethodName, Kind: route.Download},
		{Method: http.MethodPost, Template: "/v1/controllers/{controller}/rosters:import",
			RPC: erasurev1.Rosters_ImportRoster_FullMethodName, Kind: route.Upload,
			Query: map[string]bool{"format": false, "requestId": false}},
		{Method: http.MethodGet, Template: "/v1/audit/tile/{tile...}", RPC: auditv1.AuditLog_GetTile_FullMethodName, Kind: route.Download},
		{Method: http.MethodGet, Template: "/v1/audit/shards/{year}/tile/{tile...}", RPC: auditv1.AuditLog_GetTile_FullMethodName, Kind: route.Download},
	}
}

// Handler serves the routes of the services. Requests reach it through the door (package edge), which has found the route
// and authenticated the caller.
type Handler struct {
	reports  *reports
	log      *slog.Logger
	mux      *runtime.ServeMux
	conns    map[protoreflect.FullName]*guarded // by proto package
	files    map[string]http.HandlerFunc        // by RPC
	draining chan struct{}
	drain    sync.Once
}

// New makes the handler for the routes of a table.
func New(ctx context.Context, cfg Config, t *route.Table) (*Handler, error) {
	if !cfg.complete() {
		return nil, errors.New("rest: connections to all services, log, clock, ids, keyring and replies are required")
	}
	d := &reports{audit: auditv1.NewAuditIngestClient(cfg.Audit), clock: cfg.Clock, newID: cfg.NewID, log: cfg.Log}
	rules, m := rulesOf(t), &memory{replies: cfg.Replies, keyring: cfg.Keyring, reports: d}
	guard := func(conn grpc.ClientConnInterface) *guarded {
		return &guarded{conn: conn, rules: rules, reports: d, memory: m}
	}
	h := &Handler{reports: d, log: cfg.Log, draining: make(chan struct{}), conns: map[protoreflect.FullName]*guarded{
		"privacyops.consent.v1": guard(cfg.Consent), "privacyops.export.v1": guard(cfg.Export),
		"privacyops.erasure.v1": guard(cfg.Erasure), "privacyops.audit.v1": guard(cfg.Audit),
	}}
	h.files = map[string]http.HandlerFunc{
		exportv1.Exports_ReadPackage_FullMethodName:              h.serveExport,
		auditv1.AuditEvidence_ReadEvidencePackage_FullMethodName: h.serveEvidence,
		erasurev1.Rosters_ImportRoster_FullMethodName:            h.importRoster,
		auditv1.AuditLog_GetTile_FullMethodName:                  h.serveTile,
	}
	var err error
	h.mux, err = h.newMux(ctx)
	return h, err
}

// ReportStorm tells the audit service of a caller of whom many calls were refused because they were too many.
func (h *Handler) ReportStorm(ctx context.Context, c access.Caller) { h.reports.storm(ctx, c) }

func rulesOf(t *route.Table) access.Rules {
	rules := access.Rules{}
	for _, r := range t.Routes() {
		if r.Rule != nil {
			rules[r.RPC] = r.Rule
		}
	}
	return rules
}

// Drain ends the running watches, whose clients connect again. Other calls run to their end.
func (h *Handler) Drain() { h.drain.Do(func() { close(h.draining) }) }

// ServeHTTP serves one request.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m := route.From(r.Context())
	err := errors.Join(checkQuery(m, r.URL.RawQuery), checkIdempotencyKey(r.Header))
	if err != nil {
		h.fail(w, r, err)
		return
	}
	switch m.Kind {
	case route.Watch:
		h.watch(w, r)
	case route.Upload, route.Download:
		h.files[m.RPC](w, r)
	default:
		h.unary(w, r, m)
	}
}

// unary serves a JSON call.
func (h *Handler) unary(w http.ResponseWriter, r *http.Request, m *route.Match) {
	body, err := jsonBody(w, r, m)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	r = r.Clone(r.Context())
	r.Header, r.Body, r.ContentLength = onlyKnown(r.Header), body, -1
	if r.URL.RawQuery != "" {
		r.URL.RawQuery = protoMasks(m, r.URL.Query()).Encode()
	}
	h.mux.ServeHTTP(w, r)
}

// fail answers with an error. What is our side's fault is logged: by reason and kind, never by its text.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	h.note(r, err)
	problem.Write(w, r, err)
}

func (h *Handler) note(r *http.Request, err error) {
	if a := problem.Of(r.Context(), err); a.Status >= http.StatusInternalServerError {
		cause := errors.Unwrap(fault.From(err))
		h.log.LogAttrs(r.Context(), slog.LevelError, "call failed", slog.String("method", route.From(r.Context()).RPC),
			slog.String("reason", a.Reason), slog.Int("status", a.Status), slog.String("error_kind", fmt.Sprintf("%T", cause)))
	}
}
