package e2e

import (
	"encoding/csv"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	"github.com/privacyops/privacyops/services/participant/sample"
)

// TestDocuments prints everything that is printed from the register.
func TestDocuments(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dpo := w.as("dpo")
	dpo.post(school+"/activities/photo-sharing:archive", &consentv1.ArchiveActivityRequest{}, nil)

	notice := w.as("partner").document("/notice", "text/markdown; charset=utf-8")
	page := w.as("partner").document("/notice?language=en&audience=GUARDIAN&format=html", "text/html; charset=utf-8")
	table := dpo.document("/recordOfProcessing?format=csv", "text/csv; charset=utf-8")
	record := dpo.document("/recordOfProcessing?format=json&perspective=PROCESSOR", "application/ld+json")
	input := w.as("auditor").document("/impactAssessmentInput?format=json", "application/json")
	if !strings.HasPrefix(notice, "# Sådan bruger Sønderskolen oplysninger om dig\n") || !strings.Contains(page, `<html lang="en">`) || !strings.Contains(page, "your child") {
		t.Errorf("the notices begin\n%.200s\n%.200s", notice, page)
	}
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(table, "\uFEFF"))).ReadAll()
	must(t, err)
	if len(rows) != 1+len(sample.Activities()) {
		t.Errorf("the record has %d lines", len(rows))
	}
	for _, text := range []string{record, input} {
		var v map[string]any
		must(t, json.Unmarshal([]byte(text), &v))
	}
	for _, a := range sample.Activities() {
		ended := a.ID == "photo-sharing"
		for name, text := range map[string]string{"the notice": notice, "the page": page, "the input": input} {
			if strings.Contains(text, a.Purpose) == ended {
				t.Errorf("%s and the activity %s, which has ended: %v", name, a.ID, ended)
			}
		}
		if !strings.Contains(table, a.Purpose) || !strings.Contains(record, a.Purpose) {
			t.Errorf("a record lacks the activity %s", a.ID)
		}
	}
	// The version that ended it is on record, and whose it was.
	if !strings.Contains(table, "Afsluttet") || !strings.Contains(table, "; 2: ") {
		t.Errorf("the record does not tell of the second version:\n%s", table)
	}
	dpo.refused(http.MethodGet, school+"/notice?format=pdf", "", http.StatusBadRequest, "INVALID_ARGUMENT")
	w.caller("dpo", sample.OtherController, "another").refused(http.MethodGet, school+"/notice", "", http.StatusNotFound, "NOT_FOUND")
}

// document reads one, of its type.
func (c *client) document(path, kind string) string {
	c.t.Helper()
	resp, err := c.Do(c.t.Context(), http.MethodGet, school+path, "", nil)
	must(c.t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	must(c.t, err)
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != kind || resp.Header.Get("X-Content-Type-Options") != "nosniff" {
		c.t.Fatalf("GET %s: %s %v\n%s", path, resp.Status, resp.Header, text)
	}
	return string(text)
}
