package documents

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// The terms of the record in JSON are those of the W3C Data Privacy Vocabulary 2 (https://w3id.org/dpv) and its extension for
// the GDPR, with Dublin Core for what every document has.
var ldContext = map[string]string{
	"dpv": "https://w3id.org/dpv#", "eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#", "loc": "https://w3id.org/dpv/loc#",
	"dct": "http://purl.org/dc/terms/", "owl": "http://www.w3.org/2002/07/owl#", "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
	"xsd": "http://www.w3.org/2001/XMLSchema#",
}

// dpvBases are the legal bases in the vocabulary.
var dpvBases = map[consent.LegalBasis]string{
	consent.BasisConsent: "eu-gdpr:A6-1-a", consent.BasisContract: "eu-gdpr:A6-1-b", consent.BasisLegalObligation: "eu-gdpr:A6-1-c",
	consent.BasisVitalInterests: "eu-gdpr:A6-1-d", consent.BasisPublicTask: "eu-gdpr:A6-1-e", consent.BasisLegitimateInterests: "eu-gdpr:A6-1-f",
}

// dpvGrounds are the grounds of transfers in the vocabulary. It has terms for the single points of art. 49 only, which the register
// does not tell apart.
var dpvGrounds = map[consent.TransferGround]string{
	consent.AdequacyDecision: "eu-gdpr:A45-3", consent.StandardClauses: "eu-gdpr:A46-2-c",
	consent.BindingCorporateRules: "eu-gdpr:A46-2-b", consent.Derogation: "dpv:DataTransferLegalBasis",
}

type ldRef struct {
	ID string `json:"@id"`
}

type ldValue struct {
	Type  string `json:"@type"`
	Value string `json:"@value"`
}

type ldThing struct {
	ID          string `json:"@id,omitempty"`
	Type        string `json:"@type"`
	Identifier  string `json:"dct:identifier,omitempty"`
	Title       string `json:"dct:title,omitempty"`
	Description string `json:"dct:description,omitempty"`
}

type ldRecord struct {
	Context    map[string]string `json:"@context"`
	ID         string            `json:"@id"`
	Type       string            `json:"@type"`
	Title      string            `json:"dct:title"`
	Language   string            `json:"dct:language"`
	Created    ldValue           `json:"dct:created"`
	ConformsTo string            `json:"dct:conformsTo"`
	Missing    []string          `json:"rdfs:comment"`
	Controller ldParty           `json:"dpv:hasDataController"`
	Processors []ldParty         `json:"dpv:hasDataProcessor,omitempty"`
	Processes  []ldProcess       `json:"dpv:hasProcess,omitempty"`
}

type ldParty struct {
	ID           string      `json:"@id,omitempty"`
	Type         string      `json:"@type"`
	Identifier   string      `json:"dct:identifier,omitempty"`
	Name         string      `json:"dpv:hasName,omitempty"`
	Contact      string      `json:"dpv:hasContact,omitempty"`
	Jurisdiction *ldRef      `json:"dpv:hasJurisdiction,omitempty"`
	Officer      *ldParty    `json:"dpv:hasDataProtectionOfficer,omitempty"`
	Systems      []ldSystem  `json:"dpv:isImplementedUsingTechnology,omitempty"`
	Processes    []ldProcess `json:"dpv:hasProcess,omitempty"`
}

type ldSystem struct {
	ldThing
	Location *ldRef   `json:"dpv:hasLocation,omitempty"`
	Operator *ldParty `json:"dpv:hasDataProcessor,omitempty"`
}

type ldProcess struct {
	ID          string      `json:"@id"`
	Type        string      `json:"@type"`
	Identifier  string      `json:"dct:identifier"`
	Status      ldRef       `json:"dpv:hasStatus"`
	Version     string      `json:"owl:versionInfo"`
	Created     ldValue     `json:"dct:created"`
	Modified    ldValue     `json:"dct:modified"`
	Creator     string      `json:"dct:creator"`
	History     []ldVersion `json:"dct:hasVersion"`
	Purpose     ldThing     `json:"dpv:hasPurpose"`
	LegalBases  []ldRef     `json:"dpv:hasLegalBasis"`
	Data        []ldThing   `json:"dpv:hasPersonalData,omitempty"`
	Subjects    []ldThing   `json:"dpv:hasDataSubject,omitempty"`
	Recipients  []ldThing   `json:"dpv:hasRecipient,omitempty"`
	Systems     []ldSystem  `json:"dpv:isImplementedUsingTechnology,omitempty"`
	Locations   []ldRef     `json:"dpv:hasLocation,omitempty"`
	Storage     *ldStorage  `json:"dpv:hasStorageCondition,omitempty"`
	Source      *ldThing    `json:"dpv:hasDataSource,omitempty"`
	Context     []ldRef     `json:"dpv:hasContext,omitempty"`
	Transfers   []ldSending `json:"dpv:hasProcess,omitempty"`
	Description string      `json:"dct:description,omitempty"`
}

type ldVersion struct {
	Version  string  `json:"owl:versionInfo"`
	Creator  string  `json:"dct:creator"`
	Modified ldValue `json:"dct:modified"`
}

type ldStorage struct {
	Type string `json:"@type"`
	// Event starts the duration.
	Event    string   `json:"dct:description,omitempty"`
	Duration *ldValue `json:"dpv:hasDuration,omitempty"`
	// Ground is why data is kept although its erasure is asked for.
	Ground *ldThing `json:"dpv:hasJustification,omitempty"`
}

type ldSending struct {
	Type       string `json:"@type"`
	Processing ldRef  `json:"dpv:hasProcessing"`
	Country    ldRef  `json:"dpv:hasThirdCountry"`
	Ground     *ldRef `json:"dpv:hasLegalBasis,omitempty"`
	Safeguard  string `json:"dct:description,omitempty"`
}

// json is the record as JSON-LD.
func (r record) json() ([]byte, error) {
	doc := ldRecord{
		Context: ldContext, ID: r.urn("recordOfProcessing"), Type: "dpv:ROPA", Title: fill(recordTitle[r.of].in(r.lang), "name", r.Controller.DisplayName),
		Language: string(r.lang), Created: ldValue{"xsd:date", r.Made.String()}, ConformsTo: "GDPR art. 30(1)",
		Missing: r.missing(), Controller: r.party(),
	}
	if r.of == OfController {
		for _, a := range r.Activities {
			doc.Processes = append(doc.Processes, r.process(a))
		}
		return indented(doc)
	}
	doc.ConformsTo = "GDPR art. 30(2)"
	for _, g := range r.groups() {
		p := ldParty{Type: "dpv:DataProcessor", Name: g.operator}
		for _, s := range g.systems {
			p.Systems = append(p.Systems, r.technology(s))
		}
		for _, a := range g.activities {
			p.Processes = append(p.Processes, r.process(a))
		}
		doc.Processors = append(doc.Processors, p)
	}
	return indented(doc)
}

func indented(v any) ([]byte, error) {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("documents: %w", err)
	}
	return append(b, '\n'), nil
}

// urn names a thing of the controller.
func (r record) urn(path string) string {
	return "urn:privacyops:controllers/" + string(r.Controller.ID) + "/" + path
}

// missing names what the article asks for and the register has no place for.
func (r record) missing() []string {
	var out []string
	head, _, tail := r.columns()
	for _, c := range append(append([]column(nil), head...), tail...) {
		if v := c.values(r, entry{}); len(v) == 1 && v[0] == notKept.in(r.lang) {
			out = append(out, notKept.in(r.lang)+": "+c.label.in(r.lang))
		}
	}
	return out
}

func (r record) party() ldParty {
	c := r.Controller
	p := ldParty{ID: "urn:privacyops:controllers/" + string(c.ID), Type: "dpv:DataController", Identifier: string(c.ID), Name: c.DisplayName,
		Contact: c.Contact, Jurisdiction: &ldRef{"loc:" + c.Jurisdiction}}
	if c.DPO != (consent.ContactPerson{}) {
		p.Officer = &ldParty{Type: "dpv:DataProtectionOfficer", Name: c.DPO.Name, Contact: c.DPO.Email}
	}
	return p
}

func (r record) technology(s consent.System) ldSystem {
	out := ldSystem{ldThing: ldThing{ID: r.urn("systems/" + string(s.ID)), Type: "dpv:Technology", Identifier: string(s.ID), Title: s.DisplayName}}
	if s.Location != "" {
		out.Location = &ldRef{"loc:" + s.Location}
	}
	if s.OperatedBy != "" {
		out.Operator = &ldParty{Type: "dpv:DataProcessor", Name: s.OperatedBy}
	}
	return out
}

func (r record) process(a consent.Activity) ldProcess {
	p := ldProcess{
		ID: r.urn("activities/" + string(a.ID)), Type: "dpv:Process", Identifier: string(a.ID), Status: ldRef{"dpv:ActivityOngoing"},
		Version: fmt.Sprint(a.Version), Created: moment(a.CreateTime), Modified: moment(a.UpdateTime), Creator: string(a.Author),
		Purpose: ldThing{Type: "dpv:Purpose", Description: a.Purpose}, LegalBases: []ldRef{{dpvBases[a.Basis]}},
		Data: r.data(a), Subjects: things("dpv:DataSubject", a.SubjectCategories, people, r.lang),
		Recipients: things("dpv:Recipient", a.Recipients, nil, r.lang), Storage: storage(a.Retention),
	}
	if a.Archived {
		p.Status.ID = "dpv:ActivityCompleted"
	}
	for _, v := range r.versions(a) {
		p.History = append(p.History, ldVersion{fmt.Sprint(v.Number), string(v.Author), moment(v.Time)})
	}
	if a.SpecialCondition != "" {
		p.LegalBases = append(p.LegalBases, ldRef{"eu-gdpr:A9-2-" + a.SpecialCondition})
	}
	for _, id := range a.Systems {
		s, ok := r.system(id)
		if !ok {
			s = consent.System{ID: id}
		}
		p.Systems = append(p.Systems, r.technology(s))
	}
	for _, code := range a.Locations {
		p.Locations = append(p.Locations, ldRef{"loc:" + code})
	}
	if a.Source != "" {
		p.Source = &ldThing{Type: "dpv:DataSource", Description: a.Source}
	}
	if a.AutomatedDecisions {
		p.Context = append(p.Context, ldRef{"dpv:AutomatedDecisionMaking"})
	}
	if a.DirectMarketing {
		p.Purpose.Type = "dpv:DirectMarketing"
	}
	if a.OutsideAuthorityTasks {
		p.Description = text{"Uden for myndighedens opgaver", "Outside the authority's tasks"}.in(r.lang)
	}
	p.Transfers = r.sendings(a)
	return p
}

func (r record) data(a consent.Activity) []ldThing {
	out := things("dpv:PersonalData", a.DataCategories, categories, r.lang)
	for i, c := range a.DataCategories {
		if consent.Special(c) {
			out[i].Type = "dpv:SpecialCategoryPersonalData"
		}
	}
	return out
}

func (r record) sendings(a consent.Activity) []ldSending {
	var out []ldSending
	for _, code := range r.third(a) {
		s := ldSending{Type: "dpv:Process", Processing: ldRef{"dpv:Transfer"}, Country: ldRef{"loc:" + code}}
		if t, ok := transfer(a, code); ok {
			s.Ground, s.Safeguard = &ldRef{dpvGrounds[t.Ground]}, t.Safeguard
		}
		out = append(out, s)
	}
	return out
}

func storage(k consent.Retention) *ldStorage {
	if k == (consent.Retention{}) {
		return nil
	}
	s := &ldStorage{Type: "dpv:StorageCondition", Event: k.Event}
	if k.Ground != "" {
		s.Ground = &ldThing{Type: "dpv:Justification", Description: k.Ground}
	}
	if k.Period != "" {
		s.Duration = &ldValue{"xsd:duration", k.Period}
	}
	return s
}

// things are ids with their words.
func things(kind string, ids []string, dictionary map[string]text, l Language) []ldThing {
	var out []ldThing
	for _, id := range ids {
		out = append(out, ldThing{Type: kind, Identifier: id, Title: named(dictionary, id, l)})
	}
	return out
}

func moment(t time.Time) ldValue { return ldValue{"xsd:dateTime", t.UTC().Format(time.RFC3339Nano)} }
