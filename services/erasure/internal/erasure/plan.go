package erasure

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/privacyops/privacyops/libs/fault"
)

// Action is what is done with a dataset.
type Action string

// The actions.
const (
	Erase     Action = "ERASE"
	Anonymise Action = "ANONYMISE"
	Keep      Action = "KEEP"
)

// Text is a text for people, in the suite's languages.
type Text struct {
	DA string `json:"da,omitempty"`
	EN string `json:"en,omitempty"`
}

// Item is what is done with one dataset of one system.
type Item struct {
	System      string `json:"system"`
	Dataset     string `json:"dataset"`
	Activity    string `json:"activity"`
	Count       int64  `json:"count"`
	Action      Action `json:"action"`
	Ground      string `json:"ground,omitempty"`
	Article     string `json:"article,omitempty"`
	Explanation Text   `json:"explanation,omitzero"`
}

// PlannedSystem is a system as the plan saw it.
type PlannedSystem struct {
	System        string `json:"system"`
	Participant   string `json:"participant"`
	Mandatory     bool   `json:"mandatory"`
	Order         int    `json:"order"`
	DataMapDigest string `json:"dataMapDigest"`
}

// Shared is an identifier that belongs to several people: it is reported, not followed, and nothing is erased by it.
type Shared struct {
	System string `json:"system"`
	Type   string `json:"type"`
	People int64  `json:"people"`
}

// Unasked is a system that is not mandatory and did not answer: the plan leaves it out.
type Unasked struct {
	System  string `json:"system"`
	Message string `json:"message"`
}

// Plan is what an erasure does.
type Plan struct {
	Hash     string          `json:"hash"`
	Systems  []PlannedSystem `json:"systems"`
	Unasked  []Unasked       `json:"unasked,omitempty"`
	Items    []Item          `json:"items"`
	Shared   []Shared        `json:"shared,omitempty"`
	Warnings []string        `json:"warnings,omitempty"`
	Time     time.Time       `json:"time"`
}

// PlanInput is what a plan is made of.
type PlanInput struct {
	Controller ControllerID
	SubjectRef string
	Ground     Ground
	Register   Register
	Findings   []Finding
	// Failures are the systems that gave no answer.
	Failures map[string]*fault.Error
	// Doubts are what an earlier verification found although nothing had been counted.
	Doubts []Residual
	Now    time.Time
}

// BuildPlan decides, dataset by dataset, what goes and what stays. It is pure: the same input gives the same plan and hash.
//
// Items come in the order of execution: systems by their order, datasets as the system names them.
func BuildPlan(in PlanInput) Plan {
	p := Plan{Time: in.Now}
	activities := map[string]Activity{}
	for _, a := range in.Register.Activities {
		activities[a.ID] = a
	}
	findings := slices.Clone(in.Findings)
	slices.SortStableFunc(findings, func(a, b Finding) int { return compareSystems(a.System, b.System) })
	unknown := map[string]bool{}
	for _, f := range findings {
		p.Systems = append(p.Systems, PlannedSystem{System: f.System.ID, Participant: f.System.Participant,
			Mandatory: f.System.Mandatory, Order: f.System.Order, DataMapDigest: f.Description.DataMapDigest})
		first := len(p.Items)
		for _, d := range f.Description.Datasets {
			activity, known := activities[d.Activity]
			if !known && !unknown[d.Activity] {
				unknown[d.Activity] = true
				p.Warnings = append(p.Warnings, fmt.Sprintf(
					"System %s holds data for the activity %q, which is not in the register: no instruction covers it.", f.System.ID, d.Activity))
			}
			p.Items = append(p.Items, decide(in.Ground, f, d, activity, known))
		}
		keepIdentity(in.Ground, f.Description.Datasets, p.Items[first:])
		for _, s := range f.Shared {
			p.Shared = append(p.Shared, Shared{System: f.System.ID, Type: s.Type, People: s.People})
		}
	}
	p.leaveOut(in)
	for _, r := range in.Doubts {
		p.Warnings = append(p.Warnings, doubtText(r))
	}
	p.Hash = p.hash(in)
	return p
}

// leaveOut names the systems that the plan does not reach.
func (p *Plan) leaveOut(in PlanInput) {
	systems := slices.SortedFunc(slices.Values(in.Register.Systems), compareSystems)
	for _, s := range systems {
		if f := in.Failures[s.ID]; f != nil {
			p.Unasked = append(p.Unasked, Unasked{System: s.ID, Message: f.Message()})
			p.Warnings = append(p.Warnings, "System "+s.ID+" did not answer and is left out: "+f.Message())
		}
	}
}

// remembered is what a system answered when the plan was made.
func (p Plan) remembered(system string) (Finding, bool) {
	s, ok := p.system(system)
	f := Finding{System: System{ID: s.System, Participant: s.Participant, Mandatory: s.Mandatory, Order: s.Order},
		Description: Description{DataMapDigest: s.DataMapDigest}, Counts: map[string]int64{}}
	for _, i := range p.Items {
		if i.System == system {
			f.Counts[i.Dataset] = i.Count
			f.Description.Datasets = append(f.Description.Datasets, Dataset{Name: i.Dataset, Activity: i.Activity, Action: i.Action,
				Ground: i.Ground, Article: i.Article, Explanation: i.Explanation})
		}
	}
	for _, x := range p.Shared {
		if x.System == system {
			f.Shared = append(f.Shared, SharedIdentifier{Type: x.Type, People: x.People})
		}
	}
	return f, ok
}

func compareSystems(a, b System) int {
	return cmp.Or(cmp.Compare(a.Order, b.Order), cmp.Compare(a.ID, b.ID))
}

// decide applies the rules for one dataset, in this order: what the system itself must keep; what the register protects
// (art. 17(3)); what another legal basis still carries (art. 17(1)(b), (c)); otherwise it goes as the system erases it.
func decide(ground Ground, f Finding, d Dataset, a Activity, known bool) Item {
	item := Item{System: f.System.ID, Dataset: d.Name, Activity: d.Activity, Count: f.Counts[d.Name], Action: d.Action,
		Ground: d.Ground, Article: d.Article, Explanation: d.Explanation}
	switch {
	case d.Action == Keep:
	case known && a.Protected:
		item.Action, item.Ground, item.Article = Keep, cmp.Or(a.ProtectionGround, "PROTECTED"), "GDPR art. 17(3)(b)"
		item.Explanation = protectedText(a.ProtectionGround)
	case !ground.covers(a.LegalBasis, known):
		item.Action, item.Ground, item.Article = Keep, otherBasis, ground.article()
		item.Explanation = otherBasisText
	default:
		item.Ground, item.Article, item.Explanation = string(ground), ground.article(), ground.text()
	}
	return item
}

// otherBasis is the ground of what stays because the request does not reach it.
const otherBasis = "OTHER_LEGAL_BASIS"

// keepIdentity keeps the person's own record in a system in which another legal basis keeps something: what is kept refers to it,
// and would otherwise speak of nobody.
func keepIdentity(g Ground, datasets []Dataset, items []Item) {
	if !slices.ContainsFunc(items, func(i Item) bool { return i.Ground == otherBasis }) {
		return
	}
	for n, d := range datasets {
		if d.Identity && items[n].Action != Keep {
			items[n].Action, items[n].Ground, items[n].Article, items[n].Explanation = Keep, otherBasis, g.article(), stillReferredText
		}
	}
}

// Whole reports whether the plan is about the whole person: nothing stays because it rests on another legal basis. Only then is
// the person an erased one, whom nothing may bring back unseen.
func (p Plan) Whole() bool {
	return !slices.ContainsFunc(p.Items, func(i Item) bool { return i.Ground == otherBasis })
}

// covers reports whether the ground reaches data processed on a basis. A withdrawn consent ends what rests on consent, an
// objection what rests on art. 6(1)(e) and (f); the other grounds reach everything. What no activity covers rests on nothing.
func (g Ground) covers(basis string, known bool) bool {
	switch {
	case !known:
		return true
	case g == ConsentWithdrawn || g == ChildService:
		return basis == "CONSENT"
	case g == ObjectionUpheld:
		return basis == "PUBLIC_TASK" || basis == "LEGITIMATE_INTERESTS"
	}
	return true
}

func (p Plan) hash(in PlanInput) string {
	text, err := json.Marshal(struct {
		Format     string
		Controller ControllerID
		Subject    string
		Ground     Ground
		Systems    []PlannedSystem
		Items      []Item
		Shared     []Shared
	}{"privacyops-plan/v1", in.Controller, in.SubjectRef, in.Ground, p.Systems, p.Items, p.Shared})
	if err != nil { // strings and numbers always encode
		panic("erasure: encode plan: " + err.Error())
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// Total counts the rows that the plan destroys or changes.
func (p Plan) Total() (n int64) {
	for _, i := range p.Items {
		if i.Action != Keep {
			n += i.Count
		}
	}
	return n
}

// Found counts all rows, kept ones too.
func (p Plan) Found() (n int64) {
	for _, i := range p.Items {
		n += i.Count
	}
	return n
}

// approved lists the datasets of a system that are erased or anonymised.
func (p Plan) approved(system string) (datasets []string) {
	for _, i := range p.Items {
		if i.System == system && i.Action != Keep {
			datasets = append(datasets, i.Dataset)
		}
	}
	return datasets
}

// datasets lists all datasets of a system.
func (p Plan) datasets(system string) (datasets []string) {
	for _, i := range p.Items {
		if i.System == system {
			datasets = append(datasets, i.Dataset)
		}
	}
	return datasets
}

func (p Plan) item(system, dataset string) (Item, bool) {
	for _, i := range p.Items {
		if i.System == system && i.Dataset == dataset {
			return i, true
		}
	}
	return Item{}, false
}

func (p Plan) system(id string) (PlannedSystem, bool) {
	for _, s := range p.Systems {
		if s.System == id {
			return s, true
		}
	}
	return PlannedSystem{}, false
}
