package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/server"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	authv1 "github.com/privacyops/privacyops/proto/gen/privacyops/auth/v1"
	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
	"github.com/privacyops/privacyops/services/participant/sample"
)

// within is how soon an alert has to be raised and delivered (logging duty L.5).
const within = time.Minute

// hook is a receiver of webhooks. It refuses the first two attempts at each message, and takes the third.
type hook struct {
	t        *testing.T
	url      string
	secret   []byte
	mu       sync.Mutex
	attempts map[string]int
	taken    map[string]string // rule by name of the alert
}

func newHook(t *testing.T) *hook {
	h := &hook{t: t, secret: []byte("a secret of thirty-two characters"), attempts: map[string]int{}, taken: map[string]string{}}
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	h.url = srv.URL
	return h
}

// ServeHTTP checks a message as Standard Webhooks says it is to be checked.
func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	id, stamp := r.Header.Get("Webhook-Id"), r.Header.Get("Webhook-Timestamp")
	mac := hmac.New(sha256.New, h.secret)
	mac.Write([]byte(id + "." + stamp + "." + string(body)))
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	seconds, terr := strconv.ParseInt(stamp, 10, 64)
	if err != nil || terr != nil || time.Since(time.Unix(seconds, 0)).Abs() > 5*time.Minute || r.Header.Get("Webhook-Signature") != want {
		h.t.Errorf("a webhook of %v is not signed as it should be: %v %v", r.Header, err, terr)
	}
	var m struct {
		Type string
		Data struct{ Name, Rule string }
	}
	if err := json.Unmarshal(body, &m); err != nil || m.Type != "alert.raised" || !strings.HasSuffix(m.Data.Name, "alerts/"+id) {
		h.t.Errorf("a webhook says %s: %v", body, err)
	}
	for _, p := range []string{sample.Pupil().UniLogin, sample.Pupil().Email} {
		if strings.Contains(string(body), p) {
			h.t.Error("a webhook names a person")
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.attempts[m.Data.Name]++; h.attempts[m.Data.Name] <= 2 {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	h.taken[m.Data.Name] = m.Data.Rule
}

func (h *hook) has(rule string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, r := range h.taken {
		if r == rule {
			return true
		}
	}
	return false
}

// alerting is an installation that delivers its alerts to the receiver.
func alerting(t *testing.T, h *hook, change ...func(*setting)) *world {
	t.Helper()
	dir := t.TempDir()
	secret, config := filepath.Join(dir, "secret"), filepath.Join(dir, "webhooks.yaml")
	must(t, os.WriteFile(secret, []byte("whsec_"+base64.StdEncoding.EncodeToString(h.secret)), 0o600))
	must(t, os.WriteFile(config, []byte("webhooks:\n- {id: test, url: '"+h.url+"', secretFile: '"+secret+"', controllers: all}\n"), 0o600))
	return newWorld(t, append(change, func(s *setting) {
		s.suite.Webhooks, s.suite.WebhooksAllow = config, []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	})...)
}

// ingest reports events to the audit service as another service, with its certificate.
func (w *world) ingest(service string, sent time.Time, events ...*auditv1.ReportedEvent) {
	w.t.Helper()
	config, err := server.In(filepath.Join(w.dir, "tls"), service).ClientTLS("audit")
	must(w.t, err)
	conn, err := grpc.NewClient(w.Addresses["audit"], grpc.WithTransportCredentials(credentials.NewTLS(config)))
	must(w.t, err)
	defer conn.Close()
	ctx := w.t.Context()
	if !sent.IsZero() {
		ctx = metadata.AppendToOutgoingContext(ctx, outbox.SentHeader, strconv.FormatInt(sent.UnixMicro(), 10))
	}
	for _, e := range events {
		e.Id, e.Service = uuid.Must(uuid.NewV7()).String(), service
		if e.GetOccurTime() == nil {
			e.OccurTime = timestamppb.Now()
		}
		if e.GetActor() == nil {
			e.Actor = &auditv1.Actor{Kind: auditv1.Actor_SERVICE, Ref: service}
		}
		if e.GetOutcome() == auditv1.AuditEvent_OUTCOME_UNSPECIFIED {
			e.Outcome = auditv1.AuditEvent_OK
		}
	}
	_, err = auditv1.NewAuditIngestClient(conn).AppendAuditEvents(ctx, &auditv1.AppendAuditEventsRequest{Events: events})
	must(w.t, err)
}

// event is one to be reported.
func event(controller, action string, kind authv1.Rule_EventKind) *auditv1.ReportedEvent {
	return &auditv1.ReportedEvent{Controller: controller, Action: action, Kind: kind}
}

// provocations do what each rule is about: through the suite where that takes seconds, and by an event of the service that reports it
// where it takes a broken log, a full disk or a month.
func provocations(t *testing.T, w *world) map[string]func() {
	return map[string]func(){
		"foreign-denials": func() {
			stranger := w.caller("dpo", "another-school", "stranger")
			for range 6 {
				stranger.refused(http.MethodGet, school+"/erasures", "", http.StatusNotFound, "NOT_FOUND")
			}
		},
		"self-approval": func() {
			asker := w.caller("dpo", sample.Controller, "asker")
			e := asker.planned(sample.Sibling())
			asker.refusedMessage("/v1/"+e.GetName()+":approve", &erasurev1.ApproveErasureRequest{PlanHash: e.GetPlan().GetPlanHash()},
				http.StatusForbidden, "OWN_REQUEST")
		},
		"stuck-request": func() { // an erasure that should have been answered long ago, and waits for its approval
			e := newErasure()
			w.caller("dpo", sample.Controller, "asker").post(school+"/erasures", &erasurev1.CreateErasureRequest{Subject: uniLogin(sample.Pupil()),
				Ground: erasurev1.Erasure_UNLAWFUL, ReceivedAt: timestamppb.New(time.Now().AddDate(0, -3, 0))}, e)
		},
		"mass-export": func() {
			var many []*auditv1.ReportedEvent
			for range 26 {
				many = append(many, event(sample.Controller, "export.download", authv1.Rule_EXPORT))
			}
			w.ingest("export", time.Time{}, many...)
		},
		"verification-failed": func() {
			e := event("", "audit.verify", authv1.Rule_AUDIT_READ)
			e.Outcome, e.Reason = auditv1.AuditEvent_FAILED, "LOG_CONTRADICTED"
			w.ingest("audit", time.Time{}, e)
		},
		"ledger-replay": func() { w.ingest("audit", time.Time{}, event("", "ledger.replay", authv1.Rule_DELETE)) },
		"break-glass":   func() { w.ingest("audit", time.Time{}, event("", "maintenance.move", authv1.Rule_ADMIN)) },
		"log-gap": func() { // a service that hands over what happened ten minutes ago
			e := event(sample.Controller, "consent.give", authv1.Rule_CREATE)
			e.OccurTime = timestamppb.New(time.Now().Add(-10 * time.Minute))
			w.ingest("consent", time.Now(), e)
		},
		"clock-skew": func() { w.ingest("export", time.Now().Add(-time.Hour)) },
		"key-after-shred": func() {
			e := event(sample.Controller, "roster.import", authv1.Rule_CREATE)
			e.Detail = map[string]string{"erasedBefore": "1"}
			w.ingest("erasure", time.Time{}, e)
		},
		"rate-limit-storm": func() {
			e := event("", "rate_limit.storm", authv1.Rule_ADMIN)
			e.Outcome, e.Reason = auditv1.AuditEvent_DENIED, "RATE_LIMITED"
			w.ingest("gateway", time.Time{}, e)
		},
	}
}

// TestAlerts provokes what rules are about, and expects each alert raised and delivered within a minute, by a receiver that refuses
// the first two attempts, with nothing else besides. The twelfth, publication lag, needs a log that hangs: see TestPublicationLag.
func TestAlerts(t *testing.T) {
	t.Parallel()
	h := newHook(t)
	w := alerting(t, h, func(s *setting) { s.seed.Approvals = 2 }) // so that nobody may approve a request of their own
	start := time.Now()
	all := provocations(t, w)
	for _, provoke := range all {
		provoke()
	}
	for rule := range all {
		for !h.has(rule) {
			if time.Since(start) > within {
				t.Errorf("%s was not delivered within %v", rule, within)
				break
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	t.Logf("%d alerts were delivered after %v", len(all), time.Since(start).Round(time.Millisecond))
	alerts := w.alerts()
	for _, a := range alerts {
		if all[a.GetRule()] == nil {
			t.Errorf("an alert that nobody provoked: %v", a)
		}
	}
	if len(alerts) != len(all) {
		t.Errorf("%d alerts, want %d", len(alerts), len(all))
	}
	acknowledgeAll(t, w, alerts)
}

// operations is somebody who keeps the suite running.
func (w *world) operations() *client { return w.caller("sre", "*", "operations") }

// alerts are the school's and the suite's.
func (w *world) alerts() (out []*auditv1.Alert) {
	w.t.Helper()
	for _, path := range []string{"/v1/alerts", school + "/alerts"} {
		for token := ""; ; {
			page := &auditv1.ListAlertsResponse{}
			w.operations().get(path+"?pageSize=3&pageToken="+token, page)
			out = append(out, page.GetAlerts()...)
			if token = page.GetNextPageToken(); token == "" {
				break
			}
		}
	}
	return out
}

// acknowledgeAll acknowledges alerts, which have been delivered at the third attempt.
func acknowledgeAll(t *testing.T, w *world, alerts []*auditv1.Alert) {
	t.Helper()
	for _, a := range alerts {
		if d := a.GetDeliveries(); len(d) != 1 || d[0].GetState() != auditv1.Delivery_DELIVERED || d[0].GetAttempts() != 3 {
			t.Errorf("%s was delivered: %v", a.GetRule(), d)
		}
		got := &auditv1.Alert{}
		w.operations().post("/v1/"+a.GetName()+":acknowledge", &auditv1.AcknowledgeAlertRequest{Note: "looked at"}, got)
		if got.GetState() != auditv1.Alert_ACKNOWLEDGED || got.GetNote() != "looked at" || got.GetAcknowledgedBy() == "" {
			t.Errorf("acknowledged: %v", got)
		}
	}
	w.as("operator").refused(http.MethodGet, "/v1/alerts", "", http.StatusForbidden, "ALL_CONTROLLERS_REQUIRED")
	w.caller("operator", "*", "operator").get("/v1/alerts", &auditv1.ListAlertsResponse{})
	report := &auditv1.LogReport{}
	today := time.Now().In(must1(time.LoadLocation("Europe/Copenhagen"))).Format(time.DateOnly)
	w.as("auditor").get(school+"/logReport?date="+today, report)
	sum := int64(0)
	for _, c := range report.GetCounts() {
		sum += c.GetCount()
	}
	if report.GetFirstSequence() != 1 || report.GetEventCount() != sum || report.GetVerifications() == 0 || len(report.GetAlerts()) == 0 ||
		report.GetLongestPublicationMs() <= 0 || report.GetLongestPublicationMs() > 30_000 {
		t.Errorf("the report: %v", report)
	}
}

func must1[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
