package e2e

import (
	"bytes"
	"database/sql"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/libs/certificate"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
	"github.com/privacyops/privacyops/services/participant/sample"
)

// TestMainJob plays what the suite is for, from a consent to the certificate of an erasure.
func TestMainJob(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	pupil := sample.Pupil()
	consentIsGivenAndWithdrawn(t, w, pupil)
	exportIsCollected(t, w, pupil)

	db := w.platform()
	before, about := fingerprint(t, db), rowsAbout(t, db, pupil)
	e := erasurePasses(t, w, pupil)
	file, err := w.as("auditor").Raw(t.Context(), http.MethodGet, "/v1/"+e.GetName()+"/certificate", "", nil)
	must(t, err)
	statement := certificateHolds(t, w, file)
	everyFlipFails(t, w, file)

	for _, activity := range []string{"teaching", "photo-sharing", "exam-records"} {
		decided(t, w.as("partner").check(pupil, activity, ""), consentv1.Decision_SUBJECT_ERASED)
	}
	decided(t, w.as("partner").check(sample.Sibling(), "teaching", ""), consentv1.Decision_LEGAL_BASIS_HOLDS)

	if diff := cmp.Diff(about, before.Changes(fingerprint(t, db))); diff != "" {
		t.Errorf("the rows that changed are not the pupil's (-pupil's +changed):\n%s", diff)
	}
	onlyKeptIsFound(t, db, pupil, statement)
}

func consentIsGivenAndWithdrawn(t *testing.T, w *world, p sample.Person) {
	t.Helper()
	const activity = "photo-sharing"
	partner, platform := w.as("partner"), w.as("platform")
	decided(t, partner.check(p, activity, ""), consentv1.Decision_NO_CONSENT)
	given := &consentv1.Consent{}
	platform.post(school+"/consents", &consentv1.GiveConsentRequest{Subject: uniLogin(p), Activity: activity,
		GivenBy: &consentv1.GivenBy{Capacity: consentv1.GivenBy_GUARDIAN, Reference: "guardian-17"}, Evidence: "sha256:11aa"}, given)
	d := partner.check(p, activity, given.GetConsistencyToken())
	decided(t, d, consentv1.Decision_CONSENT_HOLDS)
	if d.GetConsent() != given.GetName() {
		t.Errorf("the decision rests on %q, not on the consent that was given", d.GetConsent())
	}
	withdrawn := &consentv1.Consent{}
	platform.post(school+"/consents:withdraw", &consentv1.WithdrawConsentOfRequest{Subject: uniLogin(p), Activity: activity}, withdrawn)
	if withdrawn.GetState() != consentv1.Consent_WITHDRAWN || withdrawn.GetName() != given.GetName() {
		t.Errorf("withdrawing answers %v", withdrawn)
	}
	decided(t, partner.check(p, activity, ""), consentv1.Decision_CONSENT_WITHDRAWN) // at once, without a token
	found := &consentv1.SearchConsentsResponse{}
	w.as("dpo").post(school+"/consents:search", &consentv1.SearchConsentsRequest{Subject: uniLogin(p)}, found)
	if len(found.GetConsents()) != 1 || found.GetConsents()[0].GetState() != consentv1.Consent_WITHDRAWN {
		t.Errorf("the history is %v", found)
	}
}

func erasurePasses(t *testing.T, w *world, p sample.Person) *erasurev1.Erasure {
	t.Helper()
	platform, dpo := w.as("platform"), w.as("dpo")
	preview := &erasurev1.Plan{}
	platform.post(school+"/erasures:preview", &erasurev1.PreviewErasureRequest{Subject: uniLogin(p), Ground: erasurev1.Erasure_NO_LONGER_NECESSARY}, preview)
	e := platform.planned(p)
	if e.GetPlan().GetPlanHash() != preview.GetPlanHash() {
		t.Errorf("the plan %s is not the one that was previewed, %s", e.GetPlan().GetPlanHash(), preview.GetPlanHash())
	}
	dpo.approve(e)
	states := []erasurev1.Erasure_State{}
	watch(dpo, "/v1/"+e.GetName()+":watch", newErasure, func(m *erasurev1.Erasure) bool {
		e = m
		states = append(states, m.GetState())
		return false
	})
	if e.GetState() != erasurev1.Erasure_COMPLETED || !slices.IsSorted(states) {
		t.Fatalf("the erasure goes through %v", states)
	}
	return e
}

// certificateHolds verifies a certificate with the keys that the installation publishes, and gives what it states.
func certificateHolds(t *testing.T, w *world, file []byte) certificate.Statement {
	t.Helper()
	report, err := certificate.Verify(file, trust(t, w.CertificateKey, w.LogKey))
	must(t, err)
	if !report.Pinned || report.Statement.Verdict != certificate.CompleteWithKept {
		t.Errorf("pinned: %v, verdict %s", report.Pinned, report.Statement.Verdict)
	}
	path := filepath.Join(t.TempDir(), "certificate.json")
	must(t, os.WriteFile(path, file, 0o600))
	if code, words := verify(t, w, path); code != 0 || !strings.HasPrefix(words, "VERIFIED: ") {
		t.Errorf("the command says %d: %s", code, words)
	}
	return report.Statement
}

func trust(t *testing.T, certificateKey, logKey string) certificate.Trust {
	t.Helper()
	read := func(path string) []string {
		key, err := os.ReadFile(path)
		must(t, err)
		return []string{strings.TrimSpace(string(key))}
	}
	return certificate.Trust{CertificateKeys: read(certificateKey), LogKeys: read(logKey)}
}

// verify runs the real command with the installation's keys.
func verify(t *testing.T, w *world, path string) (code int, words string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), binary(t), "verify", "certificate", "--certificate-key", w.CertificateKey, "--log-key", w.LogKey, path)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// everyFlipFails changes each byte of a certificate in two ways. No change may verify.
func everyFlipFails(t *testing.T, w *world, file []byte) {
	t.Helper()
	keys := trust(t, w.CertificateKey, w.LogKey)
	flips := 0
	for i := range file {
		for _, mask := range []byte{0x01, 0x20} {
			flips++
			if _, err := certificate.Verify(flipped(file, i, mask), keys); err == nil {
				t.Errorf("byte %d changed by %#x verifies", i, mask)
			}
		}
	}
	path := filepath.Join(t.TempDir(), "flipped.json")
	const sampled = 20
	for n := range sampled {
		i := n * (len(file) - 1) / (sampled - 1)
		must(t, os.WriteFile(path, flipped(file, i, 0x01), 0o600))
		if code, words := verify(t, w, path); code != 1 && code != 2 {
			t.Errorf("with byte %d changed the command exits %d: %s", i, code, words)
		}
	}
	t.Logf("%d changes of a certificate of %d bytes were refused, %d of them by the command too", flips, len(file), sampled)
}

func flipped(file []byte, i int, mask byte) []byte {
	out := bytes.Clone(file)
	out[i] ^= mask
	return out
}

// rowsAbout are the rows of a person that the data map of the sample promises to change, found by the tables' own columns.
func rowsAbout(t *testing.T, db *sql.DB, p sample.Person) []sample.Row {
	t.Helper()
	var out []sample.Row
	for _, q := range []struct {
		table, key, where string
		args              []any
	}{
		{"attendance", "id", "pupil = ?", []any{p.Key}},
		{"enrolments", "person || '/' || class", "person = ?", []any{p.Key}},
		{"forum_posts", "id", "author = ?", []any{p.Key}},
		{"forum_threads", "id", "author = ?", []any{p.Key}},
		{"grades", "id", "pupil = ?", []any{p.Key}},
		{"logins", "id", "person = ?", []any{p.Key}},
		{"messages", "id", "? IN (sender, recipient)", []any{p.Key}},
		{"photos", "id", "pupil = ?", []any{p.Key}},
		{"submission_files", "id", "submission IN (SELECT id FROM submissions WHERE pupil = ?)", []any{p.Key}},
		{"submissions", "id", "pupil = ?", []any{p.Key}},
		{"support_tickets", "id", "contact_email = ? OR contact_phone = ?", []any{p.Email, p.Phone}},
		{"users", "id", "id = ?", []any{p.Key}},
	} {
		query := "SELECT CAST(" + q.key + " AS TEXT) FROM " + q.table + " WHERE " + q.where + " ORDER BY 1"
		eachRow(t, db, func(rows *sql.Rows) error {
			out = append(out, sample.Row{Table: q.table})
			return rows.Scan(&out[len(out)-1].Key)
		}, query, q.args...)
	}
	return out
}

// onlyKeptIsFound searches the whole platform for the person. Each hit must be in a table of which the certificate says that
// rows are kept, and no more rows of it than it says.
func onlyKeptIsFound(t *testing.T, db *sql.DB, p sample.Person, s certificate.Statement) {
	t.Helper()
	tables := map[string]string{"exam_records": "exam-records", "forum_posts": "mentions-in-posts", "messages": "mentions-in-messages"}
	kept := map[string]int64{}
	for _, d := range s.Systems[0].Datasets {
		kept[d.Dataset] = d.Kept
		if d.Remaining != 0 {
			t.Errorf("the certificate says that %d rows of %s remain", d.Remaining, d.Dataset)
		}
	}
	hits, err := sample.Search(t.Context(), db, p.Values()...)
	must(t, err)
	rows := map[string]map[string]bool{}
	for _, h := range hits {
		if rows[h.Table] == nil {
			rows[h.Table] = map[string]bool{}
		}
		rows[h.Table][h.Key] = true
	}
	for table, found := range rows {
		if n := kept[tables[table]]; int64(len(found)) != n {
			t.Errorf("the person is found in %d rows of %s, and the certificate says that %d are kept", len(found), table, n)
		}
	}
	if len(rows) != len(tables) {
		t.Errorf("the person is found in %v, want exactly what is kept of %v", rows, tables)
	}
}
