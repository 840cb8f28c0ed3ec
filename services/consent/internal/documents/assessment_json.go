package documents

import "github.com/privacyops/privacyops/services/consent/internal/consent"

// The input for programs. Legal bases, grounds of transfers and standings have the names of the contract and of this package.
type (
	assessmentData struct {
		Format     string           `json:"format"`
		Language   string           `json:"language"`
		Date       string           `json:"date"`
		Statement  string           `json:"statement"`
		Controller assessedParty    `json:"controller"`
		Activities []assessedUse    `json:"activities"`
		Ended      []string         `json:"endedActivities"`
		Systems    []assessedSystem `json:"systems"`
		Article35  []assessedPoint  `json:"article35Paragraph3"`
		WP248      []assessedPoint  `json:"wp248"`
		Questions  []assessedAsk    `json:"openQuestions"`
	}
	assessedParty struct {
		ID           string `json:"id"`
		Name         string `json:"displayName"`
		Jurisdiction string `json:"jurisdiction"`
		Kind         string `json:"kind"`
		Contact      string `json:"contact"`
		DPOName      string `json:"dpoName"`
		DPOEmail     string `json:"dpoEmail"`
	}
	assessedUse struct {
		ID                 string         `json:"id"`
		Version            int64          `json:"version"`
		Purpose            string         `json:"purpose"`
		LegalBasis         string         `json:"legalBasis"`
		SpecialCondition   string         `json:"specialCategoryCondition"`
		DataCategories     []string       `json:"dataCategories"`
		SpecialCategories  []string       `json:"specialCategories"`
		SubjectCategories  []string       `json:"subjectCategories"`
		Recipients         []string       `json:"recipients"`
		Systems            []string       `json:"systems"`
		Locations          []string       `json:"locations"`
		Transfers          []assessedSent `json:"transfers"`
		RetentionPeriod    string         `json:"retentionPeriod"`
		RetentionEvent     string         `json:"retentionEvent"`
		RetentionProtected bool           `json:"retentionProtected"`
		RetentionGround    string         `json:"retentionGround"`
		Source             string         `json:"source"`
		AutomatedDecisions bool           `json:"automatedDecisions"`
		DirectMarketing    bool           `json:"directMarketing"`
		OutsideTasks       bool           `json:"outsideAuthorityTasks"`
	}
	assessedSent struct {
		Location  string `json:"location"`
		Ground    string `json:"ground"`
		Safeguard string `json:"safeguard"`
	}
	assessedSystem struct {
		ID         string `json:"id"`
		Name       string `json:"displayName"`
		OperatedBy string `json:"operatedBy"`
		Location   string `json:"location"`
	}
	assessedPoint struct {
		ID       string          `json:"id"`
		Says     string          `json:"criterion"`
		Standing string          `json:"standing"`
		Facts    []assessedFound `json:"facts"`
		Question string          `json:"question"`
	}
	assessedFound struct {
		Activity string `json:"activity"`
		Fact     string `json:"fact"`
	}
	assessedAsk struct {
		Article  string `json:"article"`
		Question string `json:"question"`
	}
)

// data is the input for programs. Texts are in the language; ids and the words of the contract are as they are.
func (in assessment) data() assessmentData {
	c, l := in.Controller, in.lang
	d := assessmentData{
		Format: "privacyops/impact-assessment-input/v1", Language: string(l), Date: in.Made.String(), Statement: assessmentText.noVerdict.in(l),
		Controller: assessedParty{string(c.ID), c.DisplayName, c.Jurisdiction, string(c.Kind), c.Contact, c.DPO.Name, c.DPO.Email},
		Activities: []assessedUse{}, Ended: []string{}, Systems: []assessedSystem{},
		Article35: in.points(article35), WP248: in.points(guidelines),
	}
	for _, a := range in.Activities {
		if a.Archived {
			d.Ended = append(d.Ended, string(a.ID))
			continue
		}
		d.Activities = append(d.Activities, in.use(a))
	}
	for _, s := range in.Systems {
		d.Systems = append(d.Systems, assessedSystem{string(s.ID), s.DisplayName, s.OperatedBy, s.Location})
	}
	for _, q := range openQuestions {
		d.Questions = append(d.Questions, assessedAsk{q.article, q.asks.in(l)})
	}
	return d
}

// every is a list that is never null.
func every(list []string) []string { return append([]string{}, list...) }

func (in assessment) use(a consent.Activity) assessedUse {
	u := assessedUse{
		ID: string(a.ID), Version: a.Version, Purpose: a.Purpose, LegalBasis: string(a.Basis), SpecialCondition: a.SpecialCondition,
		DataCategories: every(a.DataCategories), SubjectCategories: every(a.SubjectCategories), Recipients: every(a.Recipients),
		Locations: every(a.Locations), RetentionPeriod: a.Retention.Period, RetentionEvent: a.Retention.Event,
		RetentionProtected: a.Retention.Protected, RetentionGround: a.Retention.Ground, Source: a.Source,
		AutomatedDecisions: a.AutomatedDecisions, DirectMarketing: a.DirectMarketing, OutsideTasks: a.OutsideAuthorityTasks,
		SpecialCategories: []string{}, Systems: []string{}, Transfers: []assessedSent{},
	}
	for _, c := range a.DataCategories {
		if consent.Special(c) {
			u.SpecialCategories = append(u.SpecialCategories, c)
		}
	}
	for _, id := range a.Systems {
		u.Systems = append(u.Systems, string(id))
	}
	for _, code := range in.third(a) {
		t, _ := transfer(a, code)
		u.Transfers = append(u.Transfers, assessedSent{code, string(t.Ground), t.Safeguard})
	}
	return u
}

func (in assessment) points(list []criterion) []assessedPoint {
	out := make([]assessedPoint, 0, len(list))
	for _, c := range list {
		s, found := c.find(in.Register)
		p := assessedPoint{ID: c.id, Says: c.says.in(in.lang), Standing: string(s), Facts: []assessedFound{}, Question: c.question.in(in.lang)}
		for _, f := range found {
			p.Facts = append(p.Facts, assessedFound{string(f.activity), f.says.in(in.lang)})
		}
		out = append(out, p)
	}
	return out
}
