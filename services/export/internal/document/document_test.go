package document

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/services/export/internal/export"
)

var update = flag.Bool("update", false, "write the golden files anew")

func manifest(lang export.Language) *export.Manifest {
	m := &export.Manifest{
		Format: export.Format, Export: "controllers/north/exports/0190d3c0-0000-7000-8000-000000000001", Kind: export.Access, Language: lang,
		Controller: export.ManifestController{ID: "north", DisplayName: "Nordskolen & <Syd>", Jurisdiction: "DK", TimeZone: "Europe/Copenhagen",
			Contact: "kontor@nordskolen.example", DPOName: "Dorte Dam", DPOEmail: "dpo@nordskolen.example"},
		// Half an hour before midnight UTC is the next day in Copenhagen.
		ReceiveTime: time.Date(2026, 3, 1, 23, 30, 0, 0, time.UTC), DueTime: time.Date(2026, 4, 7, 21, 59, 59, 0, time.UTC),
		PackageTime: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC),
		Systems: []export.ManifestSystem{
			{System: "lms", DisplayName: "Læringsportal", Mandatory: true, State: export.SystemDone, Datasets: []export.ManifestDataset{
				{Dataset: "profile", Category: "identity", Activity: "teaching"}, {Dataset: "usage", Category: "usage", Activity: "operation"}}},
			{System: "desk", DisplayName: "Supportdesk", Mandatory: true, State: export.SystemFailed, Message: "Not for people."},
			{System: "mail", DisplayName: "Skolepost", State: export.SystemDone},
		},
		Omissions: []export.Omission{
			{System: "lms", Dataset: "usage", Column: "teacher", Count: 1234567, Ground: "Names other people <b>.", Article: "GDPR art. 15(4)"},
			{System: "desk", Column: "PHONE", Count: 3, Ground: export.GroundShared, Article: "GDPR art. 15(4)"},
		},
		Information: export.Information{
			Activities: []export.ManifestActivity{
				{Activity: "teaching", Purpose: "Undervisning og opgaver", LegalBasis: "PUBLIC_TASK", DataCategories: []string{"identity", "assignments"},
					Recipients: []string{"hosting-provider"}, Retention: export.ManifestRetention{Period: "P6M", Event: "LEFT_ROSTER"}, Source: "UNI-Login"},
				{Activity: "operation", Purpose: "Drift", LegalBasis: export.Consent, SpecialCategory: "a", AutomatedDecisions: true, Ended: true,
					Retention: export.ManifestRetention{Period: "P1Y2M", Protected: true, Ground: "Bogføringsloven § 12"}},
			},
			Rights:    []export.Right{{Right: "ACCESS", Article: "GDPR art. 15"}, {Right: "WITHDRAW_CONSENT", Article: "GDPR art. 7(3)"}},
			Complaint: export.Complaint{Authority: "Datatilsynet", Address: "Carl Jacobsens Vej 35, 2500 Valby", Web: "https://www.datatilsynet.dk"},
			Locations: []string{"DK", "US"}, ThirdCountries: []string{"US"},
		},
	}
	m.Fill([]export.File{
		{Path: "data/lms/profile.json", System: "lms", Dataset: "profile", Records: 1}, {Path: "data/lms/profile.csv", System: "lms", Dataset: "profile", Records: 1},
		{Path: "data/lms/usage.json", System: "lms", Dataset: "usage", Records: 12345}, {Path: "data/lms/usage.csv", System: "lms", Dataset: "usage", Records: 12345},
	})
	return m
}

func render(t *testing.T, m *export.Manifest) string {
	t.Helper()
	var out bytes.Buffer
	if err := Readme(&out, m); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for _, lang := range []export.Language{export.Danish, export.English} {
		got := render(t, manifest(lang))
		path := filepath.Join("testdata", "readme."+string(lang)+".html")
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s differs; run with -update if that is meant (-want +got):\n%s", path, diff)
		}
	}
}

func TestStandsAlone(t *testing.T) {
	t.Parallel()
	m := manifest(export.English)
	html := render(t, m)
	if found := regexp.MustCompile(`(?i)<(script|link|img|iframe|object)|\bsrc=|url\(|@import|<b>`).FindString(html); found != "" {
		t.Errorf("the document has %q", found)
	}
	for _, must := range []string{"Nordskolen &amp; &lt;Syd&gt;", "2 March 2026", "Supportdesk", "must be part of it", "12,345", "Datatilsynet",
		`href="data/lms/usage.csv"`, "6 months after leaving the school", "Outside the EU and the EEA: US", "1 year and 2 months"} {
		if !strings.Contains(html, must) {
			t.Errorf("the document lacks %q", must)
		}
	}
	if strings.Contains(html, "Not for people") {
		t.Error("the operator's message is in a document for people")
	}
	if missing := regexp.MustCompile(`\{[a-z]+[.\w]*\}`).FindString(html[strings.Index(html, "<body>"):]); missing != "" {
		t.Errorf("there is no text for %s", missing)
	}
}

func TestEveryTagIsClosed(t *testing.T) {
	t.Parallel()
	for _, lang := range []export.Language{export.Danish, export.English} {
		// Elements that have no end in HTML get one, so that a strict reader of XML can judge the rest.
		html := regexp.MustCompile(`<(meta[^>]*|br)>`).ReplaceAllString(render(t, manifest(lang)), "<$1/>")
		d := xml.NewDecoder(strings.NewReader(strings.TrimPrefix(html, "<!DOCTYPE html>")))
		d.Entity = xml.HTMLEntity
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("%s: %v", lang, err)
			}
		}
	}
}

func TestLanguagesSayTheSame(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff(danish.keys(), english.keys()); diff != "" {
		t.Errorf("(-danish +english):\n%s", diff)
	}
	source, err := files.ReadFile("readme.html.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`\{\{t "([^"]+)"\}\}`).FindAllStringSubmatch(string(source), -1) {
		if _, ok := danish[m[1]]; !ok {
			t.Errorf("the document uses a text %q that there is not", m[1])
		}
	}
}

func TestUnusualManifests(t *testing.T) {
	t.Parallel()
	for name, m := range map[string]*export.Manifest{
		"empty":           {},
		"unknown grounds": {Kind: export.Portability, Omissions: []export.Omission{{Ground: "Weil es so ist."}, {Ground: export.GroundSearchLimit, Count: 200}}},
		"unknown zone":    {Kind: export.Access, Controller: export.ManifestController{TimeZone: "Mars/Olympus"}},
	} {
		if html := render(t, m); !strings.HasSuffix(html, "</html>\n") {
			t.Errorf("%s: cut short", name)
		}
	}
	v := view{text: danish}
	for in, want := range map[string]string{"P1Y": "1 år", "P2Y6M": "2 år og 6 måneder", "P30D": "30 dage", "": "", "P": "P", "soon": "soon"} {
		if got := v.Period(in); got != want {
			t.Errorf("Period(%q) = %q, want %q", in, got, want)
		}
	}
	for in, want := range map[int64]string{0: "0", 999: "999", 1000: "1.000", 1234567: "1.234.567"} {
		if got := v.Number(in); got != want {
			t.Errorf("Number(%d) = %q, want %q", in, got, want)
		}
	}
}
