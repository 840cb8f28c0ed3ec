package roster_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/privacyops/privacyops/services/erasure/internal/roster"
)

// doc is one extract to be written. The zero values of its text fields are filled with what a right extract has.
type doc struct {
	root, institution, exported string
	years                       []string // school years, one ImportSource each
	groups                      []string
	entries                     []string
	soap                        bool
}

const namespaces = `xmlns:s="https://brugerdatabasen.stil.dk/bpi/wsieksport/7/small" ` +
	`xmlns:c="https://brugerdatabasen.stil.dk/bpi/wsieksport/7/common" xmlns:b="https://brugerdatabasen.stil.dk/bpi/common/3"`

func (d doc) String() string {
	or := func(s, otherwise string) string {
		if s == "" {
			return otherwise
		}
		return s
	}
	var w strings.Builder
	w.WriteString(`<?xml version="1.0" encoding="UTF-8"?>` + "\n")
	if d.soap {
		w.WriteString(`<soap:Envelope xmlns:soap="http://www.w3.org/2003/05/soap-envelope"><soap:Body><r:eksporterXmlLilleResponse xmlns:r="r"><r:xml>`)
	}
	root := or(d.root, "s:UNILoginExportSmall")
	fmt.Fprintf(&w, `<%s %s exportDateTime="%s" accessLevel="small">`, root, namespaces, or(d.exported, "2026-11-21T04:12:00+01:00"))
	if d.years == nil {
		d.years = []string{"2026-2027"}
	}
	for i, year := range d.years {
		fmt.Fprintf(&w, `<c:ImportSource source="SRC%d" sourceDateTime="2026-11-20T22:00:00+01:00" schoolYear="%s"/>`, i, year)
	}
	fmt.Fprintf(&w, `<s:Institution><c:InstitutionNumber>%s</c:InstitutionNumber><c:InstitutionName>Testskolen</c:InstitutionName>`, or(d.institution, "A0A001"))
	for _, group := range d.groups {
		fmt.Fprintf(&w, `<c:Group><c:GroupId>%s</c:GroupId><c:GroupType>Hold</c:GroupType></c:Group>`, group)
	}
	for _, e := range d.entries {
		w.WriteString(e + "\n")
	}
	fmt.Fprintf(&w, `</s:Institution></%s>`, root)
	if d.soap {
		w.WriteString(`</r:xml></r:eksporterXmlLilleResponse></soap:Body></soap:Envelope>`)
	}
	return w.String()
}

func person(user string) string {
	return `<s:Person><c:FirstName>Alma</c:FirstName><c:FamilyName>Prøve</c:FamilyName><c:UserId>` + user + `</c:UserId></s:Person>`
}

func entry(source string, parts ...string) string {
	return `<s:InstitutionPerson source="` + source + `">` + strings.Join(parts, "") + `</s:InstitutionPerson>`
}

func student(user string) string { return entry("TEST-ADM", person(user), inGroup("4a")) }

func inGroup(main string) string {
	return `<s:Student><c:Role>Elev</c:Role><c:Level>4</c:Level><c:MainGroupId>` + main + `</c:MainGroupId><b:GroupId>4a</b:GroupId></s:Student>`
}

const (
	employee = `<c:Employee><c:Role>Lærer</c:Role><c:Role>Vikar</c:Role><b:GroupId>4a</b:GroupId></c:Employee>`
	extern   = `<c:Extern><c:Role>Praktikant</c:Role></c:Extern>`
)

func parse(tb testing.TB, text string) roster.Extract {
	tb.Helper()
	x, err := roster.Parse(strings.NewReader(text), roster.Limits{})
	if err != nil {
		tb.Fatal(err)
	}
	return x
}
