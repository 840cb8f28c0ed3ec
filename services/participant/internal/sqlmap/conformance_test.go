package sqlmap

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/services/participant/internal/participant"
)

var ann = subject("UNILOGIN", "u1001")

// lost lists what is in a and not in b.
func lost(a, b map[string]int) []string {
	var out []string
	for row, n := range a {
		if b[row] < n {
			out = append(out, row[:strings.Index(row, " ")])
		}
	}
	slices.Sort(out)
	return out
}

func mustErase(t *testing.T, a *Adapter, r participant.EraseRequest) map[string]string {
	t.Helper()
	got, err := a.Erase(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	return counts(got)
}

func verify(t *testing.T, a *Adapter, id string, s participant.Subject) participant.VerifyResult {
	t.Helper()
	got, err := a.Verify(context.Background(), participant.VerifyRequest{Request: id, Subject: s})
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	a := newWorld(t, SQLite).school()
	d, err := a.Describe(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if d.System != "school" || d.DataMapDigest != a.plan.m.Digest() || len(d.Datasets) != 10 {
		t.Errorf("system %q, digest %q, %d datasets", d.System, d.DataMapDigest, len(d.Datasets))
	}
	if !slices.Equal(d.Accepts, []participant.IdentifierType{"UNILOGIN", "EMAIL", "PLATFORM_USER_ID"}) ||
		!slices.Equal(d.Provides, []participant.IdentifierType{"UNILOGIN", "EMAIL"}) {
		t.Errorf("accepts %v, provides %v", d.Accepts, d.Provides)
	}
	want := participant.Dataset{Name: "grades-given", Table: "grades", Category: "ASSESSMENT", Activity: "teaching",
		Erasure: participant.Anonymise, Columns: []string{"course", "grader"}, Withheld: []participant.Withheld{
			{Column: "pupil", Ground: "RIGHTS_OF_OTHERS", Article: "GDPR art. 15(4)"},
			{Column: "grade", Ground: "RIGHTS_OF_OTHERS", Article: "GDPR art. 15(4)"},
			{Column: "remark", Ground: "INTERNAL", Article: "GDPR art. 23"}}}
	if diff := cmp.Diff(want, d.Datasets[4]); diff != "" {
		t.Errorf("a dataset (-want +got):\n%s", diff)
	}
	if m := d.Datasets[9]; !m.Mention || m.Erasure != participant.Keep || m.Ground == "" || m.Explanation.DA == "" {
		t.Errorf("the mention is %+v", m)
	}
}

func TestLocate(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		a := w.school()
		got, err := a.Locate(context.Background(), ann)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]int64{"user": 1, "submissions": 2, "texts": 2, "grades": 1, "grades-given": 0, "posts": 1,
			"notes": 2, "bills": 1, "bills-paid": 1, "named-in-posts": 1}
		have := map[string]int64{}
		for _, c := range got.Counts {
			have[c.Dataset] = c.Rows
		}
		if diff := cmp.Diff(want, have); diff != "" {
			t.Errorf("counts (-want +got):\n%s", diff)
		}
		if !got.Known || !slices.Equal(got.Further, subject("EMAIL", "ann@x.example").Identifiers) {
			t.Errorf("known %t, %d further identifiers", got.Known, len(got.Further))
		}
		if diff := cmp.Diff([]participant.SharedIdentifier{{Type: "EMAIL", Dataset: "user", People: 2}}, got.Shared); diff != "" {
			t.Errorf("shared (-want +got):\n%s", diff)
		}
	})
}

func TestExport(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		a := w.school()
		var got []string
		omitted, err := a.Export(context.Background(), participant.ExportRequest{Subject: subject("UNILOGIN", "u1003")}, func(r participant.Record) error {
			line := r.Dataset + " " + r.Key
			for _, c := range r.Columns {
				line += fmt.Sprintf(" %s=%s", c.Name, c.Value)
			}
			got = append(got, line)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		want := []string{
			`user 3 id=3 school="c1" username="u1003" email="cy@x.example" parent_email=null display_name="Cy Lund" born=null`,
			`grades 3/math pupil=3 course="math" grade=2 remark="self"`,
			`grades-given 1/math course="math" grader=3`, `grades-given 2/math course="math" grader=3`, `grades-given 3/math course="math" grader=3`,
			`posts 3 id=3 author=3 message="Ann Ravnsborg is another"`, `posts 4 id=4 author=3 message="no name"`,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("records (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]participant.Omission{
			{Dataset: "grades", Column: "grader", Count: 1, Ground: "RIGHTS_OF_OTHERS", Article: "GDPR art. 15(4)"},
			{Dataset: "grades-given", Column: "pupil", Count: 3, Ground: "RIGHTS_OF_OTHERS", Article: "GDPR art. 15(4)"},
			{Dataset: "grades-given", Column: "grade", Count: 3, Ground: "RIGHTS_OF_OTHERS", Article: "GDPR art. 15(4)"},
			{Dataset: "grades-given", Column: "remark", Count: 2, Ground: "INTERNAL", Article: "GDPR art. 23"},
		}, omitted); diff != "" {
			t.Errorf("omissions (-want +got):\n%s", diff)
		}
	})
}

// An error of the receiver stops the export and comes back; datasets can be chosen.
func TestExportStops(t *testing.T) {
	t.Parallel()
	a := newWorld(t, SQLite).school()
	full, n := errors.New("the disk is full"), 0
	_, err := a.Export(context.Background(), participant.ExportRequest{Subject: ann}, func(participant.Record) error { n++; return full })
	if !errors.Is(err, full) || n != 1 {
		t.Errorf("error %v after %d records", err, n)
	}
	_, err = a.Export(context.Background(), participant.ExportRequest{Subject: ann, Datasets: []string{"notes"}}, func(r participant.Record) error {
		if r.Dataset != "notes" {
			t.Errorf("a record of %s", r.Dataset)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if _, err = a.Export(context.Background(), participant.ExportRequest{Subject: ann, Datasets: []string{"x"}}, nil); !errors.Is(err, participant.ErrInvalid) {
		t.Errorf("an unknown dataset: %v", err)
	}
}

func TestErase(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		a := w.school()
		before := w.rows()
		r := request(t, a, "e1", ann)
		got := mustErase(t, a, r)
		want := map[string]string{
			"user":        "located 1 erased 1 anonymised 0 kept 0 unchanged 0",
			"submissions": "located 2 erased 2 anonymised 0 kept 0 unchanged 0",
			"texts":       "located 2 erased 2 anonymised 0 kept 0 unchanged 0",
			"grades":      "located 1 erased 1 anonymised 0 kept 0 unchanged 0",
			"posts":       "located 1 erased 0 anonymised 1 kept 0 unchanged 0",
			"notes":       "located 2 erased 2 anonymised 0 kept 0 unchanged 0",
			"bills":       "located 1 erased 0 anonymised 0 kept 1 unchanged 0",
			"bills-paid":  "located 1 erased 0 anonymised 1 kept 0 unchanged 0", "named-in-posts": "located 1 erased 0 anonymised 0 kept 1 unchanged 0",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("counts (-want +got):\n%s", diff)
		}
		after := w.rows()
		if diff := cmp.Diff([]string{"bills", "grades", "notes", "notes", "posts", "submissions", "submissions", "texts", "texts", "users"}, lost(before, after)); diff != "" {
			t.Errorf("rows lost or changed (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"bills", "posts"}, lost(after, before)); diff != "" {
			t.Errorf("rows new or changed (-want +got):\n%s", diff)
		}
		if n := w.number(`SELECT count(*) FROM posts WHERE id = 1 AND author = 0 AND message = 'erased-1'`); n != 1 {
			t.Error("the post was not anonymised")
		}

		if diff := cmp.Diff(want, mustErase(t, a, r)); diff != "" {
			t.Errorf("the same request again (-want +got):\n%s", diff)
		}
		found := verify(t, a, "e1", ann)
		if !found.Clean() || len(found.Findings) != 1 || found.Findings[0].Dataset != "bills" {
			t.Errorf("Verify finds %+v", found.Findings)
		}
		if diff := cmp.Diff(want, mustErase(t, a, r)); diff != "" {
			t.Errorf("the same request after the ledger was purged (-want +got):\n%s", diff)
		}
		for i, s := range []participant.Subject{ann, subject("UNILOGIN", "nobody")} {
			id := fmt.Sprintf("again-%d", i)
			if got := mustErase(t, a, request(t, a, id, s)); len(got) > 0 {
				t.Errorf("erasing somebody who is not there: %v", got)
			}
			verify(t, a, id, s)
		}
		if diff := cmp.Diff(after, w.rows()); diff != "" {
			t.Error("an erasure without a subject changed rows")
		}
		w.nothingPersonal()
	})
}

// nothingPersonal checks that the purged ledger holds no keys and no identifiers.
func (w *world) nothingPersonal() {
	w.Helper()
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(w.ledger + suffix)
		if err != nil && suffix == "" {
			w.Fatal(err)
		}
		if strings.Contains(string(b), "u1001") { // notes are keyed by the user name
			w.Errorf("the ledger file %q still holds a user name", suffix)
		}
	}
	if info, err := os.Stat(w.ledger); err != nil || info.Mode().Perm() != 0o600 {
		w.Errorf("the ledger has mode %v, %v", info.Mode(), err)
	}
}

// What was not approved is kept, and what is kept outranks another dataset's delete.
func TestPartialApproval(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		a := w.school()
		cy := subject("UNILOGIN", "u1003")
		r := request(t, a, "e1", cy)
		r.Datasets = []string{"grades-given", "user"} // grades are on hold
		got := mustErase(t, a, r)
		if diff := cmp.Diff(map[string]string{
			"user":         "located 1 erased 1 anonymised 0 kept 0 unchanged 0",
			"grades":       "located 1 erased 0 anonymised 0 kept 1 unchanged 0",
			"grades-given": "located 3 erased 0 anonymised 2 kept 0 unchanged 1",
			"posts":        "located 2 erased 0 anonymised 0 kept 2 unchanged 0",
		}, got); diff != "" {
			t.Errorf("counts (-want +got):\n%s", diff)
		}
		if n := w.number(`SELECT grader FROM grades WHERE pupil = 3`); n != 3 {
			t.Error("a row that is kept was changed through another dataset")
		}
		found := verify(t, a, "e1", cy)
		if !found.Clean() {
			t.Errorf("Verify finds %+v", found.Findings)
		}
	})
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, SQLite)
	a := w.school()
	before := w.rows()
	good := request(t, a, "e1", ann)
	for name, c := range map[string]struct {
		edit func(*participant.EraseRequest)
		want error
	}{
		"no request":     {func(r *participant.EraseRequest) { r.Request = "" }, participant.ErrInvalid},
		"no token":       {func(r *participant.EraseRequest) { r.FencingToken = 0 }, participant.ErrInvalid},
		"no identifier":  {func(r *participant.EraseRequest) { r.Subject.Identifiers = nil }, participant.ErrInvalid},
		"empty value":    {func(r *participant.EraseRequest) { r.Subject = subject("EMAIL", "") }, participant.ErrInvalid},
		"other digest":   {func(r *participant.EraseRequest) { r.DataMapDigest = strings.Repeat("0", 64) }, participant.ErrDataMapChanged},
		"unknown action": {func(r *participant.EraseRequest) { r.Datasets = []string{"x"} }, participant.ErrDataMapChanged},
	} {
		r := good
		c.edit(&r)
		if _, err := a.Erase(context.Background(), r); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if diff := cmp.Diff(before, w.rows()); diff != "" {
		t.Error("a refused request changed rows")
	}
	good.FencingToken = 5
	mustErase(t, a, good)
	for _, c := range []struct {
		name string
		edit func(*participant.EraseRequest)
		want error
	}{
		{"lower token", func(r *participant.EraseRequest) { r.FencingToken = 4 }, participant.ErrFenced},
		{"other subject", func(r *participant.EraseRequest) { r.Subject = subject("UNILOGIN", "u1002") }, participant.ErrRequestReused},
		{"other controller", func(r *participant.EraseRequest) { r.Subject.Controller = "c2" }, participant.ErrRequestReused},
		{"other plan", func(r *participant.EraseRequest) { r.Datasets = r.Datasets[:2] }, participant.ErrRequestReused},
		{"higher token", func(r *participant.EraseRequest) { r.FencingToken = 9 }, nil},
		{"token of before", func(*participant.EraseRequest) {}, participant.ErrFenced},
	} {
		r := good
		c.edit(&r)
		if _, err := a.Erase(context.Background(), r); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		a := w.school()
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		before := w.rows()
		if _, err := a.Erase(ctx, request(t, a, "e1", ann)); !errors.Is(err, context.Canceled) {
			t.Errorf("Erase: %v", err)
		}
		if _, err := a.Locate(ctx, ann); !errors.Is(err, context.Canceled) {
			t.Errorf("Locate: %v", err)
		}
		if diff := cmp.Diff(before, w.rows()); diff != "" {
			t.Error("a cancelled erasure changed rows")
		}
	})
}

// The same request from many callers at once has one effect and one answer, while
// another person is erased beside it.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, w *world) {
		a := w.school()
		var wg sync.WaitGroup
		results := make([]map[string]string, 8)
		for i := range results {
			r := request(t, a, "e1", ann)
			if i == 7 {
				r = request(t, a, "e2", subject("UNILOGIN", "u1002"))
			}
			wg.Go(func() {
				got, err := a.Erase(context.Background(), r)
				if err != nil {
					t.Error(err)
				}
				results[i] = counts(got)
			})
		}
		wg.Wait()
		for i, got := range results[:7] {
			if got["texts"] != "located 2 erased 2 anonymised 0 kept 0 unchanged 0" {
				t.Errorf("caller %d: %v", i, got)
			}
		}
		if results[7]["texts"] != "located 1 erased 1 anonymised 0 kept 0 unchanged 0" {
			t.Errorf("the other person: %v", results[7])
		}
		if n := w.number(`SELECT count(*) FROM users`); n != 2 {
			t.Errorf("%d people are left, want 2", n)
		}
	})
}
