package e2e

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/known/timestamppb"

	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
	exportv1 "github.com/privacyops/privacyops/proto/gen/privacyops/export/v1"
	"github.com/privacyops/privacyops/services/participant/sample"
)

// roles are all that a token can carry.
var roles = []string{"platform", "partner", "dpo", "auditor", "operator", "sre"}

// permission is what one RPC allows, written down a second time: here, and not read from the protos.
type permission struct {
	service  string // whose port serves it
	roles    string // roles that may call, or "public"
	services string // services of the suite that may call without a token
	route    string // method and path; empty where there is none over REST
	body     string // a valid body
}

const (
	subjectJSON = `"subject":{"type":"UNILOGIN","value":"nobody0000"}`
	hashJSON    = `"planHash":"0000000000000000000000000000000000000000000000000000000000000000"`
)

// permissions has a row for every RPC of the suite. {c} is a controller, {id} a resource of it.
var permissions = map[string]permission{
	"consent.v1.LegalBasis/CheckLegalBasis": {"consent", "partner platform", "",
		"POST /v1/controllers/{c}/legalBasis:check", `{` + subjectJSON + `,"activity":"teaching"}`},
	"consent.v1.LegalBasis/BatchCheckLegalBasis": {"consent", "partner platform", "",
		"POST /v1/controllers/{c}/legalBasis:batchCheck", `{"checks":[{` + subjectJSON + `,"activity":"teaching"}]}`},
	"consent.v1.LegalBasis/GetDecisionKeys": {"consent", "public", "", "GET /v1/legalBasis/keys", ""},
	"consent.v1.Consents/GetReceipt":        {"consent", "platform dpo", "", "GET /v1/controllers/{c}/consents/{id}/receipt", ""},
	"consent.v1.Consents/GiveConsent": {"consent", "platform", "",
		"POST /v1/controllers/{c}/consents", `{` + subjectJSON + `,"activity":"photo-sharing","givenBy":{"capacity":"GUARDIAN"}}`},
	"consent.v1.Consents/WithdrawConsent":   {"consent", "platform dpo", "", "POST /v1/controllers/{c}/consents/{id}:withdraw", `{}`},
	"consent.v1.Consents/WithdrawConsentOf": {"consent", "platform dpo", "", "POST /v1/controllers/{c}/consents:withdraw", `{` + subjectJSON + `,"activity":"photo-sharing"}`},
	"consent.v1.Consents/SearchConsents":    {"consent", "platform dpo", "", "POST /v1/controllers/{c}/consents:search", `{` + subjectJSON + `}`},
	"consent.v1.Consents/LinkSubjects": {"consent", "platform", "", "POST /v1/controllers/{c}/subjects:link",
		`{"subjects":[{"type":"UNILOGIN","value":"nobody0000"},{"type":"EMAIL","value":"nobody@example.org"}]}`},
	"consent.v1.LegalBasis/WatchLegalBasis": {"consent", "partner platform", "", "GET /v1/controllers/{c}/legalBasis:watch", ""},
	"consent.v1.Rights/CreateObjection":     {"consent", "platform dpo", "", "POST /v1/controllers/{c}/objections", `{` + subjectJSON + `,"activity":"teaching"}`},
	"consent.v1.Rights/GetObjection":        {"consent", "dpo", "", "GET /v1/controllers/{c}/objections/{id}", ""},
	"consent.v1.Rights/ListObjections":      {"consent", "dpo", "", "GET /v1/controllers/{c}/objections", ""},
	"consent.v1.Rights/ResolveObjection":    {"consent", "dpo", "", "POST /v1/controllers/{c}/objections/{id}:resolve", `{"outcome":"REJECTED","reason":"x"}`},
	"consent.v1.Rights/CreateRestriction":   {"consent", "dpo", "", "POST /v1/controllers/{c}/restrictions", `{` + subjectJSON + `,"ground":"LEGAL_CLAIMS"}`},
	"consent.v1.Rights/GetRestriction":      {"consent", "dpo", "", "GET /v1/controllers/{c}/restrictions/{id}", ""},
	"consent.v1.Rights/ListRestrictions":    {"consent", "dpo", "", "GET /v1/controllers/{c}/restrictions", ""},
	"consent.v1.Rights/LiftRestriction":     {"consent", "dpo", "", "POST /v1/controllers/{c}/restrictions/{id}:lift", `{}`},
	"consent.v1.Documents/GetNotice":        {"consent", "platform partner dpo auditor operator", "", "GET /v1/controllers/{c}/notice", ""},
	"consent.v1.Documents/GetRecordOfProcessing": {"consent", "platform partner dpo auditor operator", "",
		"GET /v1/controllers/{c}/recordOfProcessing", ""},
	"consent.v1.Documents/GetImpactAssessmentInput": {"consent", "platform partner dpo auditor operator", "",
		"GET /v1/controllers/{c}/impactAssessmentInput", ""},
	"consent.v1.Erased/RecordErasure": {"consent", "", "erasure", "", ""},
	"consent.v1.Register/CreateController": {"consent", "operator", "",
		"POST /v1/controllers?controllerId={c}", `{"displayName":"X","jurisdiction":"DK"}`},
	"consent.v1.Register/GetController":              {"consent", "operator dpo platform partner auditor sre", "", "GET /v1/controllers/{c}", ""},
	"consent.v1.Register/UpdateController":           {"consent", "dpo", "", "PATCH /v1/controllers/{c}", `{"displayName":"X"}`},
	"consent.v1.Register/CreateActivity":             {"consent", "dpo", "", "POST /v1/controllers/{c}/activities?activityId=x", `{"purpose":"X","legalBasis":"CONSENT"}`},
	"consent.v1.Register/GetActivity":                {"consent", "dpo platform partner auditor operator", "", "GET /v1/controllers/{c}/activities/{id}", ""},
	"consent.v1.Register/ListActivities":             {"consent", "dpo platform partner auditor operator", "", "GET /v1/controllers/{c}/activities", ""},
	"consent.v1.Register/UpdateActivity":             {"consent", "dpo", "", "PATCH /v1/controllers/{c}/activities/{id}", `{"purpose":"X"}`},
	"consent.v1.Register/ArchiveActivity":            {"consent", "dpo", "", "POST /v1/controllers/{c}/activities/{id}:archive", `{}`},
	"consent.v1.Register/CreateSystem":               {"consent", "operator", "", "POST /v1/controllers/{c}/systems?systemId=x", `{"displayName":"X","participant":"x"}`},
	"consent.v1.Register/GetSystem":                  {"consent", "operator dpo platform auditor", "", "GET /v1/controllers/{c}/systems/{id}", ""},
	"consent.v1.Register/ListSystems":                {"consent", "operator dpo platform auditor", "", "GET /v1/controllers/{c}/systems", ""},
	"consent.v1.Register/UpdateSystem":               {"consent", "operator", "", "PATCH /v1/controllers/{c}/systems/{id}", `{"displayName":"X"}`},
	"consent.v1.RegisterReader/GetSnapshot":          {"consent", "", "export erasure audit", "", ""},
	"export.v1.Exports/CreateExport":                 {"export", "platform dpo", "", "POST /v1/controllers/{c}/exports", `{` + subjectJSON + `,"kind":"ACCESS"}`},
	"export.v1.Exports/GetExport":                    {"export", "platform dpo", "", "GET /v1/controllers/{c}/exports/{id}", ""},
	"export.v1.Exports/ListExports":                  {"export", "platform dpo", "", "GET /v1/controllers/{c}/exports", ""},
	"export.v1.Exports/CancelExport":                 {"export", "platform dpo", "", "POST /v1/controllers/{c}/exports/{id}:cancel", `{}`},
	"export.v1.Exports/WatchExport":                  {"export", "platform dpo", "", "GET /v1/controllers/{c}/exports/{id}:watch", ""},
	"export.v1.Exports/ReadPackage":                  {"export", "platform dpo", "", "GET /v1/controllers/{c}/exports/{id}/package", ""},
	"erasure.v1.Erasures/PreviewErasure":             {"erasure", "platform dpo", "", "POST /v1/controllers/{c}/erasures:preview", `{` + subjectJSON + `,"ground":"UNLAWFUL"}`},
	"erasure.v1.Erasures/CreateErasure":              {"erasure", "platform dpo", "", "POST /v1/controllers/{c}/erasures", `{` + subjectJSON + `,"ground":"UNLAWFUL"}`},
	"erasure.v1.Erasures/GetErasure":                 {"erasure", "platform dpo", "", "GET /v1/controllers/{c}/erasures/{id}", ""},
	"erasure.v1.Erasures/ListErasures":               {"erasure", "platform dpo", "", "GET /v1/controllers/{c}/erasures", ""},
	"erasure.v1.Erasures/ApproveErasure":             {"erasure", "dpo", "", "POST /v1/controllers/{c}/erasures/{id}:approve", `{` + hashJSON + `}`},
	"erasure.v1.Erasures/RejectErasure":              {"erasure", "dpo", "", "POST /v1/controllers/{c}/erasures/{id}:reject", `{"reason":"x"}`},
	"erasure.v1.Erasures/CancelErasure":              {"erasure", "platform dpo", "", "POST /v1/controllers/{c}/erasures/{id}:cancel", `{"reason":"x"}`},
	"erasure.v1.Erasures/WatchErasure":               {"erasure", "platform dpo", "", "GET /v1/controllers/{c}/erasures/{id}:watch", ""},
	"erasure.v1.Erasures/GetCertificate":             {"erasure", "platform dpo auditor", "", "GET /v1/controllers/{c}/erasures/{id}/certificate", ""},
	"erasure.v1.Rosters/ImportRoster":                {"erasure", "platform", "", "POST /v1/controllers/{c}/rosters:import?format=UNILOGIN_WSIEKSPORT", `<x/>`},
	"erasure.v1.Rosters/GetRoster":                   {"erasure", "platform dpo", "", "GET /v1/controllers/{c}/rosters/{id}", ""},
	"erasure.v1.Rosters/ConfirmRoster":               {"erasure", "dpo", "", "POST /v1/controllers/{c}/rosters/{id}:confirm", `{}`},
	"erasure.v1.Rosters/DiscardRoster":               {"erasure", "dpo", "", "POST /v1/controllers/{c}/rosters/{id}:discard", `{}`},
	"audit.v1.AuditLog/SearchAuditEvents":            {"audit", "dpo auditor", "", "POST /v1/controllers/{c}/auditEvents:search", `{}`},
	"audit.v1.AuditLog/GetAuditEventProof":           {"audit", "dpo auditor", "erasure", "GET /v1/controllers/{c}/auditEvents/{id}/proof", ""},
	"audit.v1.AuditLog/GetCheckpoint":                {"audit", "public", "", "GET /v1/audit/checkpoint", ""},
	"audit.v1.AuditLog/GetTile":                      {"audit", "public", "", "GET /v1/audit/tile/0/x999/999", ""},
	"audit.v1.AuditLog/ListLogShards":                {"audit", "public", "", "GET /v1/audit/shards", ""},
	"audit.v1.AuditMonitoring/ListAlerts":            {"audit", "dpo auditor sre", "", "GET /v1/controllers/{c}/alerts", ""},
	"audit.v1.AuditMonitoring/AcknowledgeAlert":      {"audit", "dpo sre", "", "POST /v1/controllers/{c}/alerts/{id}:acknowledge", `{}`},
	"audit.v1.AuditMonitoring/ListSuiteAlerts":       {"audit", "operator sre", "", "GET /v1/alerts", ""},
	"audit.v1.AuditMonitoring/AcknowledgeSuiteAlert": {"audit", "operator sre", "", "POST /v1/alerts/{id}:acknowledge", `{}`},
	"audit.v1.AuditMonitoring/GetLogReport":          {"audit", "dpo auditor sre", "", "GET /v1/controllers/{c}/logReport", ""},
	"audit.v1.AuditEvidence/CreateEvidence": {"audit", "dpo auditor", "",
		"POST /v1/controllers/{c}/evidence", `{"startTime":"2026-01-01T00:00:00Z","endTime":"2026-01-02T00:00:00Z"}`},
	"audit.v1.AuditEvidence/GetEvidence":                  {"audit", "dpo auditor", "", "GET /v1/controllers/{c}/evidence/{id}", ""},
	"audit.v1.AuditEvidence/ListEvidence":                 {"audit", "dpo auditor", "", "GET /v1/controllers/{c}/evidence", ""},
	"audit.v1.AuditEvidence/ReadEvidencePackage":          {"audit", "dpo auditor", "", "GET /v1/controllers/{c}/evidence/{id}/package", ""},
	"audit.v1.AuditKeys/DestroySubjectKeys":               {"audit", "", "erasure", "", ""},
	"audit.v1.AuditKeys/DestroyControllerKey":             {"audit", "", "erasure", "", ""},
	"audit.v1.AuditKeeping/ApproveTermination":            {"audit", "operator", "", "POST /v1/controllers/{c}/termination:approve", `{}`},
	"audit.v1.AuditKeeping/RotateControllerKey":           {"audit", "operator", "", "POST /v1/controllers/{c}/auditKey:rotate", `{}`},
	"consent.v1.RegisterReader/ListActivityVersions":      {"consent", "", "audit", "", ""},
	"erasure.v1.CertificateReader/ListIssuedCertificates": {"erasure", "", "audit", "", ""},
	"audit.v1.AuditIngest/AppendAuditEvents":              {"audit", "", "consent export erasure participant gateway audit", "", ""},
	"participant.v1.Participant/Describe":                 {"participant", "", "export erasure", "", ""},
	"participant.v1.Participant/Locate":                   {"participant", "", "export erasure", "", ""},
	"participant.v1.Participant/Export":                   {"participant", "", "export", "", ""},
	"participant.v1.Participant/Erase":                    {"participant", "", "erasure", "", ""},
	"participant.v1.Participant/Verify":                   {"participant", "", "erasure", "", ""},
}

// methods lists all RPCs of the suite's protos, by the names of the table.
func methods() map[string]protoreflect.MethodDescriptor {
	out := map[string]protoreflect.MethodDescriptor{}
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			s := f.Services().Get(i)
			for j := range s.Methods().Len() {
				if name, ours := strings.CutPrefix(string(s.FullName()), "privacyops."); ours {
					out[name+"/"+string(s.Methods().Get(j).Name())] = s.Methods().Get(j)
				}
			}
		}
		return true
	})
	return out
}

// TestMatrix calls every RPC as everybody who may not: without a token, in each wrong role, for another's controller, and as
// each wrong service.
func TestMatrix(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	m := &matrix{t: t, w: w, ids: foreignResources(t, w), conns: map[string]*connection{}}
	all := methods()
	for name := range permissions {
		if all[name] == nil {
			t.Errorf("the table has a row for %s, which does not exist", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		p, ok := permissions[name]
		if !ok {
			t.Errorf("the table has no row for %s: write down who may call it", name)
			continue
		}
		if p.route != "" {
			m.overREST(name, p)
		}
		m.overGRPC(name, p, all[name])
	}
	m.wholeSuite(all)
	t.Logf("%d RPCs, %d calls over REST and %d over gRPC", len(all), m.rest, m.grpc)
}

// matrix makes the calls.
type matrix struct {
	t          *testing.T
	w          *world
	ids        map[string]string // of resources of the other controller, by collection
	conns      map[string]*connection
	rest, grpc int
	suite      int // ways to call what concerns the whole suite
}

// foreignResources makes one of everything at the other controller.
func foreignResources(t *testing.T, w *world) map[string]string {
	t.Helper()
	const other = "/v1/controllers/" + sample.OtherController
	at := func(role string) *client { return w.caller(role, sample.OtherController, role) }
	p := sample.Person{Controller: sample.OtherController}
	must(t, w.platform().QueryRowContext(t.Context(), `SELECT unilogin FROM users WHERE school = ? ORDER BY id DESC LIMIT 1`, p.Controller).Scan(&p.UniLogin))
	consent, export, roster := &consentv1.Consent{}, &exportv1.Export{}, &erasurev1.Roster{}
	objection, restriction := &consentv1.Objection{}, &consentv1.Restriction{}
	at("dpo").post(other+"/objections", &consentv1.CreateObjectionRequest{Subject: uniLogin(p), Activity: "teaching"}, objection)
	at("dpo").post(other+"/restrictions", &consentv1.CreateRestrictionRequest{Subject: uniLogin(p), Activity: "teaching",
		Ground: consentv1.Restriction_LEGAL_CLAIMS}, restriction)
	at("platform").post(other+"/consents", &consentv1.GiveConsentRequest{Subject: uniLogin(p), Activity: "photo-sharing",
		GivenBy: &consentv1.GivenBy{Capacity: consentv1.GivenBy_GUARDIAN}}, consent)
	at("platform").post(other+"/exports", &exportv1.CreateExportRequest{Subject: uniLogin(p), Kind: exportv1.Export_ACCESS}, export)
	var extract strings.Builder
	must(t, sample.Roster(&extract, sample.RosterOptions{School: sample.OtherController}))
	importRoster(t, at("platform"), other, extract.String(), roster)
	erasure := at("platform").planned(p)
	evidence := &auditv1.Evidence{}
	at("auditor").post(other+"/evidence", &auditv1.CreateEvidenceRequest{StartTime: timestamppb.New(time.Now().Add(-time.Hour)), EndTime: timestamppb.Now()}, evidence)
	// An alert has to be provoked; that another's cannot be told from an absent one is tested with the store.
	out := map[string]string{"activities": "teaching", "systems": sample.System, "alerts": "01890000-0000-7000-8000-000000000001"}
	for _, name := range []string{consent.GetName(), export.GetName(), roster.GetName(), erasure.GetName(), objection.GetName(), restriction.GetName(), evidence.GetName()} {
		parts := strings.Split(name, "/")
		out[parts[2]] = parts[3]
	}
	// Some event of that controller's; its id is read from the proof's path, as an auditor would.
	events := eventsAt(w, sample.OtherController, `action = "erasure.plan"`, 1)
	out["auditEvents"] = events[0].GetName()[strings.LastIndex(events[0].GetName(), "/")+1:]
	return out
}

// overREST calls a route as those who may not.
func (m *matrix) overREST(name string, p permission) {
	m.t.Helper()
	method, path, _ := strings.Cut(p.route, " ")
	own := m.path(path, sample.Controller)
	if p.roles == "public" {
		if a := m.call(method, own, p.body, ""); a.status == http.StatusUnauthorized || a.status == http.StatusForbidden {
			m.t.Errorf("%s: nobody may call what is public: %d", name, a.status)
		}
		return
	}
	m.says(name+" without a token", m.call(method, own, p.body, ""), http.StatusUnauthorized, codes.Unauthenticated)
	m.says(name+" with a bad token", m.call(method, own, p.body, "x.y.z"), http.StatusUnauthorized, codes.Unauthenticated)
	may := strings.Fields(p.roles)
	for _, role := range roles {
		token := m.w.token(role, "somebody", sample.Controller)
		if !slices.Contains(may, role) {
			m.says(name+" as "+role, m.call(method, own, p.body, token), http.StatusForbidden, codes.PermissionDenied)
			continue
		}
		if !strings.Contains(path, "{c}") { // the suite's own: whoever may call needs a token for all controllers
			m.says(name+" as one controller's "+role, m.call(method, own, p.body, token), http.StatusForbidden, codes.PermissionDenied)
			if a := m.call(method, own, p.body, m.w.token(role, "somebody", "*")); a.status == http.StatusForbidden || a.status == http.StatusUnauthorized {
				m.t.Errorf("%s as %s for all controllers: %d %s", name, role, a.status, a.body)
			}
			m.suite++
			continue
		}
		foreign := m.call(method, m.path(path, sample.OtherController), p.body, token)
		m.says(name+" as another's "+role, foreign, http.StatusNotFound, codes.NotFound)
		m.same(name+" as "+role+": another's and an absent controller", foreign, m.call(method, m.path(path, "absent"), p.body, token))
		if strings.Contains(path, "{id}") {
			m.same(name+" as "+role+": another's and an absent resource", foreign, m.call(method, m.absent(path), p.body, token))
		}
	}
}

// path fills a path with a controller and a resource that the other controller has.
func (m *matrix) path(path, controller string) string {
	for collection, id := range m.ids {
		path = strings.ReplaceAll(path, collection+"/{id}", collection+"/"+id)
	}
	return strings.ReplaceAll(path, "{c}", controller)
}

// absent fills a path with the caller's own controller and a resource that nobody has.
func (m *matrix) absent(path string) string {
	path = strings.ReplaceAll(path, "activities/{id}", "activities/absent")
	path = strings.ReplaceAll(path, "systems/{id}", "systems/absent")
	return strings.NewReplacer("{id}", "01890000-0000-7000-8000-000000000000", "{c}", sample.Controller).Replace(path)
}

// answer is what a caller sees of an answer.
type answer struct {
	status int
	header http.Header
	body   string
}

func (m *matrix) call(method, path, body, token string) answer {
	m.t.Helper()
	m.rest++
	req, err := http.NewRequestWithContext(m.t.Context(), method, m.w.URL+path, strings.NewReader(body))
	must(m.t, err)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if body == "<x/>" {
		req.Header.Set("Content-Type", "application/xml")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := web.Do(req)
	must(m.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	must(m.t, err)
	resp.Header.Del("X-Request-Id")
	resp.Header.Del("Date")
	return answer{resp.StatusCode, resp.Header, string(text)}
}

func (m *matrix) says(what string, a answer, status int, code codes.Code) {
	m.t.Helper()
	var body struct{ Code codes.Code }
	if err := json.Unmarshal([]byte(a.body), &body); err != nil || a.status != status || body.Code != code {
		m.t.Errorf("%s: %d %s, want %d with code %d", what, a.status, a.body, status, code)
	}
}

// same checks that two answers tell a caller the same: all but the number of the request and the time.
func (m *matrix) same(what string, a, b answer) {
	m.t.Helper()
	if a.status != b.status || a.body != b.body || !maps.EqualFunc(a.header, b.header, slices.Equal) {
		m.t.Errorf("%s can be told apart:\n%d %v %s\n%d %v %s", what, a.status, a.header, a.body, b.status, b.header, b.body)
	}
}
