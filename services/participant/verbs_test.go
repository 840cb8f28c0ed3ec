package participant_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	participantv1 "github.com/privacyops/privacyops/proto/gen/privacyops/participant/v1"
	typev1 "github.com/privacyops/privacyops/proto/gen/privacyops/type/v1"
	"github.com/privacyops/privacyops/services/participant/sample"
)

func describe(t *testing.T, c participantv1.ParticipantClient) *participantv1.Description {
	t.Helper()
	d, err := c.Describe(t.Context(), &participantv1.DescribeRequest{Participant: sample.System})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	d := describe(t, start(t).as(t, "export"))
	if d.GetSystem() != sample.System || len(d.GetDataMapDigest()) != 64 {
		t.Errorf("system %q, digest %q", d.GetSystem(), d.GetDataMapDigest())
	}
	if want := typev1.Subject_UNILOGIN; len(d.GetAccepts()) == 0 || d.GetAccepts()[0] != want {
		t.Errorf("accepts %v, want %v first", d.GetAccepts(), want)
	}
	if slices.Contains(d.GetProvides(), typev1.Subject_PLATFORM_USER_ID) {
		t.Error("offers the row key, which the map does not offer")
	}
	actions := map[participantv1.Action]int{}
	for _, ds := range d.GetDatasets() {
		actions[ds.GetAction()]++
		if kept := ds.GetAction() == participantv1.Action_KEEP; kept != (ds.GetGround() != "") || kept && ds.GetExplanation().GetDa() == "" {
			t.Errorf("dataset %s: %v on ground %q", ds.GetDataset(), ds.GetAction(), ds.GetGround())
		}
	}
	if actions[participantv1.Action_ACTION_UNSPECIFIED] > 0 || len(actions) != 3 {
		t.Errorf("actions %v, want all three and no other", actions)
	}
}

func TestLocate(t *testing.T) {
	t.Parallel()
	c := start(t).as(t, "erasure")
	l, err := c.Locate(t.Context(), locateRequest())
	if err != nil {
		t.Fatal(err)
	}
	d := describe(t, c)
	if l.GetDataMapDigest() != d.GetDataMapDigest() {
		t.Error("the digest is not that of the description")
	}
	if len(l.GetCounts()) != len(d.GetDatasets()) {
		t.Errorf("%d counts for %d datasets", len(l.GetCounts()), len(d.GetDatasets()))
	}
	pupil, got := sample.Pupil(), map[typev1.Subject_Type]string{}
	for _, id := range l.GetFurtherIdentifiers() {
		got[id.GetType()] = id.GetValue()
	}
	want := map[typev1.Subject_Type]string{typev1.Subject_LOCAL_PERSON_ID: pupil.LocalPersonID,
		typev1.Subject_EMAIL: pupil.Email, typev1.Subject_PHONE: pupil.Phone}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("further identifiers (-want +got):\n%s", diff)
	}
	types := map[typev1.Subject_Type]int64{}
	for _, s := range l.GetSharedIdentifiers() {
		types[s.GetType()] += s.GetPeople()
	}
	if types[typev1.Subject_EMAIL] < 2 || len(types) != len(l.GetSharedIdentifiers()) {
		t.Errorf("shared identifiers %v: want the parent's address, and each type once", l.GetSharedIdentifiers())
	}
}

func TestLocateFindsNobody(t *testing.T) {
	t.Parallel()
	r := locateRequest()
	r.Identifiers[0].Value = "nobody00"
	l, err := start(t).as(t, "erasure").Locate(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range l.GetCounts() {
		if c.GetCount() != 0 {
			t.Errorf("dataset %s has %d rows of nobody", c.GetDataset(), c.GetCount())
		}
	}
}

func TestExport(t *testing.T) {
	t.Parallel()
	c := start(t).as(t, "export")
	stream, err := c.Export(t.Context(), &participantv1.ExportRequest{Participant: sample.System, Controller: sample.Controller, Identifiers: subjects()})
	if err != nil {
		t.Fatal(err)
	}
	chunks, err := collect(stream)
	if err != nil {
		t.Fatal(err)
	}
	columns := map[string][]string{}
	for _, ds := range describe(t, c).GetDatasets() {
		columns[ds.GetDataset()] = ds.GetColumns()
	}
	counts, order := map[string]int64{}, []string{}
	for i, chunk := range chunks {
		if last := i == len(chunks)-1; chunk.GetComplete() != last || !last && len(chunk.GetOmissions()) > 0 {
			t.Errorf("chunk %d of %d: complete %v, %d omissions", i, len(chunks), chunk.GetComplete(), len(chunk.GetOmissions()))
		}
		for _, r := range chunk.GetRecords() {
			if counts[r.GetDataset()]++; counts[r.GetDataset()] == 1 {
				order = append(order, r.GetDataset())
			} else if order[len(order)-1] != r.GetDataset() {
				t.Errorf("records of dataset %s come in several places", r.GetDataset())
			}
			if diff := cmp.Diff(columns[r.GetDataset()], members(t, r.GetJson())); diff != "" {
				t.Errorf("dataset %s: members (-columns +got):\n%s", r.GetDataset(), diff)
			}
		}
	}
	l, err := c.Locate(t.Context(), locateRequest())
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range l.GetCounts() {
		if mention := strings.HasPrefix(n.GetDataset(), "mentions-"); !mention && counts[n.GetDataset()] != n.GetCount() {
			t.Errorf("dataset %s: %d records, %d located", n.GetDataset(), counts[n.GetDataset()], n.GetCount())
		}
	}
	if !slices.ContainsFunc(chunks[len(chunks)-1].GetOmissions(), func(o *participantv1.Omission) bool {
		return o.GetDataset() == "profile" && o.GetColumn() == "guardian_email" && o.GetCount() == 1 && o.GetGround() == "RIGHTS_OF_OTHERS"
	}) {
		t.Error("what was withheld of the parent is not said")
	}
}

// members are the names in a JSON object, in their order.
func members(t *testing.T, object []byte) (out []string) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(string(object)))
	if _, err := d.Token(); err != nil {
		t.Fatal(err)
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, name.(string))
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func TestExportOfSomeDatasets(t *testing.T) {
	t.Parallel()
	stream, err := start(t).as(t, "export").Export(t.Context(), &participantv1.ExportRequest{Participant: sample.System,
		Controller: sample.Controller, Identifiers: subjects(), Datasets: []string{"profile", "photos"}})
	if err != nil {
		t.Fatal(err)
	}
	chunks, err := collect(stream)
	if err != nil || len(chunks) != 1 {
		t.Fatalf("%d chunks, %v", len(chunks), err)
	}
	var got []string
	for _, r := range chunks[0].GetRecords() {
		got = append(got, r.GetDataset())
	}
	if diff := cmp.Diff([]string{"profile", "photos"}, got); diff != "" {
		t.Errorf("datasets (-want +got):\n%s", diff)
	}
}

// eraseRequest erases everything that the map does not keep.
func eraseRequest(t *testing.T, c participantv1.ParticipantClient) *participantv1.EraseRequest {
	t.Helper()
	d := describe(t, c)
	r := &participantv1.EraseRequest{Participant: sample.System, Controller: sample.Controller, FencingToken: 2,
		Request: "controllers/soenderskolen/erasures/1", Identifiers: subjects(), DataMapDigest: d.GetDataMapDigest()}
	for _, ds := range d.GetDatasets() {
		if ds.GetAction() != participantv1.Action_KEEP {
			r.Datasets = append(r.Datasets, ds.GetDataset())
		}
	}
	return r
}

func TestEraseAndVerify(t *testing.T) {
	t.Parallel()
	s := start(t)
	c := s.as(t, "erasure")
	l, err := c.Locate(t.Context(), locateRequest())
	if err != nil {
		t.Fatal(err)
	}
	r := eraseRequest(t, c)
	r.Identifiers = append(r.Identifiers, l.GetFurtherIdentifiers()...)
	first, err := c.Erase(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if len(first.GetDatasets()) != len(l.GetCounts()) {
		t.Errorf("results for %d of %d datasets", len(first.GetDatasets()), len(l.GetCounts()))
	}
	for i, d := range first.GetDatasets() {
		if d.GetLocated() != l.GetCounts()[i].GetCount() || d.GetLocated() != d.GetErased()+d.GetAnonymised()+d.GetKept()+d.GetUnchanged() {
			t.Errorf("the counts do not add up: %v, located %d", d, l.GetCounts()[i].GetCount())
		}
	}
	again, err := c.Erase(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	if first.String() != again.String() {
		t.Error("the same request gave another result")
	}
	v, err := c.Verify(t.Context(), &participantv1.VerifyRequest{Participant: r.GetParticipant(), Controller: r.GetController(),
		Request: r.GetRequest(), Identifiers: r.GetIdentifiers()})
	if err != nil {
		t.Fatal(err)
	}
	if len(v.GetRemaining()) != 0 {
		t.Errorf("left behind: %v", v.GetRemaining())
	}
	kept := map[string]int64{}
	for _, k := range v.GetKept() {
		kept[k.GetDataset()] = k.GetCount()
	}
	if kept["exam-records"] != 2 {
		t.Errorf("kept %v, want the two exam records named", kept)
	}
	hits, err := sample.Search(t.Context(), s.db, sample.Pupil().Email)
	if err != nil || len(hits) != 0 {
		t.Errorf("the e-mail address is still in %v (%v)", hits, err)
	}
}

func TestVerifyNamesWhatIsLeft(t *testing.T) {
	t.Parallel()
	c := start(t).as(t, "erasure")
	r := eraseRequest(t, c)
	r.Datasets = slices.DeleteFunc(r.Datasets, func(d string) bool { return d == "logins" || d == "profile" })
	if _, err := c.Erase(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	// Verified for another request: the platform knows no plan, so its map decides what should be gone.
	v, err := c.Verify(t.Context(), &participantv1.VerifyRequest{Participant: sample.System, Controller: sample.Controller,
		Request: "controllers/soenderskolen/erasures/2", Identifiers: subjects()})
	if err != nil {
		t.Fatal(err)
	}
	left := map[string]bool{}
	for _, m := range v.GetRemaining() {
		left[m.GetDataset()+" "+m.GetFoundBy()] = m.GetCount() > 0
	}
	if !left["logins LINK"] || !left["profile LINK"] || left["grades LINK"] {
		t.Errorf("remaining %v, want logins and profile by link", v.GetRemaining())
	}
}
