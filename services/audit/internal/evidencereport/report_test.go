package evidencereport_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/libs/certificate"
	"github.com/privacyops/privacyops/services/audit/internal/dossier"
	"github.com/privacyops/privacyops/services/audit/internal/evidence"
	"github.com/privacyops/privacyops/services/audit/internal/evidencereport"
)

var update = flag.Bool("update", false, "write the golden files anew")

var begin = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// figures are those of three weeks in which everything happened that a report tells of.
func figures() *dossier.Figures {
	tally := dossier.NewTally(begin, begin.AddDate(0, 0, 21))
	for day := range 21 {
		at := begin.AddDate(0, 0, day).Add(9 * time.Hour)
		for _, l := range []dossier.Line{
			{Action: "activity.get", Kind: "VIEW", Outcome: "OK"},
			{Action: "session.begin", Kind: "LOGIN", Outcome: []string{"OK", "DENIED"}[day%2]},
			{Action: "consent.give", Kind: "CREATE", Outcome: "OK", Reading: dossier.Unreadable},
			{Action: "erasure.approve", Kind: "MODIFY", Outcome: "DENIED", Reason: "ROLE_<MISSING>"},
			{Action: "legal_basis.check", Kind: "DECISION", Outcome: "OK", Detail: map[string]string{"decision": []string{"ALLOW", "ALLOW", "DENY"}[day%3], "reason": "CONSENT_HOLDS"}},
		} {
			for range 1 + day*40 {
				tally.Entry(&dossier.Entry{Received: at, Lines: []dossier.Line{l}})
			}
		}
	}
	for n, hours := range []int{2, 60, 900} {
		tally.Certificate(&certificate.Statement{Erasure: "controllers/north/erasures/0190d3c0-0000-7000-8000-00000000000" + string(rune('1'+n)),
			RequestedTime: certificate.At(begin), IssuedTime: certificate.At(begin.Add(time.Duration(hours) * time.Hour)), Verdict: certificate.Complete,
			Systems: []certificate.System{{Datasets: []certificate.Dataset{{Erased: 3, Anonymised: 1, Kept: 2}}}}})
	}
	return tally.Figures()
}

func manifest(language string) *dossier.Manifest {
	return &dossier.Manifest{Format: dossier.Format, Evidence: "controllers/north/evidence/0190d3c0-0000-7000-8000-00000000ffff", Controller: "north",
		DisplayName: "Nordskolen & <Syd>", StartTime: begin, EndTime: begin.AddDate(0, 0, 21), CreateTime: begin.AddDate(0, 1, 0), Language: language,
		Log: dossier.Log{Origin: "log.example/audit", Key: "log.example/audit+0123abcd+AbCd", Size: 123456, Root: strings.Repeat("0f", 32)}, Witnesses: witnesses(),
		Numbers: dossier.Numbers{Before: 1000, First: 1001, Last: 43045, After: 43046}, Proves: dossier.Proves(), DoesNotProve: dossier.DoesNotProve()}
}

// witnesses are three of whom two have signed.
func witnesses() *dossier.Cosigned {
	return &dossier.Cosigned{Known: 3, Required: 2, Enough: true, By: []dossier.Cosignature{
		{Name: "kommunen", Key: "witness.kommunen.example+0123abcd+AbCd", Time: begin.AddDate(0, 0, 22)},
		{Name: "skolen", Key: "witness.skolen.example+89abcdef+EfGh", Time: begin.AddDate(0, 0, 22)}}}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs; look at it and run with -update:\n%s", name, diff)
	}
}

func render(t *testing.T, write func(io.Writer) error) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := write(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestGolden compares every page with what it was when somebody last looked at it.
func TestGolden(t *testing.T) {
	t.Parallel()
	r := evidencereport.Reporter{}
	for _, language := range []string{"da", "en"} {
		page := render(t, func(w io.Writer) error { return r.Page(w, manifest(language), figures(), language) })
		golden(t, "report."+language+".html", page)
		wellFormed(t, page)
		for _, not := range []string{"<script", " src=", "http://", "https://", ">chart.", ">group.", ">kind.", ">said.", ">took."} {
			if bytes.Contains(page, []byte(not)) {
				t.Errorf("the page in %s has %q", language, not)
			}
		}
		golden(t, "readme."+language+".html", render(t, func(w io.Writer) error { return r.Readme(w, manifest(language)) }))
	}
	golden(t, "measures.md", render(t, func(w io.Writer) error {
		return r.Measures(w, evidence.Facts{RequiredApprovals: 2, GracePeriod: 48 * time.Hour, Witnesses: witnesses(), Destroyed: 7, Origin: "log.example/audit"})
	}))
}

// TestSeveralCheckpoints: where there are several, the pages say of which the number of witnesses is.
func TestSeveralCheckpoints(t *testing.T) {
	t.Parallel()
	r := evidencereport.Reporter{}
	for checkpoints, want := range map[int]bool{1: false, 2: true} {
		m := manifest("en")
		m.Log.Shards = make([]dossier.Shard, checkpoints)
		for language, says := range map[string]string{"en": "the one that witnesses have signed least", "da": "som vidnerne har medunderskrevet mindst"} {
			page := render(t, func(w io.Writer) error { return r.Page(w, m, figures(), language) })
			if bytes.Contains(page, []byte(says)) != want {
				t.Errorf("of %d checkpoints the page in %s says %q: %v", checkpoints, language, says, !want)
			}
		}
		measures := render(t, func(w io.Writer) error {
			return r.Measures(w, evidence.Facts{Witnesses: witnesses(), Checkpoints: checkpoints})
		})
		for _, says := range []string{"checkpoint that witnesses signed least, of 2, is signed by 2 of 3", "kontrolpunkt, som vidnerne har underskrevet mindst, af 2, er underskrevet"} {
			if bytes.Contains(measures, []byte(says)) != want {
				t.Errorf("of %d checkpoints the measures say %q: %v", checkpoints, says, !want)
			}
		}
	}
}

// wellFormed reads the page's charts as XML, and checks that each has a title and a description.
func wellFormed(t *testing.T, page []byte) {
	t.Helper()
	charts := 0
	for rest := page; ; charts++ {
		from := bytes.Index(rest, []byte(`<svg id="`))
		if from < 0 {
			break
		}
		to := from + bytes.Index(rest[from:], []byte("</svg>")) + len("</svg>")
		d, texts := xml.NewDecoder(bytes.NewReader(rest[from:to])), 0
		for {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("a chart is not well-formed: %v", err)
			}
			if e, ok := token.(xml.StartElement); ok && (e.Name.Local == "title" || e.Name.Local == "desc") {
				texts++
			}
		}
		if texts < 1 {
			t.Error("a chart has no text in its place")
		}
		rest = rest[to:]
	}
	if charts != 5 {
		t.Errorf("%d charts, want 5", charts)
	}
}

// TestOtherPeriods: an empty period is said to be empty, and a year is shown by weeks.
func TestOtherPeriods(t *testing.T) {
	t.Parallel()
	r := evidencereport.Reporter{}
	empty := dossier.NewTally(begin, begin.AddDate(0, 0, 1)).Figures()
	m := manifest("en")
	m.Numbers = dossier.Numbers{Before: 4, First: 5, Last: 4, After: 5}
	page := render(t, func(w io.Writer) error { return r.Page(w, m, empty, "en") })
	if !bytes.Contains(page, []byte("No events were recorded")) || !bytes.Contains(page, []byte("There are no numbers in the period")) {
		t.Error("an empty period is not said to be empty")
	}
	tally := dossier.NewTally(begin, begin.AddDate(1, 0, 0))
	for day := range 365 {
		tally.Entry(&dossier.Entry{Received: begin.AddDate(0, 0, day), Lines: []dossier.Line{{Action: "x.y", Kind: "VIEW", Outcome: "OK"}}})
	}
	page = render(t, func(w io.Writer) error { return r.Page(w, manifest("en"), tally.Figures(), "en") })
	if n := bytes.Count(page, []byte(`<rect class="c-read" x=`)); n != 53 {
		t.Errorf("a year has %d bars, want 53 weeks", n)
	}
}
