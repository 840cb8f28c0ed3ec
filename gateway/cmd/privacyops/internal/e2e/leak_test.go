package e2e

import (
	"context"
	"database/sql"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
	exportv1 "github.com/privacyops/privacyops/proto/gen/privacyops/export/v1"
	typev1 "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
	"github.com/privacyops/privacyops/services/participant/sample"
)

// canary is a person who is in no system. It begins as an address and ends with letters that encodings change.
const canary = "kanarie.7319@skole.example Ærøskøbing Ångstrøm"

func TestNoPersonIsInWhatTheSuiteLeavesBehind(t *testing.T) {
	t.Parallel()
	o := newObserved(t)
	pupil, sibling := sample.Pupil(), sample.Sibling()
	values := append(append(pupil.Values(), sibling.Values()...), pupil.GuardianEmail, canary, "kanarie.7319", "Ærøskøbing")
	s := newScanner(values...)

	tokens := []string{o.token("dpo", canary, sample.Controller, "absent-school"), o.token("platform", "platform", sample.Controller, "absent-school")}
	o.keepWhatIsWritten("river_job", "audit_outbox")
	peopleFlow(t, o.world, pupil, sibling)
	canaryFlow(t, o.world)
	h := &hostile{t: t, base: o.URL, tokens: tokens, canary: canary, scanner: s}
	h.attack("absent-school")

	o.events(`action = "erasure.complete"`, 2)
	o.lookAtEmissions(s)
	o.lookAtDatabases(s)
	notOurs := func(path string) bool { return strings.HasPrefix(path, filepath.Join(o.dir, "sample")+"/") }
	s.lookAtFiles(t, o.dir, notOurs)
	must(t, o.Stop())
	s.lookAtFiles(t, o.dir, notOurs)

	total := 0
	for kind, n := range s.places {
		total += n
		t.Logf("%6d × %s", n, kind)
	}
	t.Logf("%d places were searched for %d values in %d forms, after %d invalid requests", total, len(values), len(s.forms), h.sent)
	for _, hit := range s.hits[:min(len(s.hits), 40)] {
		t.Error(hit)
	}
	kinds := []string{"span", "log line", "metrics", "kept_river_job cell", "kept_audit_outbox cell", "file", "file name", "answer"}
	if onStack {
		kinds = append(kinds, "consent cell", "erasure cell", "export cell", "Redis key", "Redis value")
	}
	for _, kind := range kinds {
		if s.places[kind] == 0 {
			t.Errorf("no place of the kind %q was looked at", kind)
		}
	}
}

// peopleFlow names people in every way that callers can: by all their identifiers, in every call that takes them.
func peopleFlow(t *testing.T, w *world, pupil, sibling sample.Person) {
	t.Helper()
	platform, dpo, partner := w.as("platform"), w.as("dpo"), w.as("partner")
	who := subjects(pupil)
	partner.post(school+"/legalBasis:check", &consentv1.CheckLegalBasisRequest{Subjects: who, Activity: "photo-sharing"}, nil)
	partner.post(school+"/legalBasis:batchCheck", &consentv1.BatchCheckLegalBasisRequest{Checks: []*consentv1.CheckLegalBasisRequest{
		{Subjects: who, Activity: "teaching"}, {Subjects: subjects(sibling), Activity: "no-such"}}}, nil)
	platform.post(school+"/consents", &consentv1.GiveConsentRequest{Subjects: who, Activity: "photo-sharing",
		GivenBy: &consentv1.GivenBy{Capacity: consentv1.GivenBy_GUARDIAN, Reference: "g-1"}}, nil)
	dpo.post(school+"/consents:search", &consentv1.SearchConsentsRequest{Subjects: who}, nil)
	platform.post(school+"/consents:withdraw", &consentv1.WithdrawConsentOfRequest{Subjects: who, Activity: "photo-sharing"}, nil)
	w.as("auditor").post(school+"/auditEvents:search", &auditv1.SearchAuditEventsRequest{Subjects: who}, nil)

	for _, kind := range []exportv1.Export_Kind{exportv1.Export_ACCESS, exportv1.Export_PORTABILITY} {
		e := &exportv1.Export{}
		platform.post(school+"/exports", &exportv1.CreateExportRequest{Subjects: who, Kind: kind}, e)
		watch(platform, "/v1/"+e.GetName()+":watch", func() *exportv1.Export { return &exportv1.Export{} }, func(m *exportv1.Export) bool {
			e = m
			return false
		})
		if e.GetState() != exportv1.Export_READY {
			t.Fatalf("the export ends %s", e.GetState())
		}
		_, err := platform.Raw(t.Context(), http.MethodGet, "/v1/"+e.GetName()+"/package", "", nil)
		must(t, err)
	}
	var roster strings.Builder
	must(t, sample.Roster(&roster, sample.RosterOptions{}))
	for _, text := range []string{roster.String(), roster.String()[:roster.Len()/2]} { // whole, and held because it is cut off
		importRoster(t, platform, school, text, &erasurev1.Roster{})
	}
	platform.post(school+"/erasures:preview", &erasurev1.PreviewErasureRequest{Subjects: who, Ground: erasurev1.Erasure_NO_LONGER_NECESSARY}, nil)
	e := newErasure()
	platform.post(school+"/erasures", &erasurev1.CreateErasureRequest{Subjects: who, Ground: erasurev1.Erasure_NO_LONGER_NECESSARY}, e)
	e = platform.awaitErasure(e.GetName(), erasurev1.Erasure_AWAITING_APPROVAL)
	platform.planned(sibling) // stays open: its identifiers are sealed in the database
	dpo.approve(e)
	platform.awaitErasure(e.GetName(), erasurev1.Erasure_COMPLETED)
}

// canaryFlow names somebody whom nobody knows, in calls that succeed.
func canaryFlow(t *testing.T, w *world) {
	t.Helper()
	platform := w.as("platform")
	for _, kind := range []typev1.Subject_Type{typev1.Subject_UNILOGIN, typev1.Subject_EMAIL, typev1.Subject_STUDENT_NUMBER} {
		who := &typev1.Subject{Type: kind, Value: canary}
		platform.post(school+"/legalBasis:check", &consentv1.CheckLegalBasisRequest{Subject: who, Activity: "photo-sharing"}, nil)
		platform.post(school+"/consents", &consentv1.GiveConsentRequest{Subject: who, Activity: "photo-sharing",
			GivenBy: &consentv1.GivenBy{Capacity: consentv1.GivenBy_GUARDIAN}, RequestId: uuid.NewString()}, nil)
		e := &exportv1.Export{}
		platform.post(school+"/exports", &exportv1.CreateExportRequest{Subject: who, Kind: exportv1.Export_ACCESS, RequestId: uuid.NewString()}, e)
		platform.post("/v1/"+e.GetName()+":cancel", &exportv1.CancelExportRequest{}, nil)
	}
	e := newErasure()
	platform.post(school+"/erasures", &erasurev1.CreateErasureRequest{Subject: &typev1.Subject{Type: typev1.Subject_EMAIL, Value: canary},
		Ground: erasurev1.Erasure_UNLAWFUL, RequestId: uuid.NewString()}, e)
	platform.awaitErasure(e.GetName(), erasurev1.Erasure_COMPLETED)
}

func subjects(p sample.Person) []*typev1.Subject {
	return []*typev1.Subject{uniLogin(p), {Type: typev1.Subject_EMAIL, Value: p.Email}, {Type: typev1.Subject_PHONE, Value: p.Phone},
		{Type: typev1.Subject_LOCAL_PERSON_ID, Value: p.LocalPersonID}, {Type: typev1.Subject_EMAIL, Value: p.GuardianEmail}}
}

// lookAtEmissions searches spans, log lines and metrics.
func (o *observed) lookAtEmissions(s *scanner) {
	o.t.Helper()
	for _, span := range o.spans.Ended() {
		s.look("span", span.Name(), []byte(spanText(span)))
	}
	for i, line := range o.log.lines() {
		s.look("log line", fmt.Sprint(i), line)
	}
	for service, h := range o.metrics {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		if rec.Body.Len() == 0 {
			o.t.Errorf("%s has no metrics", service)
		}
		s.look("metrics", service, rec.Body.Bytes())
	}
}

// spanText is everything that a span says.
func spanText(s sdktrace.ReadOnlySpan) string {
	var b strings.Builder
	attributes := func(list []attribute.KeyValue) {
		for _, a := range list {
			fmt.Fprintf(&b, "%s=%s\n", a.Key, a.Value.String())
		}
	}
	fmt.Fprintf(&b, "%s\n%s\n%s\n", s.Name(), s.Status().Description, s.SpanContext().TraceState())
	attributes(s.Attributes())
	attributes(s.Resource().Attributes())
	for _, e := range s.Events() {
		b.WriteString(e.Name + "\n")
		attributes(e.Attributes)
	}
	for _, l := range s.Links() {
		b.WriteString(l.SpanContext.TraceState().String() + "\n")
		attributes(l.Attributes)
	}
	return b.String()
}

// keepWhatIsWritten makes the services' databases keep every version of every row of tables whose rows come and go.
func (o *observed) keepWhatIsWritten(tables ...string) {
	o.t.Helper()
	if onStack {
		o.keepOnStack(tables)
		return
	}
	databases, err := filepath.Glob(filepath.Join(o.dir, "*.db"))
	must(o.t, err)
	for _, database := range databases {
		db, err := sql.Open("sqlite", "file:"+database+"?_pragma=busy_timeout(10000)")
		must(o.t, err)
		for _, table := range tables {
			var columns sql.NullString
			must(o.t, db.QueryRowContext(o.t.Context(), "SELECT group_concat('NEW.' || name) FROM pragma_table_info(?)", table).Scan(&columns))
			if !columns.Valid {
				continue // this service has no such table
			}
			_, err := db.ExecContext(o.t.Context(), "CREATE TABLE kept_"+table+" AS SELECT * FROM "+table+";"+
				"CREATE TRIGGER kept_new_"+table+" AFTER INSERT ON "+table+" BEGIN INSERT INTO kept_"+table+" VALUES ("+columns.String+"); END;"+
				"CREATE TRIGGER kept_old_"+table+" AFTER UPDATE ON "+table+" BEGIN INSERT INTO kept_"+table+" VALUES ("+columns.String+"); END")
			must(o.t, err)
		}
		must(o.t, db.Close())
	}
}

// lookAtDatabases searches the jobs and waiting events of all services, and makes sure that the log has files to search.
func (o *observed) lookAtDatabases(s *scanner) {
	o.t.Helper()
	if onStack {
		o.lookAtServers(s)
	}
	databases, err := filepath.Glob(filepath.Join(o.dir, "*.db"))
	must(o.t, err)
	for _, database := range databases {
		db := lookAt(o.t, database)
		for _, table := range []string{"river_job", "audit_outbox"} {
			var n int
			must(o.t, db.QueryRowContext(o.t.Context(), "SELECT COUNT(*) FROM sqlite_master WHERE name = ?", table).Scan(&n))
			if n == 1 {
				s.lookAtRows(o.t, database, table)
				s.lookAtRows(o.t, database, "kept_"+table)
			}
		}
	}
	for _, pattern := range []string{"tile/entries", "tile/0"} {
		if n := bundles(o.t, filepath.Join(o.dir, "audit", "log", pattern)); n == 0 {
			o.t.Errorf("the log has no files below %s: the scan of files would miss them", pattern)
		}
	}
}

func bundles(t *testing.T, dir string) (n int) {
	t.Helper()
	must(t, filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			n++
		}
		return err
	}))
	return n
}

// leaking adds a canary to every span, as a careless line of code would.
type leaking struct{}

func (leaking) OnStart(_ context.Context, s sdktrace.ReadWriteSpan) {
	s.SetAttributes(attribute.String("enduser", hex.EncodeToString([]byte("x"+canary))))
}
func (leaking) OnEnd(sdktrace.ReadOnlySpan)      {}
func (leaking) Shutdown(context.Context) error   { return nil }
func (leaking) ForceFlush(context.Context) error { return nil }

// TestLeakIsFound shows that the search would find a canary in spans, log lines, jobs and files.
func TestLeakIsFound(t *testing.T) {
	t.Parallel()
	o := newObserved(t, leaking{})
	o.as("platform").get(school, nil)
	_, err := io.WriteString(o.log, `{"msg":"`+escaped(canary)+`"}`+"\n")
	must(t, err)
	s := newScanner(canary)
	o.lookAtEmissions(s)
	kinds := []string{"span", "log"}
	if onStack {
		o.plantOnServers(canary)
		o.lookAtServers(s)
		kinds = append(kinds, "planted", "Redis")
	}
	found := map[string]bool{}
	for _, hit := range s.hits {
		kind, _, _ := strings.Cut(hit, " ")
		found[kind] = true
	}
	for _, kind := range kinds {
		if !found[kind] {
			t.Errorf("a planted canary is not found in the %s: %v", kind, found)
		}
	}
}
