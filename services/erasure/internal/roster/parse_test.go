package roster_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/services/erasure/internal/roster"
)

func TestParse(t *testing.T) {
	t.Parallel()
	text := doc{
		soap:   true,
		groups: []string{"4a", "Ørkenhold"},
		entries: []string{
			student("alma1234"),
			entry("TEST-ADM", person(" bola0001\n"), employee),
			entry("HUGO Brugeradministrationen", extern),
			entry("HUGO Brugeradministrationen", person("prak0001"), extern),
		},
	}.String()
	want := roster.Extract{
		Institution:     "A0A001",
		InstitutionName: "Testskolen",
		ExportTime:      time.Date(2026, 11, 21, 3, 12, 0, 0, time.UTC),
		SchoolYear:      "2026-2027",
		People: []roster.Person{
			{UserID: "alma1234", Roles: roster.Roles(roster.Student)},
			{UserID: "bola0001", Roles: roster.Roles(roster.Employee)},
			{UserID: "prak0001", Roles: roster.Roles(roster.Extern)},
		},
		WithoutPerson: 1,
		Warnings:      []roster.Warning{{Code: roster.WarnNoPerson, Count: 1}},
	}
	if diff := cmp.Diff(want, parse(t, text)); diff != "" {
		t.Errorf("extract (-want +got):\n%s", diff)
	}
	// The same, a byte at a time, without the envelope, and after a byte order mark.
	bare := doc{groups: []string{"4a", "Ørkenhold"}, entries: []string{student("alma1234")}}.String()
	one, err := roster.Parse(iotest.OneByteReader(strings.NewReader("\ufeff"+bare)), roster.Limits{})
	if err != nil || len(one.People) != 1 {
		t.Errorf("read byte by byte: %d people, %v", len(one.People), err)
	}
}

func TestOddities(t *testing.T) {
	t.Parallel()
	groups := []string{"4a"}
	for _, tc := range []struct {
		name    string
		doc     doc
		people  string // roles of each person
		year    string
		warning []roster.Warning
	}{
		{"nobody", doc{}, "", "2026-2027", nil},
		{"another prefix", doc{groups: groups, entries: []string{strings.NewReplacer("b:GroupId", "c:GroupId").Replace(student("a"))}}, "STUDENT", "2026-2027", nil},
		{"dangling main group", doc{entries: []string{student("a"), student("b")}}, "STUDENT STUDENT", "2026-2027",
			[]roster.Warning{{Code: roster.WarnDanglingGroup, Count: 2}}},
		{"no role", doc{entries: []string{entry("X", person("a"))}}, "", "2026-2027", []roster.Warning{{Code: roster.WarnNoRole, Count: 1}}},
		{"empty user name", doc{entries: []string{entry("X", person(""), extern)}}, "", "2026-2027", []roster.Warning{{Code: roster.WarnNoPerson, Count: 1}}},
		{"pupil and employee", doc{groups: groups, entries: []string{student("a"), entry("TEST-ADM", person("a"), employee)}}, "STUDENT|EMPLOYEE", "2026-2027",
			[]roster.Warning{{Code: roster.WarnMerged, Count: 1}}},
		{"two sources", doc{groups: groups, entries: []string{student("a"), entry("OTHER", person("a"), inGroup("4a"))}}, "STUDENT", "2026-2027",
			[]roster.Warning{{Code: roster.WarnMerged, Count: 1}}},
		{"two sources of one year", doc{years: []string{"2026-2027", "2026-2027"}}, "", "2026-2027", nil},
		{"two school years", doc{years: []string{"2026-2027", "2025-2026"}}, "", "2026-2027", []roster.Warning{{Code: roster.WarnSchoolYears, Count: 2}}},
		{"no school year", doc{years: []string{}}, "", "", []roster.Warning{{Code: roster.WarnNoSchoolYear, Count: 1}}},
	} {
		x := parse(t, tc.doc.String())
		var roles []string
		for _, p := range x.People {
			if p.Roles != 0 {
				roles = append(roles, p.Roles.String())
			}
		}
		if got := strings.Join(roles, " "); got != tc.people {
			t.Errorf("%s: roles = %q, want %q", tc.name, got, tc.people)
		}
		if x.SchoolYear != tc.year {
			t.Errorf("%s: school year = %q, want %q", tc.name, x.SchoolYear, tc.year)
		}
		if diff := cmp.Diff(tc.warning, x.Warnings); diff != "" {
			t.Errorf("%s: warnings (-want +got):\n%s", tc.name, diff)
		}
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	good := doc{groups: []string{"4a"}, entries: []string{student("a"), student("b")}}.String()
	replace := func(old, by string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("the document has no %q", old)
		}
		return strings.Replace(good, old, by, 1)
	}
	const bomb = `<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>`
	for _, tc := range []struct {
		name, text string
		want       error
	}{
		{"nothing", "", roster.ErrNotRoster},
		{"white space", " \n", roster.ErrNotRoster},
		{"a table", "user;role\nalma1234;Elev\n", roster.ErrNotRoster},
		{"json", `{"people":[]}`, roster.ErrNotRoster},
		{"other xml", `<html><body/></html>`, roster.ErrNotRoster},
		{"a fault in its envelope", `<Envelope><Body><Fault>no</Fault></Body></Envelope>`, roster.ErrNotRoster},
		{"the full package", strings.ReplaceAll(good, "UNILoginExportSmall", "UNILoginExportFull"), roster.ErrNotRoster},
		{"another access level", replace(`accessLevel="small"`, `accessLevel="full"`), roster.ErrNotRoster},
		{"no export time", replace(`exportDateTime`, `exportTime`), roster.ErrNotRoster},
		{"no institution number", replace(`<c:InstitutionNumber>A0A001</c:InstitutionNumber>`, ``), roster.ErrNotRoster},
		{"two institution numbers", replace(`<c:InstitutionName>`, `<c:InstitutionNumber>B0B002</c:InstitutionNumber><c:InstitutionName>`), roster.ErrNotRoster},
		{"two institutions", replace(`</s:Institution>`, `</s:Institution><s:Institution><c:InstitutionNumber>B</c:InstitutionNumber></s:Institution>`), roster.ErrNotRoster},
		{"two extracts", doc{soap: true, entries: []string{`</s:Institution></s:UNILoginExportSmall>` +
			strings.TrimPrefix(good, `<?xml version="1.0" encoding="UTF-8"?>`+"\n") + `<s:UNILoginExportSmall><s:Institution>`}}.String(), roster.ErrNotRoster},
		{"two documents", good + `<a/>`, roster.ErrNotRoster},
		{"an empty envelope before it", `<Envelope/>` + strings.TrimPrefix(good, `<?xml version="1.0" encoding="UTF-8"?>`), roster.ErrNotRoster},
		{"text after it", good + "end", roster.ErrNotRoster},
		{"two people in one entry", replace(person("a"), person("a")+person("x")), roster.ErrNotRoster},
		{"wrong nesting", replace(`</s:Person>`, `</s:Persona>`), roster.ErrNotRoster},
		{"unquoted attribute", replace(`source="TEST-ADM"`, `source=TEST`), roster.ErrNotRoster},
		{"same entry twice", doc{entries: []string{student("a"), student("b"), student("a")}}.String(), roster.ErrDuplicate},
		{"latin-1 declared", replace("UTF-8", "ISO-8859-1"), roster.ErrEncoding},
		{"latin-1 undeclared", replace("Prøve", "Pr\xf8ve"), roster.ErrEncoding},
		{"utf-16", "\xff\xfe<\x00a\x00>\x00", roster.ErrEncoding},
		{"document type", replace("?>\n", "?>\n"+bomb), roster.ErrForbidden},
		{"document type in the middle", replace("<s:Institution>", `<!DOCTYPE a SYSTEM "file:///etc/passwd"><s:Institution>`), roster.ErrForbidden},
		{"entity", replace(">a<", ">&lol;<"), roster.ErrForbidden},
		{"deep", replace("<s:Institution>", strings.Repeat("<x>", 40)+strings.Repeat("</x>", 40)+"<s:Institution>"), roster.ErrTooLarge},
		{"long user name", replace(">a<", ">"+strings.Repeat("a", 2000)+"<"), roster.ErrTooLarge},
	} {
		x, err := roster.Parse(strings.NewReader(tc.text), roster.Limits{})
		var failure *roster.ParseError
		if !errors.As(err, &failure) || !errors.Is(err, tc.want) || failure.Line < 1 {
			t.Errorf("%s: error = %v, want %v", tc.name, err, tc.want)
		}
		if diff := cmp.Diff(roster.Extract{}, x); diff != "" {
			t.Errorf("%s: a refused document gives an extract:\n%s", tc.name, diff)
		}
	}
}

// TestCutOff cuts a document anywhere: nothing but the whole is an extract.
func TestCutOff(t *testing.T) {
	t.Parallel()
	good := doc{soap: true, groups: []string{"4a"}, entries: []string{student("a"), student("b")}}.String()
	truncated := 0
	for n := range good {
		x, err := roster.Parse(strings.NewReader(good[:n]), roster.Limits{})
		if err == nil {
			t.Fatalf("the first %d of %d bytes are an extract", n, len(good))
		}
		if errors.Is(err, roster.ErrTruncated) != x.Truncated {
			t.Fatalf("%d bytes: error %v, but truncated = %v", n, err, x.Truncated)
		}
		if x.Truncated {
			truncated++
		}
	}
	if truncated < len(good)*9/10 {
		t.Errorf("only %d of %d cuts are known for what they are", truncated, len(good))
	}
	_, err := roster.Parse(iotest.DataErrReader(io.MultiReader(strings.NewReader(good[:200]), iotest.ErrReader(io.ErrUnexpectedEOF))), roster.Limits{})
	if !errors.Is(err, roster.ErrTruncated) {
		t.Errorf("a body that ends early: %v, want ErrTruncated", err)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	text := doc{groups: []string{"4a"}, entries: []string{student("a"), student("b"), student("c")}}.String()
	for name, tc := range map[string]struct {
		limits roster.Limits
		ok     bool
	}{
		"exactly its length": {roster.Limits{MaxBytes: int64(len(text))}, true},
		"a byte less":        {roster.Limits{MaxBytes: int64(len(text)) - 1}, false},
		"exactly its people": {roster.Limits{MaxPeople: 3}, true},
		"one person less":    {roster.Limits{MaxPeople: 2}, false},
		"exactly its depth":  {roster.Limits{MaxDepth: 5}, true},
		"one level less":     {roster.Limits{MaxDepth: 4}, false},
		"values too long":    {roster.Limits{MaxText: 5}, false},
	} {
		for _, r := range []io.Reader{strings.NewReader(text), iotest.DataErrReader(strings.NewReader(text))} {
			_, err := roster.Parse(r, tc.limits)
			if tc.ok && err != nil || !tc.ok && !errors.Is(err, roster.ErrTooLarge) {
				t.Errorf("%s: error = %v, ok should be %v", name, err, tc.ok)
			}
		}
	}
}

func TestReadError(t *testing.T) {
	t.Parallel()
	broken := errors.New("connection reset")
	_, err := roster.Parse(io.MultiReader(strings.NewReader("<Envelope>"), iotest.ErrReader(broken)), roster.Limits{})
	if !errors.Is(err, roster.ErrRead) || !errors.Is(err, broken) {
		t.Errorf("error = %v, want ErrRead and its cause", err)
	}
}

// TestNothingLeaks looks for names and user names in errors, and in user names that are printed by mistake.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	const canary = "qzxcanary"
	text := doc{entries: []string{student(canary), entry("S", `<s:Person><c:FirstName>`+canary+`</c:FirstName><c:UserId>`+canary+`2</c:UserId></s:Person>`, extern)}}.String()
	x := parse(t, text)
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("roster", "user", x.People[0].UserID, "person", fmt.Sprint(x.People[0]))
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		fmt.Fprintf(&log, format, x)
	}
	for n := range text {
		_, err := roster.Parse(strings.NewReader(text[:n]+"<&\xff"), roster.Limits{})
		fmt.Fprintln(&log, err)
	}
	if strings.Contains(log.String(), canary) {
		t.Error("a name is printed")
	}
	if string(x.People[0].UserID) != canary {
		t.Error("the user name cannot be read at all")
	}
}

// fixtures returns the folder of the roster fixtures, which lie beside the repository on some machines.
func fixtures(t *testing.T) string {
	t.Helper()
	dir := filepath.Join("..", "..", "..", "..", "..", "shared", "fixtures", "unilogin")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("the roster fixtures are not on this machine; the documents written by the other tests stand in for them")
	}
	return dir
}

func TestExampleFile(t *testing.T) {
	t.Parallel()
	f, err := os.Open(filepath.Join(fixtures(t), "example_small_v7.xml"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	x, err := roster.Parse(f, roster.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if x.Institution != "A0A001" || len(x.People) != 2 || x.WithoutPerson != 1 || x.SchoolYear != "2026-2027" {
		t.Errorf("extract = %+v", x)
	}
}

func TestGeneratedFile(t *testing.T) {
	t.Parallel()
	script := filepath.Join(fixtures(t), "make_roster.py")
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not on this machine; it writes the large roster")
	}
	generate := func(args ...string) roster.Extract {
		out, err := exec.Command(python, append([]string{script}, args...)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		return parse(t, string(out))
	}
	all := generate("--people", "3000", "--soap")
	if len(all.People) != 2940 || all.WithoutPerson != 60 {
		t.Errorf("%d people and %d without, want 2940 and 60", len(all.People), all.WithoutPerson)
	}
	first := roster.Diff(roster.State{}, all, options())
	second := roster.Diff(first.Next, generate("--people", "3000", "--absent", "7,12-15"), options())
	if second.Decision != roster.Applied || len(second.Left) != 5 || second.Present != 2935 {
		t.Errorf("five absent: %s, %d left, %d present", second.Decision, len(second.Left), second.Present)
	}
	third := roster.Diff(second.Next, generate("--people", "3000", "--absent", "1-1600", "--date", "2026-11-22"), options())
	if third.Decision != roster.Held || third.HeldReason != roster.HeldMuchSmaller {
		t.Errorf("more than half absent: %s, %s", third.Decision, third.HeldReason)
	}
	year := roster.Diff(second.Next, generate("--people", "3000", "--school-year", "2027-2028", "--date", "2027-08-01"), options())
	if year.Decision != roster.Held || year.HeldReason != roster.HeldSchoolYear {
		t.Errorf("next school year: %s, %s", year.Decision, year.HeldReason)
	}
}
