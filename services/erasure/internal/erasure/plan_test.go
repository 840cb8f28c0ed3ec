package erasure

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/privacyops/privacyops/libs/fault"
)

var grounds = []Ground{ConsentWithdrawn, NoLongerNecessary, ObjectionUpheld, Unlawful, LegalObligation, ChildService, Retention, ContractEnd}

// reached lists the legal bases that a ground reaches; the others keep the data.
var reached = map[Ground][]string{
	ConsentWithdrawn: {"CONSENT"}, ChildService: {"CONSENT"}, ObjectionUpheld: {"PUBLIC_TASK", "LEGITIMATE_INTERESTS"},
}

// TestDecide tries every ground with every legal basis, protected or not, kept by the system's own map or not, in the register or not.
func TestDecide(t *testing.T) {
	t.Parallel()
	bases := []string{"CONSENT", "CONTRACT", "LEGAL_OBLIGATION", "VITAL_INTERESTS", "PUBLIC_TASK", "LEGITIMATE_INTERESTS"}
	own := Text{EN: "own"}
	for _, ground := range grounds {
		for _, basis := range bases {
			for n := range 16 {
				protected, kept, known, anonymise := n&1 > 0, n&2 > 0, n&4 > 0, n&8 > 0
				d := Dataset{Name: "set", Activity: "a", Action: Erase, Ground: "own", Article: "own", Explanation: own}
				if anonymise {
					d.Action = Anonymise
				}
				if kept {
					d.Action = Keep
				}
				a := Activity{ID: "a", LegalBasis: basis, Protected: protected, ProtectionGround: "Archives Act"}
				if !known {
					a = Activity{}
				}
				got := decide(ground, Finding{System: System{ID: "s"}, Counts: map[string]int64{"set": 7}}, d, a, known)
				want := Item{System: "s", Dataset: "set", Activity: "a", Count: 7, Action: d.Action,
					Ground: string(ground), Article: ground.article(), Explanation: ground.text()}
				only := reached[ground]
				switch {
				case kept:
					want.Ground, want.Article, want.Explanation = "own", "own", own
				case known && protected:
					want.Action, want.Ground, want.Article, want.Explanation = Keep, "Archives Act", "GDPR art. 17(3)(b)", protectedText("Archives Act")
				case known && only != nil && !slices.Contains(only, basis):
					want.Action, want.Ground, want.Article, want.Explanation = Keep, "OTHER_LEGAL_BASIS", ground.article(), otherBasisText
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatalf("%s, %s, protected %v, kept %v, known %v (-want +got):\n%s", ground, basis, protected, kept, known, diff)
				}
				if got.Explanation.DA == "" && !kept || got.Article == "" {
					t.Fatalf("%s: no explanation or article: %+v", ground, got)
				}
			}
		}
	}
}

func TestAProtectionWithoutAGroundIsStillNamed(t *testing.T) {
	t.Parallel()
	i := decide(Unlawful, Finding{}, Dataset{Name: "set", Action: Erase}, Activity{Protected: true}, true)
	if i.Action != Keep || i.Ground != "PROTECTED" {
		t.Errorf("decided %+v", i)
	}
}

func TestPlanWarnings(t *testing.T) {
	t.Parallel()
	w := newWorld(t, newSystem("lms", 1, rows("a", "nowhere", Erase, 1), rows("b", "nowhere", Erase, 1), rows("c", "teaching", Erase, 0)))
	e := w.advance()
	if len(e.Plan.Warnings) != 1 || !strings.Contains(e.Plan.Warnings[0], `"nowhere"`) {
		t.Errorf("warnings %q, want one of the unknown activity", e.Plan.Warnings)
	}
	if e.Plan.Found() != 2 || e.Plan.Total() != 2 {
		t.Errorf("found %d, total %d", e.Plan.Found(), e.Plan.Total())
	}
}

func TestSharedIdentifiersAreReported(t *testing.T) {
	t.Parallel()
	x := lms(1)
	x.shared = []SharedIdentifier{{"PHONE", 3}}
	e := newWorld(t, x).advance()
	if diff := cmp.Diff([]Shared{{"lms", "PHONE", 3}}, e.Plan.Shared); diff != "" {
		t.Error(diff)
	}
}

func drawInput(t *rapid.T) PlanInput {
	word := rapid.StringMatching(`[a-z]{1,4}`)
	in := PlanInput{Controller: "north", SubjectRef: "sub_1", Ground: rapid.SampledFrom(grounds).Draw(t, "ground"), Now: start,
		Register: Register{Activities: []Activity{{ID: "a", LegalBasis: "CONSENT"}, {ID: "b", LegalBasis: "CONTRACT", Protected: true, ProtectionGround: "x"}}}}
	for i := range rapid.IntRange(1, 4).Draw(t, "systems") {
		f := Finding{System: System{ID: fmt.Sprintf("%s%d", word.Draw(t, "id"), i), Participant: word.Draw(t, "participant"), Mandatory: rapid.Bool().Draw(t, "mandatory"),
			Order: rapid.IntRange(0, 2).Draw(t, "order")}, Description: Description{DataMapDigest: word.Draw(t, "digest")}, Counts: map[string]int64{}}
		for j := range rapid.IntRange(1, 3).Draw(t, "sets") {
			name := fmt.Sprintf("%s%d", word.Draw(t, "set"), j)
			f.Description.Datasets = append(f.Description.Datasets, Dataset{Name: name, Activity: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "activity"),
				Action: rapid.SampledFrom([]Action{Erase, Anonymise}).Draw(t, "action")})
			f.Counts[name] = rapid.Int64Range(0, 9).Draw(t, "count")
		}
		in.Findings = append(in.Findings, f)
	}
	return in
}

// The same input gives the same hash, in whatever order the systems answered and whenever it was; and every change of what is
// approved gives another one.
func TestPlanHash(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t)
		plan := BuildPlan(in)
		same := in
		same.Findings = rapid.Permutation(in.Findings).Draw(t, "permutation")
		same.Now = start.Add(time.Hour)
		same.Doubts = []Residual{{System: "s", Count: 1}}
		if again := BuildPlan(same); again.Hash != plan.Hash || !cmp.Equal(again.Items, plan.Items) {
			t.Fatalf("the order of answers changes the plan:\n%s", cmp.Diff(plan, again))
		}
		n := rapid.IntRange(0, len(in.Findings)-1).Draw(t, "which")
		f := &in.Findings[n]
		d := &f.Description.Datasets[0]
		change := rapid.SampledFrom([]string{"system", "participant", "mandatory", "order", "digest", "count", "action", "dataset", "activity", "person",
			"controller", "ground", "a system less", "a dataset less", "shared"}).Draw(t, "change")
		switch change {
		case "system":
			f.System.ID += "x"
		case "participant":
			f.System.Participant += "x"
		case "mandatory":
			f.System.Mandatory = !f.System.Mandatory
		case "order":
			f.System.Order += 10
		case "digest":
			f.Description.DataMapDigest += "x"
		case "count":
			f.Counts[d.Name]++
		case "action":
			d.Action, d.Ground, d.Article = Keep, "g", "a"
		case "dataset":
			f.Counts[d.Name+"x"] = f.Counts[d.Name]
			d.Name += "x"
		case "activity":
			d.Activity += "x"
		case "person":
			in.SubjectRef = "sub_2"
		case "controller":
			in.Controller = "south"
		case "ground":
			in.Ground = grounds[(slices.Index(grounds, in.Ground)+1)%len(grounds)]
		case "a system less":
			in.Findings = slices.Delete(in.Findings, n, n+1)
		case "a dataset less":
			f.Description.Datasets = f.Description.Datasets[1:]
		case "shared":
			f.Shared = append(f.Shared, SharedIdentifier{"EMAIL", 2})
		}
		if BuildPlan(in).Hash == plan.Hash {
			t.Fatalf("another %s has the same hash", change)
		}
	})
}

// What was planned can be told again from the plan, and nothing drifts by telling it.
func TestRememberedFindings(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t)
		in.Findings[0].Shared = []SharedIdentifier{{"PHONE", 2}}
		plan := BuildPlan(in)
		again := in
		again.Findings = nil
		for _, s := range plan.Systems {
			f, ok := plan.remembered(s.System)
			if !ok {
				t.Fatalf("%s is forgotten", s.System)
			}
			again.Findings = append(again.Findings, f)
		}
		if fresh := BuildPlan(again); fresh.Hash != plan.Hash || Drift(plan, fresh) != "" {
			t.Fatalf("remembering changes the plan: %s\n%s", Drift(plan, fresh), cmp.Diff(plan, fresh))
		}
	})
	if _, ok := (Plan{}).remembered("nobody"); ok {
		t.Error("a system that was never asked is remembered")
	}
}

func TestSilentSystems(t *testing.T) {
	t.Parallel()
	silent := fault.New(fault.Unavailable, "X", "It is away.")
	in := PlanInput{Register: Register{Systems: []System{{ID: "b"}, {ID: "a"}, {ID: "c"}}},
		Failures: map[string]*fault.Error{"a": silent, "b": silent}}
	p := BuildPlan(in)
	if diff := cmp.Diff([]Unasked{{"a", "It is away."}, {"b", "It is away."}}, p.Unasked); diff != "" || len(p.Warnings) != 2 {
		t.Errorf("warnings %q, left out:\n%s", p.Warnings, diff)
	}
}

func TestThePersonsOwnRecordStaysWithWhatRefersToIt(t *testing.T) {
	t.Parallel()
	register := Register{Activities: []Activity{{ID: "photos", LegalBasis: "CONSENT"}, {ID: "teaching", LegalBasis: "PUBLIC_TASK"}}}
	finding := func(datasets ...Dataset) []Finding {
		f := Finding{System: System{ID: "lms"}, Description: Description{Datasets: datasets}, Counts: map[string]int64{}}
		for _, d := range datasets {
			f.Counts[d.Name] = 1
		}
		return []Finding{f}
	}
	profile := Dataset{Name: "profile", Activity: "teaching", Action: Erase, Identity: true}
	marks := Dataset{Name: "marks", Activity: "teaching", Action: Erase}
	photos := Dataset{Name: "photos", Activity: "photos", Action: Erase}
	for _, c := range []struct {
		name     string
		ground   Ground
		datasets []Dataset
		profile  Action
		whole    bool
	}{
		{"an objection leaves the photos", ObjectionUpheld, []Dataset{profile, marks, photos}, Keep, false},
		{"an objection leaves nothing", ObjectionUpheld, []Dataset{profile, marks}, Erase, true},
		{"a withdrawn consent leaves the teaching", ConsentWithdrawn, []Dataset{profile, marks, photos}, Keep, false},
		{"everything goes", NoLongerNecessary, []Dataset{profile, marks, photos}, Erase, true},
	} {
		p := BuildPlan(PlanInput{Ground: c.ground, Register: register, Findings: finding(c.datasets...)})
		if got := p.Items[0]; got.Action != c.profile || (got.Action == Keep && got.Article == "") {
			t.Errorf("%s: the person's own record: %s (%s)", c.name, got.Action, got.Article)
		}
		if p.Whole() != c.whole {
			t.Errorf("%s: Whole is %v", c.name, p.Whole())
		}
	}
}
