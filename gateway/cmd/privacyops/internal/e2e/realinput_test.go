package e2e

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"google.golang.org/protobuf/types/known/durationpb"
	"gopkg.in/yaml.v3"

	"github.com/privacyops/privacyops/gateway/cmd/privacyops/internal/suite"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
	exportv1 "github.com/privacyops/privacyops/proto/gen/privacyops/export/v1"
	typev1 "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
	"github.com/privacyops/privacyops/services/participant"
	"github.com/privacyops/privacyops/services/participant/sample"
)

// TestRealInput takes a platform with the tables of Moodle and a roster of 300 people through the whole suite. On PostgreSQL the
// participant's own tests do the same with this platform and this data map.
func TestRealInput(t *testing.T) {
	t.Parallel()
	root, fixtures := realFixtures(t)
	dir := filepath.Join(t.TempDir(), "data")
	must(t, os.MkdirAll(dir, 0o700))
	database := filepath.Join(dir, "lms.db")
	python(t, filepath.Join(fixtures, "lms", "make_lms.py"), "--subjects", "100", "--sqlite", database)
	dataMap := filepath.Join(root, "services", "participant", "testdata", "moodle.yaml")
	const controller = "/v1/controllers/skole"
	o := suite.Options{DataDir: dir, Systems: []participant.SystemConfig{{Name: "moodle", DataMap: dataMap,
		Database: "sqlite:" + database, Controllers: []string{"skole"}}}}
	place(t, &o)
	s, err := suite.Start(t.Context(), o)
	must(t, err)
	t.Cleanup(func() { must(t, s.Stop()) })
	w := &world{Suite: s, t: t, dir: dir, database: database}
	at := func(role string) *client { return w.caller(role, "skole", role) }
	mapped := registerMoodle(t, at, dataMap)

	r := &erasurev1.Roster{}
	importRoster(t, at("platform"), controller, string(python(t, filepath.Join(fixtures, "unilogin", "make_roster.py"), "--people", "300")), r)
	if r.GetState() != erasurev1.Roster_APPLIED || r.GetArrived() != 300-300/50 { // one in fifty has no user name
		t.Errorf("the roster is %s with %d who arrived", r.GetState(), r.GetArrived())
	}

	p := sample.Person{Controller: "skole", UniLogin: "u000007"}
	exportHoldsPerson(t, at("platform"), controller, p)
	db := w.platform()
	before := fingerprint(t, db)
	e := at("platform").planned(p)
	at("dpo").approve(e)
	at("dpo").awaitErasure(e.GetName(), erasurev1.Erasure_COMPLETED)

	changes := before.Changes(fingerprint(t, db))
	for _, c := range changes {
		if c.Key != "7" || !slices.Contains(mapped, c.Table) {
			t.Errorf("the row %s of %s has changed", c.Key, c.Table)
		}
	}
	hits, err := sample.Search(t.Context(), db, "C7.", "u000007", "L000007")
	must(t, err)
	for _, h := range hits {
		if slices.Contains(mapped, h.Table) {
			t.Errorf("%s.%s still holds a text of the person", h.Table, h.Column)
		}
	}
	if len(before) != 483 || len(changes) < 10 {
		t.Errorf("%d tables, %d rows changed: too little to show anything", len(before), len(changes))
	}
	t.Logf("%d tables: %d rows of the person were erased or changed, and no other", len(before), len(changes))
	decided(t, at("partner").check(p, "teaching", ""), consentv1.Decision_SUBJECT_ERASED)
}

// realFixtures finds the fixtures beside the checkout.
func realFixtures(t *testing.T) (root, fixtures string) {
	t.Helper()
	root, err := os.Getwd()
	must(t, err)
	for {
		if _, err := os.Stat(filepath.Join(root, "go.work")); err == nil {
			break
		}
		if root == filepath.Dir(root) {
			t.Skip("This is not a checkout: there is no go.work above.")
		}
		root = filepath.Dir(root)
	}
	fixtures = filepath.Join(root, "..", "shared", "fixtures")
	if _, err := os.Stat(fixtures); err != nil {
		t.Skip("The fixtures of a real platform are not beside this checkout.")
	}
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("The fixtures of a real platform need python3, which is not here.")
	}
	return root, fixtures
}

func python(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "python3", args...)
	var words bytes.Buffer
	cmd.Stderr = &words
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("python3 %v: %v: %s", args, err, words.String())
	}
	return out
}

// registerMoodle registers a school, its system, and the activities that the data map names. It gives the tables of the map.
func registerMoodle(t *testing.T, at func(string) *client, dataMap string) (tables []string) {
	t.Helper()
	text, err := os.ReadFile(dataMap)
	must(t, err)
	var m struct {
		Datasets []struct{ Table, Activity string }
		Mentions []struct{ Table, Activity string }
	}
	must(t, yaml.Unmarshal(text, &m))
	at("operator").post("/v1/controllers?controllerId=skole", &consentv1.Controller{DisplayName: "Skolen", Jurisdiction: "DK",
		RequiredApprovals: 1, GracePeriod: durationpb.New(0)}, nil)
	at("operator").post("/v1/controllers/skole/systems?systemId=moodle", &consentv1.System{DisplayName: "Moodle", Participant: "moodle", Mandatory: true}, nil)
	var made []string
	for _, d := range append(m.Datasets, m.Mentions...) {
		tables = append(tables, d.Table)
		if slices.Contains(made, d.Activity) {
			continue
		}
		made = append(made, d.Activity)
		at("dpo").post("/v1/controllers/skole/activities?activityId="+d.Activity, &consentv1.Activity{Purpose: "Undervisning",
			LegalBasis: typev1.LegalBasis_PUBLIC_TASK, Systems: []string{"moodle"}}, nil)
	}
	return tables
}

func exportHoldsPerson(t *testing.T, c *client, controller string, p sample.Person) {
	t.Helper()
	e := &exportv1.Export{}
	c.post(controller+"/exports", &exportv1.CreateExportRequest{Subject: uniLogin(p), Kind: exportv1.Export_ACCESS}, e)
	watch(c, "/v1/"+e.GetName()+":watch", func() *exportv1.Export { return &exportv1.Export{} }, func(m *exportv1.Export) bool {
		e = m
		return false
	})
	if e.GetState() != exportv1.Export_READY {
		t.Fatalf("the export ends %s: %v", e.GetState(), e.GetSystems())
	}
	content, err := c.Raw(t.Context(), http.MethodGet, "/v1/"+e.GetName()+"/package", "", nil)
	must(t, err)
	files := unzipped(t, content)
	for _, name := range []string{"data/moodle/user.json", "data/moodle/submission-texts.json", "data/moodle/messages.json"} {
		if !bytes.Contains(files[name], []byte("C7.")) {
			t.Errorf("%s does not hold the person's texts: %.200s", name, files[name])
		}
	}
	for name, text := range files {
		if bytes.Contains(text, []byte("C8.")) || bytes.Contains(text, []byte("C17.")) {
			t.Errorf("%s holds texts of other people", name)
		}
	}
}
