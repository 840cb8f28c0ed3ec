package sample_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/services/participant/sample"
)

// extract is what the tests read of a roster; encoding/xml knows the elements by local name.
type extract struct {
	Exported string `xml:"exportDateTime,attr"`
	Level    string `xml:"accessLevel,attr"`
	Source   struct {
		SchoolYear string `xml:"schoolYear,attr"`
	} `xml:"ImportSource"`
	Institution struct {
		Number string `xml:"InstitutionNumber"`
		Groups []struct {
			ID string `xml:"GroupId"`
		} `xml:"Group"`
		People []struct {
			UserID  string `xml:"Person>UserId"`
			Number  string `xml:"Student>StudentNumber"`
			Main    string `xml:"Student>MainGroupId"`
			Teacher string `xml:"Employee>ShortName"`
		} `xml:"InstitutionPerson"`
	} `xml:"Institution"`
}

func roster(t *testing.T, o sample.RosterOptions) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := sample.Roster(&out, o); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func read(t *testing.T, text []byte) (e extract) {
	t.Helper()
	if err := xml.Unmarshal(text, &e); err != nil {
		t.Fatal(err)
	}
	return e
}

func (e extract) logins() (out []string) {
	for _, p := range e.Institution.People {
		if p.UserID != "" {
			out = append(out, p.UserID)
		}
	}
	return out
}

func TestTheRosterIsTheSchoolsPeople(t *testing.T) {
	t.Parallel()
	_, db := build(t)
	for _, s := range sample.Schools() {
		e := read(t, roster(t, sample.RosterOptions{School: s.ID}))
		if e.Institution.Number != s.InstitutionNumber || e.Level != "small" || e.Source.SchoolYear != "2026-2027" {
			t.Errorf("institution %q, level %q, school year %q", e.Institution.Number, e.Level, e.Source.SchoolYear)
		}
		want := texts(t, db, `SELECT unilogin FROM users WHERE school = ? ORDER BY id`, s.ID)
		if diff := cmp.Diff(want, e.logins()); diff != "" {
			t.Errorf("%s: people (-database +roster):\n%s", s.ID, diff)
		}
	}
}

func TestEverybodyHasARoleAndAGroupThatIsThere(t *testing.T) {
	t.Parallel()
	e := read(t, roster(t, sample.RosterOptions{}))
	groups := map[string]bool{}
	for _, g := range e.Institution.Groups {
		groups[g.ID] = true
	}
	for _, p := range e.Institution.People {
		switch {
		case p.UserID == "": // the trainee without a user name
		case (p.Number == "") == (p.Teacher == ""):
			t.Error("somebody is neither pupil nor staff, or both")
		case p.Number != "" && !groups[p.Main]:
			t.Errorf("main group %q is not in the extract", p.Main)
		}
	}
}

func TestWhoIsAbsentIsNotThere(t *testing.T) {
	t.Parallel()
	all := read(t, roster(t, sample.RosterOptions{})).logins()
	gone := sample.Pupil().UniLogin
	left := read(t, roster(t, sample.RosterOptions{Absent: []string{gone}})).logins()
	if want := slices.DeleteFunc(slices.Clone(all), func(v string) bool { return v == gone }); !slices.Equal(want, left) || len(left) != len(all)-1 {
		t.Errorf("%d people with one of %d absent", len(left), len(all))
	}
}

func TestRosterOptionsAreWritten(t *testing.T) {
	t.Parallel()
	at := time.Date(2027, 8, 9, 4, 30, 0, 0, time.UTC)
	e := read(t, roster(t, sample.RosterOptions{Exported: at, SchoolYear: "2027-2028"}))
	if e.Exported != "2027-08-09T04:30:00Z" || e.Source.SchoolYear != "2027-2028" {
		t.Errorf("exported %q, school year %q", e.Exported, e.Source.SchoolYear)
	}
}

// TestTheRosterUsesTheElementsOfARealOne compares names and namespaces with an extract of the real service's form.
func TestTheRosterUsesTheElementsOfARealOne(t *testing.T) {
	t.Parallel()
	authentic, err := os.ReadFile("../../../../shared/fixtures/unilogin/example_small_v7.xml")
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("the folder shared/fixtures is not beside this checkout")
	}
	if err != nil {
		t.Fatal(err)
	}
	known := elements(t, authentic)
	for name := range elements(t, roster(t, sample.RosterOptions{Envelope: true})) {
		if !known[name] {
			t.Errorf("the real extract has no element %s in namespace %s", name.Local, name.Space)
		}
	}
}

func elements(t *testing.T, text []byte) map[xml.Name]bool {
	t.Helper()
	out := map[xml.Name]bool{}
	d := xml.NewDecoder(bytes.NewReader(text))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok {
			out[e.Name] = true
		}
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestAFailedWriteIsReported(t *testing.T) {
	t.Parallel()
	if err := sample.Roster(broken{}, sample.RosterOptions{}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v, want the writer's error", err)
	}
}
