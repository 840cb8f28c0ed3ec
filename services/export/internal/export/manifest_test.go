package export

import (
	"encoding/json"
	"flag"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestManifestGolden holds the form that others read: a change of it is a change of [Format].
func TestManifestGolden(t *testing.T) {
	t.Parallel()
	at := func(day int) time.Time { return time.Date(2026, 3, day, 9, 0, 0, 0, time.UTC) }
	w := &Work{Export: Export{
		Ref: Ref{"north", "0190d3c0-0000-7000-8000-000000000001"}, Kind: Portability, Language: Danish, SubjectRef: "sub_0123456789",
		Received: at(1), Created: at(2), Due: at(31),
		Systems: []System{
			{System: "lms", DisplayName: "Læringsportal", Mandatory: true, State: SystemDone, Records: 2, Bytes: 40, Digest: "feed"},
			{System: "desk", DisplayName: "Supportdesk", State: SystemFailed, Message: "The system could not be reached."},
		},
	}}
	snap := Snapshot{
		Controller: Controller{ID: "north", DisplayName: "Nordskolen", Jurisdiction: "DK", TimeZone: "Europe/Copenhagen",
			Contact: "kontor@nordskolen.example", DPOName: "Dorte Dam", DPOEmail: "dpo@nordskolen.example"},
		Activities: []Activity{{ID: "teaching", Purpose: "Undervisning", LegalBasis: Contract, SpecialCategory: "a",
			DataCategories: []string{"identity"}, SubjectCategories: []string{"pupils"}, Recipients: []string{"hosting"},
			Systems: []SystemID{"lms"}, Locations: []string{"DK", "US"}, Source: "UNI-Login", AutomatedDecisions: true,
			Retention: Retention{Period: "P6M", Event: "LEFT_ROSTER", Protected: true, Ground: "Law"}}},
		Systems: []RegisteredSystem{{ID: "lms", Location: "DK", OperatedBy: "Us"}},
	}
	described := map[SystemID]Description{"lms": {Datasets: []Dataset{{Name: "profile", Category: "identity", Activity: "teaching"}}}}
	omitted := []Omission{{System: "lms", Dataset: "usage", Count: 3, Ground: GroundNotProvided, Article: articlePortability}}
	m := newManifest(w, snap, described, omitted, at(3))
	m.Fill([]File{
		{Path: "data/lms/profile.json", MediaType: "application/json", System: "lms", Dataset: "profile", Records: 2, Bytes: 40, SHA256: "cafe"},
		{Path: "README.html", MediaType: "text/html", Bytes: 10, SHA256: "beef"},
	})
	got, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	const path = "testdata/manifest.json"
	if *update {
		if err := os.WriteFile(path, append(got, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)+"\n"); diff != "" {
		t.Errorf("%s differs; run with -update if that is meant (-want +got):\n%s", path, diff)
	}
}
