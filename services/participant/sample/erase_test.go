package sample_test

import (
	"cmp"
	"database/sql"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/services/participant/internal/participant"
	"github.com/privacyops/privacyops/services/participant/internal/sqlmap"
	"github.com/privacyops/privacyops/services/participant/sample"
)

// subject names a person by UNI-Login alone: everything else the platform has to find itself.
func subject(p sample.Person) participant.Subject {
	return participant.Subject{Controller: p.Controller,
		Identifiers: []participant.Identifier{{Type: participant.UniLogin, Value: p.UniLogin}}}
}

// eraseAll erases a person by every dataset that the map does not keep, and checks the verification.
func eraseAll(t *testing.T, a *sqlmap.Adapter, p sample.Person) (participant.Location, participant.VerifyResult) {
	t.Helper()
	d, err := a.Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var approved []string
	for _, ds := range d.Datasets {
		if ds.Erasure != participant.Keep {
			approved = append(approved, ds.Name)
		}
	}
	who := subject(p)
	before, err := a.Locate(t.Context(), who)
	if err != nil {
		t.Fatal(err)
	}
	who.Identifiers = append(who.Identifiers, before.Further...)
	if _, err := a.Erase(t.Context(), participant.EraseRequest{Request: "erasure-1", FencingToken: 1, Subject: who,
		DataMapDigest: d.DataMapDigest, Datasets: approved}); err != nil {
		t.Fatal(err)
	}
	verified, err := a.Verify(t.Context(), participant.VerifyRequest{Request: "erasure-1", Subject: who})
	if err != nil {
		t.Fatal(err)
	}
	if !verified.Clean() {
		t.Errorf("the verification found leftovers: %+v", verified.Findings)
	}
	return before, verified
}

// rowsOfPupil are the rows about the pupil, by the database's own columns and not by the map.
func rowsOfPupil(t *testing.T, db *sql.DB, p sample.Person) []sample.Row {
	t.Helper()
	var out []sample.Row
	for _, about := range []struct {
		table, where string
		arg          any
	}{
		{"attendance", "pupil = ?", p.Key},
		{"enrolments", "person = ?", p.Key},
		{"forum_posts", "author = ?", p.Key},
		{"forum_threads", "author = ?", p.Key},
		{"grades", "pupil = ?", p.Key},
		{"logins", "person = ?", p.Key},
		{"messages", "? IN (sender, recipient)", p.Key},
		{"photos", "pupil = ?", p.Key},
		{"submission_files", "submission IN (SELECT id FROM submissions WHERE pupil = ?)", p.Key},
		{"submissions", "pupil = ?", p.Key},
		{"support_tickets", "contact_email = ?", p.Email},
		{"support_tickets", "contact_phone = ?", p.Phone},
		{"users", "id = ?", p.Key},
	} {
		key := "id"
		if about.table == "enrolments" {
			key = "person || '/' || class"
		}
		keys := texts(t, db, "SELECT "+key+" FROM "+about.table+" WHERE "+about.where, about.arg)
		if len(keys) == 0 {
			t.Errorf("the pupil has no row in %s where %s: nothing is shown there", about.table, about.where)
		}
		for _, k := range keys {
			out = append(out, sample.Row{Table: about.table, Key: k})
		}
	}
	return out
}

func TestErasingThePupilLeavesOnlyWhatTheMapKeeps(t *testing.T) {
	t.Parallel()
	path, db := build(t)
	pupil, was := sample.Pupil(), prints(t, db)
	about := rowsOfPupil(t, db, pupil)
	located, verified := eraseAll(t, adapter(t, path), pupil)

	changed := was.Changes(prints(t, db))
	slices.SortFunc(about, func(a, b sample.Row) int {
		return cmp.Or(strings.Compare(a.Table, b.Table), strings.Compare(a.Key, b.Key))
	})
	if diff := gocmp.Diff(about, changed); diff != "" {
		t.Errorf("the rows that changed are not the pupil's (-pupil's +changed):\n%s", diff)
	}

	hits, err := sample.Search(t.Context(), db, pupil.Values()...)
	if err != nil {
		t.Fatal(err)
	}
	left := map[string]int64{}
	for _, h := range hits {
		left[h.Table+"."+h.Column]++
	}
	counts := map[string]int64{}
	for _, c := range located.Counts {
		counts[c.Dataset] = c.Rows
	}
	want := map[string]int64{
		"exam_records.unilogin":  counts["exam-records"],
		"exam_records.full_name": counts["exam-records"],
		"forum_posts.body":       counts["mentions-in-posts"],
		"messages.body":          counts["mentions-in-messages"],
	}
	if diff := gocmp.Diff(want, left); diff != "" {
		t.Errorf("where the pupil is still named (-announced +found):\n%s", diff)
	}
	for place, n := range want {
		if n == 0 {
			t.Errorf("%s: the honest case does not show", place)
		}
	}
	if !slices.ContainsFunc(verified.Findings, func(f participant.Finding) bool { return f.Kept && f.Dataset == "exam-records" }) {
		t.Error("the verification does not name the exam records that are kept")
	}
}

func TestThePlanNamesTheGroundOfWhatStays(t *testing.T) {
	t.Parallel()
	path, _ := build(t)
	d, err := adapter(t, path).Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	kept := map[string]string{}
	for _, ds := range d.Datasets {
		if ds.Erasure == participant.Keep {
			kept[ds.Name] = ds.Ground + ", " + ds.Article
			if ds.Explanation.DA == "" || ds.Explanation.EN == "" {
				t.Errorf("dataset %s is kept without an explanation in both languages", ds.Name)
			}
		}
	}
	want := map[string]string{
		"exam-records":         "LEGAL_OBLIGATION, GDPR art. 17(3)(b)",
		"mentions-in-posts":    "FREEDOM_OF_EXPRESSION, GDPR art. 17(3)(a)",
		"mentions-in-messages": "FREEDOM_OF_EXPRESSION, GDPR art. 17(3)(a)",
	}
	if diff := gocmp.Diff(want, kept); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
}

func TestErasingATeacherLeavesThePupilsRows(t *testing.T) {
	t.Parallel()
	path, db := build(t)
	teacher := sample.Person{Controller: sample.Controller}
	if err := db.QueryRowContext(t.Context(), `SELECT u.id, u.unilogin FROM classes c JOIN users u ON u.id = c.homeroom WHERE c.name = '9a'`).
		Scan(&teacher.Key, &teacher.UniLogin); err != nil {
		t.Fatal(err)
	}
	tables := []string{"grades", "attendance", "photos", "assignments", "courses", "classes"}
	was := map[string]int{}
	for _, table := range tables {
		was[table] = count(t, db, "SELECT count(*) FROM "+table)
	}
	eraseAll(t, adapter(t, path), teacher)
	for _, table := range tables {
		if n := count(t, db, "SELECT count(*) FROM "+table); n != was[table] {
			t.Errorf("%s had %d rows and has %d", table, was[table], n)
		}
	}
	if n := count(t, db, `SELECT count(*) FROM grades WHERE grader = ?`, teacher.Key); n != 0 {
		t.Errorf("%d grades still name the teacher", n)
	}
}

func TestTheOtherSchoolDoesNotReachThePupil(t *testing.T) {
	t.Parallel()
	path, _ := build(t)
	who := subject(sample.Pupil())
	who.Controller = sample.OtherController
	l, err := adapter(t, path).Locate(t.Context(), who)
	if err != nil {
		t.Fatal(err)
	}
	if l.Known || len(l.Further) > 0 {
		t.Error("the other school's request found the pupil")
	}
	for _, c := range l.Counts {
		if c.Rows != 0 {
			t.Errorf("dataset %s has %d rows for the other school", c.Dataset, c.Rows)
		}
	}
}

func TestSharedIdentifiersAreReportedAndNotFollowed(t *testing.T) {
	t.Parallel()
	path, db := build(t)
	a := adapter(t, path)
	l, err := a.Locate(t.Context(), subject(sample.Pupil()))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(l.Shared, func(s participant.SharedIdentifier) bool { return s.Type == participant.Email && s.People > 1 }) {
		t.Errorf("the parent's e-mail address is not reported as shared: %+v", l.Shared)
	}
	var phone string
	if err := db.QueryRowContext(t.Context(), `SELECT phone FROM users GROUP BY phone HAVING count(*) = 2`).Scan(&phone); err != nil {
		t.Fatal(err)
	}
	l, err = a.Locate(t.Context(), participant.Subject{Controller: sample.Controller,
		Identifiers: []participant.Identifier{{Type: participant.Phone, Value: phone}}})
	if err != nil {
		t.Fatal(err)
	}
	if l.Known {
		t.Error("the twins' telephone led to one of them")
	}
}
