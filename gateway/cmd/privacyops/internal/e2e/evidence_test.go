package e2e

import (
	"bytes"
	"image/png"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
	"github.com/privacyops/privacyops/services/participant/sample"
)

// TestEvidenceIsTakenAlong: an auditor asks for the evidence of a period, fetches it, verifies it with the program alone in an empty
// folder without a network, and reads the report in a browser.
func TestEvidenceIsTakenAlong(t *testing.T) {
	t.Parallel()
	watching := &witnesses{}
	w := newWorld(t, watching.start(t))
	began := time.Now().Add(-time.Minute)
	somethingHappens(t, w)
	e := w.evidence(began)
	path := "/v1/" + e.GetName() + "/package"
	content, err := w.as("auditor").Raw(t.Context(), http.MethodGet, path, "", nil)
	must(t, err)
	rangeIsServed(t, w.as("auditor"), path, content)
	evidenceVerifies(t, w, content)
	watching.areInThePackage(t, content)
	w.as("platform").refused(http.MethodGet, path, "", http.StatusForbidden, "ROLE_REQUIRED")
	packageGoesWithKeys(t, w, e)
	reportIsRead(t, unzipped(t, content))
}

// packageGoesWithKeys: a package holds what is readable with keys that are destroyed later; it goes with them.
func packageGoesWithKeys(t *testing.T, w *world, e *auditv1.Evidence) {
	t.Helper()
	c := w.as("platform")
	planned := c.planned(sample.Sibling())
	w.as("dpo").approve(planned)
	c.awaitErasure(planned.GetName(), erasurev1.Erasure_COMPLETED)
	for end := time.Now().Add(patience); e.GetState() != auditv1.Evidence_EXPIRED; time.Sleep(200 * time.Millisecond) {
		if w.as("auditor").get("/v1/"+e.GetName(), e); time.Now().After(end) {
			t.Fatal("a package outlives the keys of somebody who may be in it")
		}
	}
	if e.GetReason() != "KEYS_DESTROYED" {
		t.Errorf("the package is gone because of %q", e.GetReason())
	}
	w.as("auditor").refused(http.MethodGet, "/v1/"+e.GetName()+"/package", "", http.StatusGone, "PACKAGE_WITHDRAWN")
	if left, err := os.ReadDir(filepath.Join(w.dir, "packages", "evidence")); err != nil || len(left) != 0 {
		t.Errorf("the file is still there: %v, %v", left, err)
	}
}

// somethingHappens leaves decisions, a refusal, a change of the register and an erasure with its certificate in the log.
func somethingHappens(t *testing.T, w *world) {
	t.Helper()
	c := w.as("platform")
	p, other := sample.Pupil(), sample.Sibling()
	for range 3 {
		c.check(other, "photo-sharing", "")
	}
	w.as("dpo").post(school+"/consents:search", &consentv1.SearchConsentsRequest{Subject: uniLogin(other)}, &consentv1.SearchConsentsResponse{})
	c.refused(http.MethodPatch, school+"/activities/photo-sharing", `{"purpose":"x"}`, http.StatusForbidden, "ROLE_REQUIRED")
	w.as("dpo").get(school+"/activities/photo-sharing", &consentv1.Activity{})
	planned := c.planned(p)
	w.as("dpo").approve(planned)
	c.awaitErasure(planned.GetName(), erasurev1.Erasure_COMPLETED)
}

// evidence asks for the evidence of the time since then and waits for it. What was asked for twice is made once.
func (w *world) evidence(since time.Time) *auditv1.Evidence {
	w.t.Helper()
	time.Sleep(1200 * time.Millisecond) // the certificate's own events reach the log before the period ends
	c, e, again := w.as("auditor"), &auditv1.Evidence{}, &auditv1.Evidence{}
	req := &auditv1.CreateEvidenceRequest{StartTime: timestamppb.New(since), EndTime: timestamppb.Now(), Language: "da",
		RequestId: "0190d3c0-0000-7000-8000-0000000000e1"}
	c.post(school+"/evidence", req, e)
	c.post(school+"/evidence", req, again)
	if e.GetName() != again.GetName() {
		w.t.Errorf("a repeated request gives %s, not %s", again.GetName(), e.GetName())
	}
	for end := time.Now().Add(patience); e.GetState() != auditv1.Evidence_READY; time.Sleep(100 * time.Millisecond) {
		if c.get("/v1/"+e.GetName(), e); e.GetState() == auditv1.Evidence_FAILED || time.Now().After(end) {
			w.t.Fatalf("the evidence is %s: %s", e.GetState(), e.GetReason())
		}
	}
	return e
}

// alone runs the program in a folder that has nothing but it and a package, without a network where this machine can take it away.
func alone(t *testing.T, content []byte, args ...string) (code int, out string) {
	t.Helper()
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "evidence.zip"), content, 0o600))
	program, err := os.ReadFile(binary(t))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "privacyops"), program, 0o700))
	line := append([]string{"./privacyops", "verify", "evidence", "evidence.zip"}, args...)
	if exec.Command("unshare", "-rn", "true").Run() == nil {
		line = append([]string{"unshare", "-rn"}, line...)
	} else {
		t.Log("this machine cannot take the network away (unshare -n); the program runs with it")
	}
	run := exec.CommandContext(t.Context(), line[0], line[1:]...)
	run.Dir, run.Env = dir, []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}
	text, err := run.CombinedOutput()
	if _, ended := err.(*exec.ExitError); err != nil && !ended { //nolint:errorlint // it is what Run returns
		t.Fatal(err)
	}
	return run.ProcessState.ExitCode(), string(text)
}

func evidenceVerifies(t *testing.T, w *world, content []byte) {
	t.Helper()
	logKey, err := os.ReadFile(w.LogKey)
	must(t, err)
	certificateKey, err := os.ReadFile(w.CertificateKey)
	must(t, err)
	keys := []string{"--log-key", strings.TrimSpace(string(logKey)), "--certificate-key", strings.TrimSpace(string(certificateKey))}
	if code, out := alone(t, content, keys...); code != 0 || !strings.Contains(out, "VERIFIED") || !strings.Contains(out, "without a gap") ||
		!strings.Contains(out, "1 erasure certificates") {
		t.Errorf("code %d: %s", code, out)
	}
	if code, out := alone(t, content); code != 0 || !strings.Contains(out, "taken from the package itself") {
		t.Errorf("without keys: code %d: %s", code, out)
	}
	altered := bytes.Clone(content)
	altered[len(altered)/3] ^= 1
	if code, out := alone(t, altered, append(keys, "--json")...); code != 1 || !strings.Contains(out, `"verified": false`) {
		t.Errorf("altered: code %d: %s", code, out)
	}
	if code, _ := alone(t, []byte("not a package"), keys...); code != 2 {
		t.Errorf("something else: code %d", code)
	}
}

// reportIsRead opens both reports in a browser without a head, and looks for the timeline and for something drawn.
func reportIsRead(t *testing.T, files map[string][]byte) {
	t.Helper()
	browser, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("there is no chromium on this machine to open the report in; all before this was tested")
	}
	dir := t.TempDir()
	for _, name := range []string{"report.da.html", "report.en.html", "README.html"} {
		must(t, os.WriteFile(filepath.Join(dir, name), files[name], 0o600))
	}
	hidden := bytes.Replace(files["report.da.html"], []byte("</style>"), []byte("svg { visibility: hidden; }</style>"), 1)
	must(t, os.WriteFile(filepath.Join(dir, "hidden.html"), hidden, 0o600))
	if n := coloured(t, photographed(t, browser, dir, "hidden.html")); n >= barPixels {
		t.Errorf("a report whose charts are not drawn has %d coloured pixels: this test cannot fail", n)
	}
	for _, name := range []string{"report.da.html", "report.en.html"} {
		page := "file://" + filepath.Join(dir, name)
		dom, err := exec.CommandContext(t.Context(), browser, append(headless(dir), "--dump-dom", page)...).Output()
		must(t, err)
		if !bytes.Contains(dom, []byte(`<svg id="timeline"`)) || !bytes.Contains(dom, []byte(`<rect class="c-`)) {
			t.Errorf("%s has no timeline in the browser", name)
		}
		shot := photographed(t, browser, dir, name)
		if n := coloured(t, shot); n < barPixels {
			t.Errorf("the screenshot of %s has %d coloured pixels: its charts are not drawn", name, n)
		}
		if keep := os.Getenv("KEEP_SCREENSHOTS"); keep != "" {
			raw, err := os.ReadFile(shot)
			must(t, err)
			must(t, os.WriteFile(filepath.Join(keep, name+".png"), raw, 0o600))
		}
	}
}

// headless are the browser's flags.
func headless(dir string) []string {
	return []string{"--headless", "--no-sandbox", "--disable-gpu", "--user-data-dir=" + filepath.Join(dir, "profile"), "--window-size=1200,1600"}
}

// photographed makes a screenshot of a page in the folder and returns its path.
func photographed(t *testing.T, browser, dir, name string) string {
	t.Helper()
	shot := filepath.Join(dir, name+".png")
	must(t, exec.CommandContext(t.Context(), browser, append(headless(dir), "--screenshot="+shot, "file://"+filepath.Join(dir, name))...).Run())
	return shot
}

// barPixels is less than the bars of the timeline have, however few there are, and more than what else on the page has a colour: the line
// beside the note.
const barPixels = 3000

// coloured counts the pixels of a picture that are not grey: text is, bars of charts are not.
func coloured(t *testing.T, path string) (n int) {
	t.Helper()
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	img, err := png.Decode(f)
	must(t, err)
	for y := img.Bounds().Min.Y; y < img.Bounds().Max.Y; y++ {
		for x := img.Bounds().Min.X; x < img.Bounds().Max.X; x++ {
			r, g, b, _ := img.At(x, y).RGBA()
			if max(r, g, b)-min(r, g, b) > 0x3000 {
				n++
			}
		}
	}
	return n
}
