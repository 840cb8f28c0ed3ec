package documents_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/services/consent/internal/documents"
)

// TestGolden compares every document of two registers with what was reviewed. Write them anew with
// `UPDATE_GOLDEN=1 go test ./services/consent/internal/documents`, and read them.
func TestGolden(t *testing.T) {
	t.Parallel()
	expected := map[string]bool{}
	for name, r := range map[string]documents.Register{"municipal": municipal(), "minimal": minimal()} {
		for _, p := range every() {
			path := filepath.Join("testdata", name, p.name)
			expected[path] = true
			got := p.of(t, r)
			if os.Getenv("UPDATE_GOLDEN") != "" {
				if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s differs (-want +got):\n%s", path, diff)
			}
		}
	}
	files, err := filepath.Glob(filepath.Join("testdata", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !expected[f] && filepath.Base(filepath.Dir(f)) != "rapid" {
			t.Errorf("%s is the golden file of no document", f)
		}
	}
}

func TestContentTypes(t *testing.T) {
	t.Parallel()
	want := map[string]string{".md": "text/markdown; charset=utf-8", ".html": "text/html; charset=utf-8", ".csv": "text/csv; charset=utf-8", ".json": "application/ld+json"}
	for _, p := range every() {
		d, err := p.bytes(municipal())
		if err != nil {
			t.Fatal(err)
		}
		expect := want[filepath.Ext(p.name)]
		if p.name[:6] == "assess" && filepath.Ext(p.name) == ".json" {
			expect = "application/json"
		}
		if d.ContentType != expect {
			t.Errorf("%s is %s", p.name, d.ContentType)
		}
	}
}

func TestFormatsThatADocumentDoesNotHave(t *testing.T) {
	t.Parallel()
	for _, f := range []documents.Format{documents.CSV, documents.JSON, "", "pdf"} {
		if _, err := documents.Notice(municipal(), documents.Danish, documents.Subject, f); err == nil {
			t.Errorf("a notice as %q", f)
		}
	}
	for _, f := range []documents.Format{documents.HTML, "", "pdf"} {
		if _, err := documents.RecordOfProcessing(municipal(), documents.OfController, f); err == nil {
			t.Errorf("a record as %q", f)
		}
		if _, err := documents.ImpactAssessmentInput(municipal(), documents.Danish, f); err == nil {
			t.Errorf("an assessment as %q", f)
		}
	}
}
