package receipt

import (
	"slices"
	"time"

	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// Facts are what a receipt is made of.
type Facts struct {
	Issuer     string
	Controller consent.Controller
	// Activity in the version that was consented to.
	Activity consent.Activity
	// Systems of the activity that are in the register.
	Systems []consent.System
	// Consent with all its subjects.
	Consent consent.Consent
	Now     time.Time
}

// vocabularies are the context: prefixes, written out so that the document can be read without a network.
func vocabularies() map[string]string {
	return map[string]string{
		"dct":     "http://purl.org/dc/terms/",
		"dpv":     "https://w3id.org/dpv#",
		"eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#",
		"loc":     "https://w3id.org/dpv/loc#",
		"rdf":     "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
		"schema":  "https://schema.org/",
	}
}

// Make makes the receipt of a consent as it stands.
func Make(f Facts) Receipt {
	return Receipt{
		Context: vocabularies(), ID: "urn:uuid:" + string(f.Consent.ID), Type: "dpv:ConsentReceipt", Format: Format, Standard: "ISO/IEC TS 27560:2023",
		Identifier: "controllers/" + string(f.Controller.ID) + "/consents/" + string(f.Consent.ID),
		Issued:     moment(f.Now), Publisher: f.Issuer, State: statuses[f.Consent.StateAt(f.Now)], Record: record(f),
	}
}

// statuses are the states of a consent in the vocabulary.
var statuses = map[consent.State]string{
	consent.Given: "dpv:ConsentGiven", consent.Withdrawn: "dpv:ConsentWithdrawn", consent.Expired: "dpv:ConsentExpired",
}

// moment writes a time in UTC, as exactly as it is stored.
func moment(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.999999Z07:00") }

func record(f Facts) Record {
	r := Record{
		Type: "dpv:ConsentRecord", Subject: Subject{"dpv:DataSubject", texts(f.Consent.Subjects)}, Controller: controller(f.Controller),
		Processors: processors(f.Systems), Jurisdiction: "loc:" + f.Controller.Jurisdiction, Process: process(f.Activity), Events: events(f.Consent, f.Now),
	}
	if consent.InEEA(f.Controller.Jurisdiction) {
		r.Law = "eu-gdpr:GDPR"
	}
	if t := f.Consent.Text; t != (consent.ShownText{}) {
		r.Notice = &Notice{"dpv:ConsentNotice", t.Version, t.Language, t.SHA256}
	}
	return r
}

func controller(c consent.Controller) Controller {
	out := Controller{Party: Party{"dpv:DataController", c.DisplayName, c.Contact}, Identifier: "controllers/" + string(c.ID)}
	if c.DPO != (consent.ContactPerson{}) {
		out.Officer = &Party{"dpv:DataProtectionOfficer", c.DPO.Name, c.DPO.Email}
	}
	return out
}

// processors are who operates the systems in which the processing happens.
func processors(systems []consent.System) []Party {
	out := []Party{}
	for _, s := range systems {
		p := Party{Type: "dpv:DataProcessor", Name: s.OperatedBy}
		if p.Name != "" && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}

func process(a consent.Activity) Process {
	p := Process{
		Type: "dpv:Process", Identifier: string(a.ID), Version: a.Version, Purpose: Text{"dpv:Purpose", a.Purpose},
		LegalBasis: []string{"dpv:Consent", "eu-gdpr:A6-1-a"}, Data: []Category{}, Recipients: append([]string{}, a.Recipients...),
		Locations: locations(a), Storage: []Retention{}, Rights: rights(a),
	}
	if a.SpecialCondition != "" {
		p.LegalBasis = append(p.LegalBasis, "eu-gdpr:A9-2-"+a.SpecialCondition)
	}
	for _, c := range a.DataCategories {
		kind := "dpv:PersonalData"
		if consent.Special(c) {
			kind = "dpv:SpecialCategoryPersonalData"
		}
		p.Data = append(p.Data, Category{kind, c})
	}
	if a.Retention.Period != "" {
		p.Storage = append(p.Storage, Retention{"dpv:StorageDuration", Duration{"dpv:TemporalDuration", a.Retention.Period, a.Retention.Event}})
	}
	return p
}

func locations(a consent.Activity) []Location {
	out := []Location{}
	for _, place := range a.Locations {
		l := Location{Type: "dpv:ProcessingLocation", Place: "loc:" + place}
		if i := slices.IndexFunc(a.Transfers, func(t consent.Transfer) bool { return t.Location == place }); i >= 0 {
			g := grounds[a.Transfers[i].Ground]
			l.Ground, l.Article, l.Safeguard = g.term, g.article, a.Transfers[i].Safeguard
		}
		out = append(out, l)
	}
	return out
}

// grounds of transfers in the vocabulary, which has no term for all of art. 49.
var grounds = map[consent.TransferGround]struct{ term, article string }{
	consent.AdequacyDecision:      {"eu-gdpr:A45-3", "GDPR art. 45(3)"},
	consent.StandardClauses:       {"eu-gdpr:A46-2-c", "GDPR art. 46(2)(c)"},
	consent.BindingCorporateRules: {"eu-gdpr:A46-2-b", "GDPR art. 46(2)(b), 47"},
	consent.Derogation:            {"dpv:DataTransferLegalBasis", "GDPR art. 49"},
}

// events tell what has happened to the consent by now, in order. A consent that was withdrawn before it would have ended did not end.
func events(c consent.Consent, now time.Time) []Event {
	given := Event{Type: statuses[consent.Given], Time: moment(c.GiveTime), By: parties[c.Capacity]}
	if !c.Sufficient {
		given.Note = tooYoung()
	}
	out := []Event{given}
	if !c.ExpireTime.IsZero() {
		out[0].Until = &Duration{Type: "dpv:UntilTimeDuration", Value: moment(c.ExpireTime)}
		if !now.Before(c.ExpireTime) && (c.WithdrawTime.IsZero() || !c.WithdrawTime.Before(c.ExpireTime)) {
			out = append(out, Event{Type: statuses[consent.Expired], Time: moment(c.ExpireTime)})
		}
	}
	if !c.WithdrawTime.IsZero() {
		out = append(out, Event{Type: statuses[consent.Withdrawn], Time: moment(c.WithdrawTime)})
	}
	return out
}

// parties are who gave a consent, in the vocabulary.
var parties = map[consent.Capacity]string{consent.Self: "dpv:DataSubject", consent.Guardian: "dpv:GuardianOfDataSubject"}

func texts[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, t := range list {
		out[i] = string(t)
	}
	return out
}
