package documents_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/privacyops/privacyops/services/consent/internal/consent"
	"github.com/privacyops/privacyops/services/consent/internal/documents"
)

// registers makes registers in which every text is another one, so that a document that has it says just that fact.
func registers() *rapid.Generator[documents.Register] {
	return rapid.Custom(func(t *rapid.T) documents.Register {
		n := 0
		unique := func(prefix string) string { n++; return fmt.Sprintf("%s%dx", prefix, n) }
		some := func(prefix string) (out []string) {
			for range rapid.IntRange(0, 3).Draw(t, prefix) {
				out = append(out, unique(prefix))
			}
			return out
		}
		maybe := func(prefix string) string {
			if rapid.Bool().Draw(t, prefix) {
				return unique(prefix)
			}
			return ""
		}
		r := documents.Register{Made: municipal().Made, Controller: consent.Controller{ID: "school", DisplayName: unique("Name"), Contact: maybe("contact"),
			Jurisdiction: rapid.SampledFrom([]string{"DK", "DE", "SE", "GB", "US", "ZZ"}).Draw(t, "jurisdiction"), Language: "da",
			DPO: consent.ContactPerson{Name: maybe("officer"), Email: maybe("mail")}}}
		for range rapid.IntRange(0, 3).Draw(t, "systems") {
			r.Systems = append(r.Systems, consent.System{ID: consent.SystemID(unique("system")), DisplayName: unique("System "), OperatedBy: maybe("operator"),
				Location: rapid.SampledFrom([]string{"", "QA", "QB"}).Draw(t, "place")})
		}
		for range rapid.IntRange(0, 4).Draw(t, "activities") {
			a := consent.Activity{ID: consent.ActivityID(unique("activity")), Purpose: unique("Purpose ") + strings.Repeat(" long", rapid.IntRange(0, 40).Draw(t, "length")),
				Basis:            rapid.SampledFrom([]consent.LegalBasis{"CONSENT", "CONTRACT", "LEGAL_OBLIGATION", "VITAL_INTERESTS", "PUBLIC_TASK", "LEGITIMATE_INTERESTS"}).Draw(t, "basis"),
				SpecialCondition: rapid.SampledFrom([]string{"", "a", "b", "c", "d", "e", "f", "g", "h", "i", "j"}).Draw(t, "condition"),
				DataCategories:   some("category"), SubjectCategories: some("people"), Recipients: some("recipient"), Source: maybe("source"),
				Locations: rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"QC", "QD", "QE"}), 0, 3, rapid.ID).Draw(t, "locations"),
				Retention: consent.Retention{Period: rapid.SampledFrom([]string{"", "P7M"}).Draw(t, "period"), Event: strings.ToUpper(maybe("EVENT")),
					Protected: rapid.Bool().Draw(t, "protected"), Ground: unique("ground")},
				AutomatedDecisions: rapid.Bool().Draw(t, "automated"), DirectMarketing: rapid.Bool().Draw(t, "marketing"),
				Archived: rapid.Bool().Draw(t, "archived"), Version: rapid.Int64Range(1, 99).Draw(t, "version"), Author: consent.ActorRef(unique("usr"))}
			for _, s := range r.Systems {
				if rapid.Bool().Draw(t, "in system") {
					a.Systems = append(a.Systems, s.ID)
				}
			}
			for _, l := range a.Locations {
				if rapid.Bool().Draw(t, "ground given") {
					a.Transfers = append(a.Transfers, consent.Transfer{Location: l, Safeguard: unique("safeguard"),
						Ground: rapid.SampledFrom([]consent.TransferGround{"ADEQUACY_DECISION", "STANDARD_CLAUSES", "BINDING_CORPORATE_RULES", "DEROGATION"}).Draw(t, "ground")})
				}
			}
			r.Activities = append(r.Activities, a)
		}
		return r
	})
}

// factsOf are the texts of the register that a document has to have.
func factsOf(r documents.Register, name string) (has, lacks []string) {
	notice, ofProcessor := strings.HasPrefix(name, "notice"), strings.HasPrefix(name, "record-processor")
	c := r.Controller
	has = append(has, c.DisplayName, c.Contact, c.DPO.Name, c.DPO.Email)
	// The table of a controller has its systems beside the activities that use them.
	if notice || ofProcessor || strings.HasPrefix(name, "assessment") {
		for _, s := range r.Systems {
			has = append(has, s.DisplayName, s.OperatedBy, s.Location)
		}
	}
	for _, a := range r.Activities {
		if a.Archived && !strings.HasPrefix(name, "record") {
			lacks = append(lacks, a.Purpose)
			continue
		}
		has = append(has, a.Purpose)
		has = append(has, a.DataCategories...)
		has = append(has, a.Locations...)
		for _, t := range a.Transfers {
			has = append(has, t.Safeguard)
		}
		if !notice {
			has = append(has, string(a.ID))
		}
		if strings.HasPrefix(name, "record") {
			has = append(has, string(a.Author), fmt.Sprint(a.Version))
		}
		if !ofProcessor || strings.HasSuffix(name, ".json") {
			has = append(has, append(a.SubjectCategories, a.Recipients...)...)
			has = append(has, a.Source, a.Retention.Ground, a.Retention.Event)
		}
	}
	return has, lacks
}

// TestEveryFactIsPrinted: no activity, recipient, place or other fact of the register is missing in a document, and a notice says
// nothing of what has ended.
func TestEveryFactIsPrinted(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := registers().Draw(t, "register")
		for _, p := range every() {
			body := p.of(t, r)
			if strings.HasSuffix(p.name, ".md") || strings.HasSuffix(p.name, ".html") {
				body = shapeOf(t, p.name, body).text
			}
			folded := strings.ToLower(oneLine(body))
			has, lacks := factsOf(r, p.name)
			for _, fact := range has {
				if !strings.Contains(folded, strings.ToLower(fact)) {
					t.Fatalf("%s lacks %q:\n%s", p.name, fact, body)
				}
			}
			for _, gone := range lacks {
				if strings.Contains(folded, strings.ToLower(gone)) {
					t.Fatalf("%s speaks of %q, which has ended", p.name, gone)
				}
			}
			// A name in braces that is left is a text that nothing was filled into.
			if strings.HasSuffix(p.name, ".md") && strings.ContainsAny(body, "{}") {
				t.Fatalf("%s has a gap:\n%s", p.name, body)
			}
		}
	})
}

// TestTableHasALineForEachActivity: one for the controller, and one for each processor that has to do with it.
func TestTableHasALineForEachActivity(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]int{"record-controller.da.csv": 7, "record-processor.en.csv": 7} {
		for _, p := range every() {
			if p.name == name {
				if rows := tableOf(t, p.of(t, municipal())); len(rows) != 1+want {
					t.Errorf("%s has %d lines below its head, want %d", name, len(rows)-1, want)
				}
			}
		}
	}
}

// TestDeadlinesAreLawOnlyWhereTheyAre: outside the EEA no period of the GDPR is told as law (requirement R10), and no authority is
// named that has no say.
func TestDeadlinesAreLawOnlyWhereTheyAre(t *testing.T) {
	t.Parallel()
	for jurisdiction, want := range map[string]struct {
		deadline         bool
		authority, child string
	}{
		"DK": {true, "Datatilsynet", "If you are under 15"}, "SE": {true, "Integritetsskyddsmyndigheten", "If you are under 13"},
		"DE": {true, "your data protection authority", "If you are under 16"}, "GB": {false, "where you live", ""}, "GL": {false, "where you live", ""},
	} {
		r := municipal()
		r.Controller.Jurisdiction = jurisdiction
		for _, l := range languages {
			d, err := documents.Notice(r, l, documents.Subject, documents.Markdown)
			if err != nil {
				t.Fatal(err)
			}
			body := string(d.Body)
			if has := strings.Contains(body, "within one month") || strings.Contains(body, "senest en måned"); has != want.deadline {
				t.Errorf("%s %s: told a deadline: %v", jurisdiction, l, has)
			}
			if l == documents.English && (!strings.Contains(body, want.authority) || !strings.Contains(body, want.child)) {
				t.Errorf("%s lacks %q or %q", jurisdiction, want.authority, want.child)
			}
			if !want.deadline && (strings.Contains(body, "Datatilsynet") || strings.Contains(body, "If you are under")) {
				t.Errorf("%s %s: tells rules of the EEA as law", jurisdiction, l)
			}
		}
	}
}

// TestAssessmentGivesNoVerdict: what the register cannot know is open, and what it shows has its facts.
func TestAssessmentGivesNoVerdict(t *testing.T) {
	t.Parallel()
	type point struct {
		ID, Standing, Question string
		Facts                  []struct{ Activity, Fact string }
	}
	standings := func(r documents.Register) map[string]string {
		d, err := documents.ImpactAssessmentInput(r, documents.English, documents.JSON)
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Article35 []point `json:"article35Paragraph3"`
			WP248     []point `json:"wp248"`
		}
		if err := json.Unmarshal(d.Body, &got); err != nil {
			t.Fatal(err)
		}
		out := map[string]string{}
		for _, p := range append(got.Article35, got.WP248...) {
			out[p.ID] = p.Standing
			if shows := p.Standing == "INDICATED" || p.Standing == "PARTLY_INDICATED"; shows != (len(p.Facts) > 0) || p.Question == "" {
				t.Errorf("%s is %s with the facts %v and the question %q", p.ID, p.Standing, p.Facts, p.Question)
			}
		}
		return out
	}
	const yes, part, no, open = "INDICATED", "PARTLY_INDICATED", "NOT_INDICATED", "OPEN"
	for name, c := range map[string]struct {
		register documents.Register
		want     map[string]string
	}{
		"municipal": {municipal(), map[string]string{"a": part, "b": part, "c": open, "1": yes, "2": part, "3": yes, "4": yes, "5": open, "6": part, "7": yes, "8": open, "9": open}},
		"minimal":   {minimal(), map[string]string{"a": no, "b": no, "c": open, "1": open, "2": no, "3": open, "4": no, "5": open, "6": open, "7": open, "8": open, "9": open}},
	} {
		got := standings(c.register)
		for id, want := range c.want {
			if got[id] != want {
				t.Errorf("%s: criterion %s is %s, want %s", name, id, got[id], want)
			}
		}
		if len(got) != len(c.want) {
			t.Errorf("%s: %d criteria", name, len(got))
		}
	}
}
