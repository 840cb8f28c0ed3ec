package documents

import (
	"strings"

	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// RecordOfProcessing prints the record of processing activities, of the controller (GDPR art. 30(1)) or of its processors
// (art. 30(2)), in the controller's language. Activities that have ended are in it and marked. The formats are CSV, Markdown and
// JSON (JSON-LD with the terms of the W3C Data Privacy Vocabulary).
func RecordOfProcessing(r Register, p Perspective, f Format) (Document, error) {
	rec := record{Register: r, lang: Language(r.Controller.Language), of: p}
	switch f {
	case CSV:
		return Document{ContentType: typeCSV, Body: table(rec.rows())}, nil
	case Markdown:
		return rec.page().as(Markdown)
	case JSON:
		body, err := rec.json()
		return Document{ContentType: typeJSONLD, Body: body}, err
	case HTML:
	}
	return Document{}, noFormat()
}

// record is a record of processing in one language.
type record struct {
	Register
	lang Language
	of   Perspective
}

// group are the activities that stand below one heading: all of them, or those in the systems that one processor runs.
type group struct {
	// operator is who runs the systems; empty where that is not stated. Unused in the record of the controller.
	operator   string
	systems    []consent.System
	activities []consent.Activity
}

// runs reports whether an activity happens in one of the group's systems.
func (g group) runs(a consent.Activity) bool {
	for _, s := range g.systems {
		for _, id := range a.Systems {
			if s.ID == id {
				return true
			}
		}
	}
	return false
}

// groups are the one of the controller, or one for each processor. Nothing is lost: activities in no system that is registered are
// with those of an operator who is not stated.
func (r record) groups() []group {
	if r.of == OfController {
		return []group{{systems: r.Systems, activities: r.Activities}}
	}
	var out []group
	place := map[string]int{}
	for _, s := range r.Systems {
		if _, ok := place[s.OperatedBy]; !ok {
			place[s.OperatedBy] = len(out)
			out = append(out, group{operator: s.OperatedBy})
		}
		g := &out[place[s.OperatedBy]]
		g.systems = append(g.systems, s)
	}
	var nowhere []consent.Activity
	for _, a := range r.Activities {
		found := false
		for i := range out {
			if out[i].runs(a) {
				out[i].activities = append(out[i].activities, a)
				found = true
			}
		}
		if !found {
			nowhere = append(nowhere, a)
		}
	}
	if len(nowhere) > 0 || len(out) == 0 { // an empty record says for whom it is empty
		if _, ok := place[""]; !ok {
			place[""] = len(out)
			out = append(out, group{})
		}
		out[place[""]].activities = append(out[place[""]].activities, nowhere...)
	}
	return out
}

// column is one statement of the record: a fact of the page, and a column of the table.
type column struct {
	label text
	// values of an entry; none says that the register does not know.
	values func(r record, e entry) []string
}

// entry is one activity in one group.
type entry struct {
	group    group
	activity consent.Activity
}

// columns are those that are the same for a whole group, those of each activity, and those at the end.
func (r record) columns() (head, body, tail []column) {
	if r.of == OfProcessor {
		return processorHead, processorBody, recordTail
	}
	return controllerHead, controllerBody, recordTail
}

func (r record) values(c column, e entry) []string {
	return orElse(c.values(r, e), notStated.in(r.lang))
}

// rows are the table: a line for each activity.
func (r record) rows() [][]string {
	head, body, tail := r.columns()
	all := append(append(append([]column(nil), head...), body...), tail...)
	row := func(cell func(c column, ofActivity bool) string) []string {
		var out []string
		for i, c := range all {
			out = append(out, cell(c, i >= len(head) && i < len(head)+len(body)))
		}
		return out
	}
	out := [][]string{row(func(c column, _ bool) string { return c.label.in(r.lang) })}
	for _, g := range r.groups() {
		for _, a := range g.activities {
			out = append(out, row(func(c column, _ bool) string { return strings.Join(r.values(c, entry{g, a}), "; ") }))
		}
		if len(g.activities) == 0 {
			out = append(out, row(func(c column, ofActivity bool) string {
				if ofActivity {
					return ""
				}
				return strings.Join(r.values(c, entry{group: g}), "; ")
			}))
		}
	}
	return out
}

// page is the record for people.
func (r record) page() page {
	head, body, tail := r.columns()
	p := page{
		Lang: r.lang, Title: fill(recordTitle[r.of].in(r.lang), "name", r.Controller.DisplayName),
		Lead: []string{recordLead[r.of].in(r.lang)},
		End:  fill(recordEnd.in(r.lang), "day", day(r.Made, r.lang)),
	}
	facts := func(columns []column, e entry) []fact {
		var out []fact
		for _, c := range columns {
			out = append(out, fact{c.label.in(r.lang), r.values(c, e)})
		}
		return out
	}
	for _, g := range r.groups() {
		s := section{Heading: or(g.operator, notStated.in(r.lang)), Facts: facts(head, entry{group: g})}
		if r.of == OfController {
			s.Heading = text{"Dataansvarlig", "Controller"}.in(r.lang)
		}
		for _, a := range g.activities {
			heading := string(a.ID)
			if a.Archived {
				heading += " (" + ended.in(r.lang) + ")"
			}
			s.Parts = append(s.Parts, section{Heading: heading, Facts: facts(body, entry{g, a})})
		}
		if len(g.activities) == 0 {
			s.Text = []string{noActivities.in(r.lang)}
		}
		p.Sections = append(p.Sections, s)
	}
	p.Sections = append(p.Sections, section{Heading: text{"Generelt", "In general"}.in(r.lang), Facts: facts(tail, entry{})})
	return p
}
