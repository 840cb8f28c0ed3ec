package documents

import (
	"strconv"
	"time"

	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

var (
	notStated    = text{"Ikke oplyst i registret", "Not stated in the register"}
	ended        = text{"afsluttet", "ended"}
	noActivities = text{"Der er ikke registreret nogen behandlingsaktiviteter her.", "No processing activities are registered here."}
	notKept      = text{"Føres ikke i dette register", "Not kept in this register"}

	recordTitle = map[Perspective]text{
		OfController: {"Fortegnelse over behandlingsaktiviteter: {name}", "Record of processing activities: {name}"},
		OfProcessor:  {"Fortegnelse over behandling på vegne af {name}", "Record of processing on behalf of {name}"},
	}
	recordLead = map[Perspective]text{
		OfController: {"Den dataansvarliges fortegnelse efter GDPR artikel 30, stk. 1.", "The controller's record under GDPR Article 30(1)."},
		OfProcessor: {"Databehandlernes fortegnelse efter GDPR artikel 30, stk. 2, for én dataansvarlig. Den er opdelt efter, hvem der driver systemerne.",
			"The processors' record under GDPR Article 30(2), for one controller. It is arranged by who runs the systems."},
	}
	recordEnd = text{"Udskrevet den {day} fra registret over behandlingsaktiviteter.", "Printed on {day} from the register of processing activities."}
)

// controllerHead is GDPR art. 30(1)(a).
var controllerHead = []column{
	{text{"Dataansvarlig", "Controller"}, func(r record, _ entry) []string { return list(r.Controller.DisplayName) }},
	{text{"Den dataansvarliges id", "Id of the controller"}, func(r record, _ entry) []string { return list(string(r.Controller.ID)) }},
	{text{"Kontakt", "Contact"}, func(r record, _ entry) []string { return list(r.Controller.Contact) }},
	{text{"Jurisdiktion", "Jurisdiction"}, func(r record, _ entry) []string { return exactPlaces(list(r.Controller.Jurisdiction), r.lang) }}, //nolint:misspell // Danish
	{text{"Databeskyttelsesrådgiver", "Data protection officer"}, func(r record, _ entry) []string {
		return list(r.Controller.DPO.Name, r.Controller.DPO.Email)
	}},
	{text{"Fælles dataansvarlige og repræsentant", "Joint controllers and representative"}, unkept},
}

// processorHead is art. 30(2)(a).
var processorHead = []column{
	{text{"Databehandler", "Processor"}, func(_ record, e entry) []string { return list(e.group.operator) }},
	{text{"Databehandlerens kontakt, repræsentant og databeskyttelsesrådgiver", "Contact, representative and data protection officer of the processor"}, unkept},
	{text{"På vegne af", "On behalf of"}, func(r record, _ entry) []string { return list(r.Controller.DisplayName) }},
	{text{"Den dataansvarliges id", "Id of the controller"}, func(r record, _ entry) []string { return list(string(r.Controller.ID)) }},
	{text{"Den dataansvarliges kontakt", "Contact of the controller"}, func(r record, _ entry) []string { return list(r.Controller.Contact) }},
	{text{"Den dataansvarliges databeskyttelsesrådgiver", "Data protection officer of the controller"}, func(r record, _ entry) []string {
		return list(r.Controller.DPO.Name, r.Controller.DPO.Email)
	}},
	{text{"Systemer, som databehandleren driver", "Systems that the processor runs"}, func(r record, e entry) []string {
		var out []string
		for _, s := range e.group.systems {
			out = append(out, r.exactSystem(s))
		}
		return out
	}},
}

// controllerBody is art. 30(1)(b)-(f), and what an authority asks next: the legal basis, the source, who instructed what when.
var controllerBody = []column{
	columnID, columnPurpose,
	{text{"Retsgrundlag", "Legal basis"}, func(r record, e entry) []string {
		return list(bases[e.activity.Basis].in(r.lang) + " (" + cite(e.activity.Basis.Article(), r.lang) + ")")
	}},
	{text{"Betingelse for følsomme oplysninger", "Condition for special categories"}, func(r record, e entry) []string {
		if e.activity.SpecialCondition == "" {
			return list(text{"Ingen registreret", "None registered"}.in(r.lang))
		}
		return list(cite(article9(e.activity.SpecialCondition), r.lang))
	}},
	{text{"Kategorier af registrerede", "Categories of data subjects"}, func(r record, e entry) []string { return exact(e.activity.SubjectCategories, people, r.lang) }},
	columnCategories,
	{text{"Modtagere", "Recipients"}, func(_ record, e entry) []string { return e.activity.Recipients }},
	columnSystems, columnLocations, columnTransfers,
	{text{"Tidsfrist for sletning", "Time limit for erasure"}, func(r record, e entry) []string { return r.limit(e.activity.Retention) }},
	{text{"Kilde", "Source"}, func(_ record, e entry) []string { return list(e.activity.Source) }},
	{text{"Automatiske afgørelser", "Automated decisions"}, func(r record, e entry) []string { return list(yes(e.activity.AutomatedDecisions, r.lang)) }},
	{text{"Direkte markedsføring", "Direct marketing"}, func(r record, e entry) []string { return list(yes(e.activity.DirectMarketing, r.lang)) }},
	{text{"Uden for myndighedens opgaver", "Outside the authority's tasks"}, func(r record, e entry) []string { return list(yes(e.activity.OutsideAuthorityTasks, r.lang)) }},
	columnState, columnVersion, columnHistory,
}

// processorBody is art. 30(2)(b)-(c).
var processorBody = []column{
	columnID, columnPurpose, columnCategories, columnSystems, columnLocations, columnTransfers, columnState, columnVersion, columnHistory,
}

// recordTail is art. 30(1)(g) and 30(2)(d).
var recordTail = []column{
	{text{"Tekniske og organisatoriske sikkerhedsforanstaltninger (artikel 32)", "Technical and organisational security measures (Article 32)"}, unkept},
}

var (
	columnID         = column{text{"Aktivitet", "Activity"}, func(_ record, e entry) []string { return list(string(e.activity.ID)) }}
	columnPurpose    = column{text{"Formål", "Purpose"}, func(_ record, e entry) []string { return list(e.activity.Purpose) }}
	columnCategories = column{text{"Kategorier af oplysninger", "Categories of data"}, func(r record, e entry) []string {
		return exact(e.activity.DataCategories, categories, r.lang)
	}}
	columnSystems = column{text{"Systemer", "Systems"}, func(r record, e entry) []string {
		var out []string
		for _, id := range e.activity.Systems {
			if s, ok := r.system(id); ok {
				out = append(out, r.exactSystem(s))
				continue
			}
			out = append(out, string(id))
		}
		return out
	}}
	columnLocations = column{text{"Lande", "Countries"}, func(r record, e entry) []string { return exactPlaces(e.activity.Locations, r.lang) }}
	columnTransfers = column{text{"Overførsler uden for EU og EØS", "Transfers outside the EU and the EEA"}, record.transfers}
	columnState     = column{text{"Status", "State"}, func(r record, e entry) []string {
		if e.activity.Archived {
			return list(text{"Afsluttet", "Ended"}.in(r.lang))
		}
		return list(text{"Aktiv", "Active"}.in(r.lang))
	}}
	columnVersion = column{text{"Version", "Version"}, func(_ record, e entry) []string { return list(strconv.FormatInt(e.activity.Version, 10)) }}
	columnHistory = column{text{"Ændret af hvem og hvornår", "Changed by whom and when"}, func(r record, e entry) []string {
		var out []string
		for _, v := range r.versions(e.activity) {
			out = append(out, strconv.FormatInt(v.Number, 10)+": "+v.Time.UTC().Format(time.RFC3339)+" "+string(v.Author))
		}
		return out
	}}
)

// unkept says that the register has no place for a statement.
func unkept(r record, _ entry) []string { return list(notKept.in(r.lang)) }

// versions are those of an activity; the newest one alone where the others were not read.
func (r Register) versions(a consent.Activity) []Version {
	if all := r.Versions[a.ID]; len(all) > 0 {
		return all
	}
	return []Version{{Number: a.Version, Author: a.Author, Time: a.UpdateTime}}
}

func (r record) transfers(e entry) []string {
	var out []string
	for _, code := range r.third(e.activity) {
		says := exactPlaces(list(code), r.lang)[0] + ": "
		t, ok := transfer(e.activity, code)
		if !ok {
			out = append(out, says+notStated.in(r.lang))
			continue
		}
		says += transferGrounds[t.Ground].in(r.lang)
		if t.Safeguard != "" {
			says += " " + fill(text{"Garantier: {copy}", "Safeguards: {copy}"}.in(r.lang), "copy", t.Safeguard)
		}
		out = append(out, says)
	}
	return orElse(out, text{"Ingen registreret", "None registered"}.in(r.lang))
}

// limit is what is known of how long data is kept.
func (r record) limit(k consent.Retention) []string {
	var out []string
	if k.Period != "" {
		out = append(out, period(k.Period, r.lang)+" ("+k.Period+")")
	}
	if k.Event != "" {
		out = append(out, fill(text{"Regnet fra: {event}", "Counted from: {event}"}.in(r.lang), "event", exact(list(k.Event), events, r.lang)[0]))
	}
	switch {
	case k.Protected:
		out = append(out, fill(text{"Bevares trods anmodning om sletning (GDPR artikel 17, stk. 3): {ground}",
			"Kept although erasure is asked for (GDPR Article 17(3)): {ground}"}.in(r.lang), "ground", k.Ground))
	case k.Ground != "":
		out = append(out, fill(text{"Begrundelse: {ground}", "Reason: {ground}"}.in(r.lang), "ground", k.Ground))
	}
	return out
}

// exactSystem names a system with its id, who runs it and where.
func (r record) exactSystem(s consent.System) string {
	says := s.DisplayName + " (" + string(s.ID) + "): " + or(s.OperatedBy, text{"drift ikke oplyst", "operator not stated"}.in(r.lang)) + ", "
	if s.Location == "" {
		return says + text{"sted ikke oplyst", "place not stated"}.in(r.lang)
	}
	return says + exactPlaces(list(s.Location), r.lang)[0]
}

// exact are ids in words, each with the id itself.
func exact(ids []string, dictionary map[string]text, l Language) []string {
	var out []string
	for _, id := range ids {
		if t, ok := dictionary[id]; ok && t.in(l) != id {
			id = t.in(l) + " (" + id + ")"
		}
		out = append(out, id)
	}
	return out
}

// exactPlaces are countries by name and code.
func exactPlaces(codes []string, l Language) []string { return exact(codes, countries, l) }

// list leaves out what is empty.
func list(values ...string) []string {
	var out []string
	for _, v := range values {
		if v != "" {
			out = append(out, v)
		}
	}
	return out
}

func yes(b bool, l Language) string {
	if b {
		return text{"Ja", "Yes"}.in(l)
	}
	return text{"Nej", "No"}.in(l)
}
