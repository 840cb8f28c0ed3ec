package sample

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// The namespaces of the roster (wsiEKSPORT version 7), and of the group ids in it.
const (
	rosterNamespace = "https://brugerdatabasen.stil.dk/bpi/wsieksport/7"
	groupNamespace  = "https://brugerdatabasen.stil.dk/bpi/common/3"
)

// RosterOptions says how an extract differs from the usual one.
type RosterOptions struct {
	// School is the controller whose extract it is; empty: [Controller].
	School string
	// Absent are the UNI-Logins of people who are left out: the roster has no tombstones, who has left is not there.
	Absent []string
	// Exported is when the extract was made; zero: 21 November 2026, 03:12 UTC.
	Exported time.Time
	// SchoolYear is for example "2027-2028"; empty: "2026-2027".
	SchoolYear string
	// Envelope puts the extract into the SOAP envelope in which the service answers.
	Envelope bool
}

// Roster writes a school's UNI-Login extract (wsiEKSPORT version 7, small package): the people of the sample, and one trainee who
// was created by hand and has no user name.
func Roster(w io.Writer, o RosterOptions) error {
	if o.School == "" {
		o.School = Controller
	}
	if o.Exported.IsZero() {
		o.Exported = time.Date(2026, time.November, 21, 3, 12, 0, 0, time.UTC)
	}
	if o.SchoolYear == "" {
		o.SchoolYear = "2026-2027"
	}
	r := &roster{w: bufio.NewWriter(w)}
	r.line(`<?xml version="1.0" encoding="UTF-8"?>`)
	if o.Envelope {
		r.line(`<soap:Envelope xmlns:soap="http://www.w3.org/2003/05/soap-envelope"><soap:Body>`)
		r.line(`<w:eksporterXmlLilleResponse xmlns:w="%s"><w:xml>`, rosterNamespace)
	}
	r.extract(o)
	if o.Envelope {
		r.line(`</w:xml></w:eksporterXmlLilleResponse></soap:Body></soap:Envelope>`)
	}
	if err := r.w.Flush(); err != nil {
		return fmt.Errorf("sample: write roster: %w", err)
	}
	return nil
}

// roster writes lines; a bufio.Writer keeps the first error until it is flushed.
type roster struct{ w *bufio.Writer }

// line writes a line whose arguments are escaped.
func (r *roster) line(format string, args ...any) {
	for i, a := range args {
		if s, ok := a.(string); ok {
			var b strings.Builder
			_ = xml.EscapeText(&b, []byte(s)) // a strings.Builder takes everything
			args[i] = b.String()
		}
	}
	_, _ = fmt.Fprintf(r.w, format+"\n", args...)
}

func (r *roster) extract(o RosterOptions) {
	at := o.Exported.UTC()
	r.line(`<s:UNILoginExportSmall xmlns:s="%s/small" xmlns:c="%s/common" xmlns:b="%s" exportDateTime="%s" accessLevel="small">`,
		rosterNamespace, rosterNamespace, groupNamespace, at.Format(time.RFC3339))
	r.line(`<c:ImportSource source="SAMPLE-ADM" sourceDateTime="%s" schoolYear="%s"/>`, at.Add(-6*time.Hour).Format(time.RFC3339), o.SchoolYear)
	for _, s := range Schools() {
		if s.ID == o.School {
			r.line(`<s:Institution><c:InstitutionNumber>%s</c:InstitutionNumber><c:InstitutionName>%s</c:InstitutionName>`,
				s.InstitutionNumber, s.Name)
		}
	}
	w := newWorld()
	for _, c := range w.classes {
		if c.school == o.School {
			r.line(`<c:Group><c:GroupId>%s</c:GroupId><c:GroupName>%s</c:GroupName><c:GroupType>Hovedgruppe</c:GroupType>`+
				`<c:GroupLevel>%d</c:GroupLevel><c:Line>%s</c:Line></c:Group>`, c.name, "Klasse "+c.name, c.level, strings.ToUpper(c.name[1:]))
		}
	}
	for _, p := range w.people {
		if p.Controller == o.School && !slices.Contains(o.Absent, p.UniLogin) {
			r.person(w, p)
		}
	}
	r.line(`<s:InstitutionPerson source="HUGO Brugeradministrationen"><c:Extern><c:Role>Praktikant</c:Role></c:Extern></s:InstitutionPerson>`)
	r.line(`</s:Institution></s:UNILoginExportSmall>`)
}

func (r *roster) person(w *world, p Person) {
	r.line(`<s:InstitutionPerson source="SAMPLE-ADM"><s:Person><c:FirstName>%s</c:FirstName><c:FamilyName>%s</c:FamilyName>`+
		`<c:UserId>%s</c:UserId></s:Person>`, p.FirstName, p.LastName, p.UniLogin)
	switch {
	case p.Role == "elev":
		c := w.classes[p.class]
		r.line(`<s:Student><c:Role>Elev</c:Role><c:StudentNumber>%s</c:StudentNumber><c:Level>%d</c:Level>`+
			`<c:MainGroupId>%s</c:MainGroupId></s:Student>`, p.LocalPersonID, c.level, c.name)
	case p.class >= 0:
		r.line(`<c:Employee><c:Role>Lærer</c:Role><c:ShortName>%s</c:ShortName><b:GroupId>%s</b:GroupId></c:Employee>`,
			shortName(p), w.classes[p.class].name)
	case p.Role == "leder":
		r.line(`<c:Employee><c:Role>Ledelse</c:Role><c:ShortName>%s</c:ShortName></c:Employee>`, shortName(p))
	default:
		r.line(`<c:Employee><c:Role>Lærer</c:Role><c:ShortName>%s</c:ShortName></c:Employee>`, shortName(p))
	}
	r.line(`</s:InstitutionPerson>`)
}

// shortName is a teacher's initials.
func shortName(p Person) string {
	first, last := []rune(p.FirstName), []rune(p.LastName)
	return string(first[:1]) + string(last[:1])
}
