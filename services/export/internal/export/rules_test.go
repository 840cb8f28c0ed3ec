package export

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/privacyops/privacyops/libs/keyring"
)

func TestTransitions(t *testing.T) {
	t.Parallel()
	want := map[State]string{
		Pending:    "LOCATING FAILED CANCELLED",
		Locating:   "COLLECTING PARTIAL FAILED CANCELLED",
		Collecting: "PACKAGING PARTIAL FAILED CANCELLED",
		Packaging:  "READY PARTIAL COLLECTING FAILED CANCELLED",
		Ready:      "EXPIRED",
		Partial:    "LOCATING CANCELLED EXPIRED",
	}
	for _, from := range States() {
		allowed := strings.Fields(want[from])
		for _, to := range States() {
			e := &Export{State: from}
			err := e.move(to)
			if ok := slices.Contains(allowed, string(to)); ok != (err == nil) {
				t.Errorf("%s to %s: %v", from, to, err)
			}
			if err != nil && e.State != from {
				t.Errorf("%s to %s was refused and done", from, to)
			}
		}
	}
	if State("").Valid() || State("DONE").Valid() || !Ready.Valid() {
		t.Error("Valid is wrong about a state")
	}
}

func TestNamesRoundTrip(t *testing.T) {
	t.Parallel()
	ref := Ref{"north", "0190d3c0-0000-7000-8000-000000000001"}
	if got, err := ParseName(ref.Name()); err != nil || got != ref {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "controllers/north", "controllers//exports/x", "controllers/north/exports/", "controllers/a/exports/b/c", "x/a/exports/b"} {
		if _, err := ParseName(bad); err == nil {
			t.Errorf("%q passes", bad)
		}
	}
}

func keys(t *testing.T) *keyring.Keyring {
	t.Helper()
	k, err := keyring.New(bytes.Repeat([]byte{3}, keyring.KeySize))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestNewSealsIdentifiers(t *testing.T) {
	t.Parallel()
	k, now := keys(t), time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	request := Request{Ref: Ref{"north", "x"}, Received: now, Due: now.Add(time.Hour), Now: now, Identifiers: []Identifier{
		{"UNILOGIN", "A\u030Ase"}, {"EMAIL", "aase@example.org"}, {"UNILOGIN", "\u00C5se"}}} // å in its two forms
	w, err := New(k, request)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(w.Identifiers.Data, []byte("example")) {
		t.Error("an identifier is readable")
	}
	ids, err := w.identifiers(k)
	if diff := cmp.Diff([]Identifier{{"UNILOGIN", "\u00C5se"}, {"EMAIL", "aase@example.org"}}, ids); diff != "" || err != nil {
		t.Errorf("identifiers (%v): %s", err, diff)
	}
	if w.SubjectRef != k.Subject("north", "UNILOGIN", "\u00C5se") || len(w.Refs) != 2 {
		t.Errorf("pseudonyms %v", w.Refs)
	}
	if !w.RetryUntil.Equal(now.Add(minimumRetry)) {
		t.Errorf("a late request is tried until %s", w.RetryUntil)
	}
	if got := fmt.Sprintf("%v %+v %s", request, ids, ids[0]); strings.Contains(got, "example.org") {
		t.Error("formatting an identifier shows it")
	}
	w.end()
	if _, err := w.identifiers(k); err == nil {
		t.Error("identifiers open after the end")
	}
	if _, err := New(k, Request{Ref: request.Ref}); err == nil {
		t.Error("a request about nobody passes")
	}
}

// world is a set of systems that know people by identifiers: each knows pairs, and names the second when asked with the first.
func (w world) ask(_ context.Context, s SystemID, ids []Identifier) (Location, error) {
	if w.down[s] {
		return Location{}, errors.New("down")
	}
	var l Location
	for _, id := range ids {
		l.Further = append(l.Further, w.leads[s][id]...)
	}
	return l, nil
}

type world struct {
	leads map[SystemID]map[Identifier][]Identifier
	down  map[SystemID]bool
}

func TestResolve(t *testing.T) {
	t.Parallel()
	a, b, c, d := Identifier{"UNILOGIN", "a"}, Identifier{"EMAIL", "b"}, Identifier{"PHONE", "c"}, Identifier{"EMAIL", "d"}
	w := world{leads: map[SystemID]map[Identifier][]Identifier{
		"lms": {a: {b}, c: {d}}, "desk": {b: {c, a, {"EMAIL", ""}, {"EMAIL", "x\x00"}}},
	}}
	r := resolve(context.Background(), []SystemID{"desk", "lms"}, []Identifier{a}, w.ask)
	if diff := cmp.Diff([]Identifier{a, b, c, d}, r.identifiers); diff != "" || !r.complete || r.rounds != 4 {
		t.Errorf("rounds %d, complete %v: %s", r.rounds, r.complete, diff)
	}
	w.down = map[SystemID]bool{"desk": true}
	r = resolve(context.Background(), []SystemID{"desk", "lms"}, []Identifier{a}, w.ask)
	if len(r.identifiers) != 2 || r.failed["desk"] == nil || !r.complete {
		t.Errorf("with a system down: %v, failed %v", r.identifiers, r.failed)
	}
}

func TestResolveEnds(t *testing.T) {
	t.Parallel()
	n := 0
	endless := func(context.Context, SystemID, []Identifier) (Location, error) {
		n++
		return Location{Further: []Identifier{{"EMAIL", fmt.Sprint(n)}}, Shared: []SharedIdentifier{{Type: "PHONE", People: 2}}}, nil
	}
	r := resolve(context.Background(), []SystemID{"lms"}, []Identifier{{"EMAIL", "x"}}, endless)
	if r.rounds != maxRounds || r.complete {
		t.Errorf("rounds %d, complete %v", r.rounds, r.complete)
	}
	grounds := ""
	for _, o := range r.omissions([]SystemID{"lms"}) {
		grounds += o.Ground + " "
	}
	if grounds != GroundShared+" "+GroundSearchLimit+" " {
		t.Errorf("reported: %s", grounds)
	}
	flood := func(context.Context, SystemID, []Identifier) (Location, error) {
		var l Location
		for i := range 1000 {
			l.Further = append(l.Further, Identifier{"EMAIL", fmt.Sprint(i)})
		}
		return l, nil
	}
	if r := resolve(context.Background(), []SystemID{"lms"}, nil, flood); len(r.identifiers) != maxIdentifiers || r.complete {
		t.Errorf("%d identifiers, complete %v", len(r.identifiers), r.complete)
	}
}

func TestResolveFindsTheClosure(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.Custom(func(t *rapid.T) Identifier { return Identifier{"EMAIL", rapid.StringMatching("[a-f]").Draw(t, "id")} })
		systems := []SystemID{"a", "b", "c"}
		w := world{leads: map[SystemID]map[Identifier][]Identifier{}}
		for _, s := range systems {
			w.leads[s] = rapid.MapOfN(id, rapid.SliceOfN(id, 0, 2), 0, 4).Draw(t, string(s))
		}
		first := id.Draw(t, "first")
		r := resolve(context.Background(), systems, []Identifier{first}, w.ask)
		closure := map[Identifier]bool{first: true}
		for grown := true; grown; {
			grown = false
			for _, leads := range w.leads {
				for from, to := range leads {
					for _, x := range to {
						if closure[from] && !closure[x] {
							closure[x], grown = true, true
						}
					}
				}
			}
		}
		for _, i := range r.identifiers {
			if !closure[i] {
				t.Fatalf("%s is not reachable", i.Value)
			}
		}
		if r.complete && len(r.identifiers) != len(closure) {
			t.Fatalf("complete with %d of %d", len(r.identifiers), len(closure))
		}
	})
}

func TestPortable(t *testing.T) {
	t.Parallel()
	d := Description{Datasets: []Dataset{
		{Name: "consented", Activity: "c", SubjectProvided: true}, {Name: "contracted", Activity: "k", SubjectProvided: true},
		{Name: "observed", Activity: "c"}, {Name: "task", Activity: "p", SubjectProvided: true}, {Name: "stray", Activity: "?", SubjectProvided: true},
	}}
	activities := []Activity{{ID: "c", LegalBasis: Consent}, {ID: "k", LegalBasis: Contract}, {ID: "p", LegalBasis: "PUBLIC_TASK"}}
	sets, omitted := portable("lms", d, activities, map[string]int64{"observed": 3, "hidden": 9})
	if diff := cmp.Diff([]string{"consented", "contracted"}, sets); diff != "" {
		t.Error(diff)
	}
	want := []Omission{
		{System: "lms", Dataset: "observed", Count: 3, Ground: GroundNotProvided, Article: articlePortability},
		{System: "lms", Dataset: "task", Ground: GroundOtherBasis, Article: articlePortability},
		{System: "lms", Dataset: "stray", Ground: GroundUnknownActivity, Article: articlePortability},
		{System: "lms", Dataset: "hidden", Count: 9, Ground: GroundUnknownActivity, Article: articlePortability},
	}
	if diff := cmp.Diff(want, omitted); diff != "" {
		t.Error(diff)
	}
}

type heap struct{ records []string }

func (h *heap) Record(d string, o []byte) error {
	h.records = append(h.records, d+string(o))
	return nil
}
func (h *heap) Keep(map[string][]string) error { return nil }
func (h *heap) Drop()                          {}

func TestSinkChecks(t *testing.T) {
	t.Parallel()
	type rec struct{ dataset, object string }
	for name, c := range map[string]struct {
		records []rec
		allowed map[string]bool
		refused string
	}{
		"good":               {records: []rec{{"a", `{}`}, {"a", ` {"x":[1]}`}, {"b", `{"y":null}`}}},
		"no dataset":         {records: []rec{{"", `{}`}}, refused: "names no dataset"},
		"long name":          {records: []rec{{strings.Repeat("x", 300), `{}`}}, refused: "impossible name"},
		"apart":              {records: []rec{{"a", `{}`}, {"b", `{}`}, {"a", `{}`}}, refused: "did not come together"},
		"an array":           {records: []rec{{"a", `[]`}}, refused: "not a JSON object"},
		"two objects":        {records: []rec{{"a", `{}{}`}}, refused: "not a JSON object"},
		"nothing":            {records: []rec{{"a", ``}}, refused: "not a JSON object"},
		"broken UTF-8":       {records: []rec{{"a", "{\"x\":\"\xff\"}"}}, refused: "not a JSON object"},
		"not asked for":      {records: []rec{{"a", `{}`}}, allowed: map[string]bool{"b": true}, refused: "not asked for"},
		"asked for, allowed": {records: []rec{{"b", `{}`}}, allowed: map[string]bool{"b": true}},
	} {
		h := &heap{}
		s := &sink{intake: h, seen: map[string]bool{}, allowed: c.allowed}
		var err error
		for _, r := range c.records {
			if err = s.Record(r.dataset, []byte(r.object)); err != nil {
				break
			}
		}
		switch {
		case c.refused == "" && (err != nil || int(s.records) != len(c.records)):
			t.Errorf("%s: %v after %d records", name, err, s.records)
		case c.refused != "" && (err == nil || !strings.Contains(Message(err), c.refused)):
			t.Errorf("%s: %v, want a refusal that says %q", name, err, c.refused)
		}
	}
	if got := Message(errors.New("SELECT name FROM pupils")); strings.Contains(got, "SELECT") {
		t.Error("an unknown error's text is shown")
	}
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	for failures, want := range map[int]time.Duration{1: 10 * time.Second, 2: 20 * time.Second, 7: 640 * time.Second, 8: 15 * time.Minute, 100: 15 * time.Minute} {
		if got := backoff(failures); got != want {
			t.Errorf("after %d failures %s, want %s", failures, got, want)
		}
	}
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	w := &Work{Export: Export{RetryUntil: now.Add(time.Second)}}
	if w.wait(now, backoff); !w.Next.Equal(w.RetryUntil) {
		t.Errorf("the next attempt is at %s, after the last", w.Next)
	}
}

func TestManifestCounts(t *testing.T) {
	t.Parallel()
	m := newManifest(&Work{Export: Export{Ref: Ref{"north", "x"}, Systems: []System{{System: "lms", State: SystemDone}, {System: "desk", State: SystemFailed}}}},
		Snapshot{Controller: Controller{Jurisdiction: "SE"}, Activities: []Activity{{Locations: []string{"DK", "US", "IS"}}},
			Systems: []RegisteredSystem{{ID: "lms", Location: "DK", OperatedBy: "us"}}},
		map[SystemID]Description{"lms": {Datasets: []Dataset{{Name: "empty"}, {Name: "some", Category: "usage"}}}}, nil, time.Time{})
	m.Fill([]File{{System: "lms", Dataset: "some", Records: 4}, {System: "lms", Dataset: "some", Records: 4}, {System: "lms", Dataset: "extra", Records: 2}, {Path: "README.html"}})
	want := []ManifestDataset{{Dataset: "some", Category: "usage", Records: 4}, {Dataset: "extra", Records: 2}}
	if diff := cmp.Diff(want, m.Systems[0].Datasets); diff != "" {
		t.Error(diff)
	}
	if m.Complete || m.Systems[0].Location != "DK" {
		t.Errorf("complete %v, location %q", m.Complete, m.Systems[0].Location)
	}
	if diff := cmp.Diff([]string{"US"}, m.Information.ThirdCountries); diff != "" {
		t.Error(diff)
	}
	if got := m.Information.Complaint; got.Authority == "Datatilsynet" || got.Web == "" {
		t.Errorf("complaint %v", got)
	}
	m.Fill(m.Files) // the draft fills twice
	if diff := cmp.Diff(want, m.Systems[0].Datasets); diff != "" {
		t.Errorf("filled twice: %s", diff)
	}
}

func TestChanges(t *testing.T) {
	t.Parallel()
	var c Changes
	ref, other := Ref{"north", "x"}, Ref{"north", "y"}
	changed, stop := c.Watch(ref)
	c.Tell(other)
	select {
	case <-changed:
		t.Error("told of another export")
	default:
	}
	c.Tell(ref)
	c.Tell(ref)
	<-changed
	stop()
	c.Tell(ref)
	select {
	case <-changed:
		t.Error("told after stop, or twice of changes that came together")
	default:
	}
	if len(c.watchers) != 0 {
		t.Error("a watcher that has gone is kept")
	}
}
