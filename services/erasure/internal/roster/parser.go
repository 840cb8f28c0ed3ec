package roster

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
)

// parser walks the tokens of one document. It follows elements by their path below the document element of the extract; what stands
// around that element (a SOAP envelope) is passed over.
type parser struct {
	dec    *xml.Decoder
	limits Limits

	depth int      // of open elements, envelope included
	path  []string // local names from the extract's own element down; nil outside it
	text  []byte   // of the value that is being read
	value bool     // whether the innermost element is a value of interest

	extract Extract
	years   []string
	entry   entry // the InstitutionPerson that is being read
	entries int
	places  map[UserID]int    // of each person in extract.People
	listed  map[listing]Roles // what each source has said of each person
	groups  map[string]bool
	mains   map[string]int // main groups and how often they are named; looked up when all groups are known
	warned  map[WarningCode]int

	roots, institutions int
	ended               bool // the outermost element was closed
}

// entry is one InstitutionPerson.
type entry struct {
	source string
	user   UserID
	roles  Roles
}

// listing is one source's word about one person.
type listing struct {
	user   UserID
	source string
}

// values are the elements whose text is read, by their path. Names of people are not among them.
var values = map[string]bool{
	rootName + "/Institution/InstitutionNumber":                     true,
	rootName + "/Institution/InstitutionName":                       true,
	rootName + "/Institution/Group/GroupId":                         true,
	rootName + "/Institution/InstitutionPerson/Person/UserId":       true,
	rootName + "/Institution/InstitutionPerson/Student/MainGroupId": true,
}

func (p *parser) run() error {
	for {
		token, err := p.dec.Token()
		if errors.Is(err, io.EOF) {
			return p.complete()
		}
		if err != nil {
			return err
		}
		switch t := token.(type) {
		case xml.Directive:
			err = ErrForbidden
		case xml.StartElement:
			err = p.start(t)
		case xml.EndElement:
			err = p.end()
		case xml.CharData:
			err = p.chars(t)
		}
		if err != nil {
			return err
		}
	}
}

// complete is called at the end of the input; the decoder has seen to it that every element was closed.
func (p *parser) complete() error {
	if p.roots != 1 || p.institutions != 1 || p.extract.Institution == "" {
		return ErrNotRoster
	}
	return nil
}

func (p *parser) start(t xml.StartElement) error {
	if p.depth == 0 && p.ended {
		return ErrNotRoster // something after the document's end
	}
	if p.depth++; p.depth > p.limits.MaxDepth {
		return ErrTooLarge
	}
	if p.path == nil {
		if t.Name.Local != rootName {
			return p.envelope(t.Name.Local)
		}
		return p.root(t)
	}
	p.path = append(p.path, t.Name.Local)
	at := strings.Join(p.path, "/")
	p.value, p.text = values[at], p.text[:0]
	switch at {
	case rootName + "/ImportSource":
		p.schoolYear(attr(t, "schoolYear"))
	case rootName + "/Institution":
		if p.institutions++; p.institutions > 1 {
			return ErrNotRoster
		}
	case rootName + "/Institution/InstitutionPerson":
		p.entry = entry{source: attr(t, "source")}
		if p.entries++; p.entries > p.limits.MaxPeople {
			return ErrTooLarge
		}
	case rootName + "/Institution/InstitutionPerson/Student":
		p.entry.roles = p.entry.roles.With(Student)
	case rootName + "/Institution/InstitutionPerson/Employee":
		p.entry.roles = p.entry.roles.With(Employee)
	case rootName + "/Institution/InstitutionPerson/Extern":
		p.entry.roles = p.entry.roles.With(Extern)
	}
	return nil
}

// envelope passes over the elements around the extract. A document whose outermost element is neither the extract nor an
// envelope is refused at once, however long it is.
func (p *parser) envelope(name string) error {
	if p.depth == 1 && name != "Envelope" && !strings.HasSuffix(name, "Response") {
		return ErrNotRoster
	}
	return nil
}

// root is called at the extract's own element.
func (p *parser) root(t xml.StartElement) error {
	if p.roots++; p.roots > 1 {
		return ErrNotRoster
	}
	if level := attr(t, "accessLevel"); level != "" && level != "small" {
		return ErrNotRoster
	}
	exported, err := parseExportTime(attr(t, "exportDateTime"))
	if err != nil {
		return err
	}
	p.extract.ExportTime = exported
	p.path = append(p.path, rootName)
	return nil
}

func (p *parser) end() error {
	p.depth--
	p.ended = p.depth == 0
	if p.path == nil {
		return nil
	}
	at := strings.Join(p.path, "/")
	p.path = p.path[:len(p.path)-1]
	if len(p.path) == 0 {
		p.path = nil
	}
	text := strings.TrimSpace(string(p.text))
	p.value, p.text = false, p.text[:0]
	switch at {
	case rootName + "/Institution/InstitutionNumber":
		if p.extract.Institution != "" {
			return ErrNotRoster
		}
		p.extract.Institution = InstitutionNumber(text)
	case rootName + "/Institution/InstitutionName":
		p.extract.InstitutionName = text
	case rootName + "/Institution/Group/GroupId":
		p.groups[text] = true
	case rootName + "/Institution/InstitutionPerson/Student/MainGroupId":
		p.mains[text]++
	case rootName + "/Institution/InstitutionPerson/Person/UserId":
		if p.entry.user != "" {
			return ErrNotRoster // two people in one entry: one of them would be taken for gone
		}
		p.entry.user = UserID(text)
	case rootName + "/Institution/InstitutionPerson":
		return p.person()
	}
	return nil
}

func (p *parser) chars(t xml.CharData) error {
	if p.depth == 0 && len(bytes.Trim(t, "\ufeff \t\r\n")) > 0 {
		return ErrNotRoster // text before or after the document
	}
	if !p.value {
		return nil
	}
	if len(p.text)+len(t) > p.limits.MaxText {
		return ErrTooLarge
	}
	p.text = append(p.text, t...)
	return nil
}

// person takes in the entry that has just ended. Entries of one person are merged where they differ in source or role; the same entry
// twice is refused, because a file that doubles people cannot be trusted to name all of them.
func (p *parser) person() error {
	e := p.entry
	if e.user == "" {
		p.extract.WithoutPerson++
		return nil
	}
	if e.roles == 0 {
		p.warned[WarnNoRole]++
	}
	at := listing{e.user, e.source}
	before, again := p.listed[at]
	if again && (before&e.roles != 0 || before == e.roles) {
		return ErrDuplicate
	}
	p.listed[at] = before | e.roles
	place, seen := p.places[e.user]
	if !seen {
		p.places[e.user] = len(p.extract.People)
		p.extract.People = append(p.extract.People, Person{UserID: e.user, Roles: e.roles})
		return nil
	}
	p.extract.People[place].Roles |= e.roles
	p.warned[WarnMerged]++
	return nil
}

func (p *parser) schoolYear(year string) {
	if year != "" && !slices.Contains(p.years, year) {
		p.years = append(p.years, year)
	}
}

// finish adds what can be told only when everything was read.
func (p *parser) finish() Extract {
	x := p.extract
	for group, n := range p.mains {
		if !p.groups[group] {
			p.warned[WarnDanglingGroup] += n
		}
	}
	p.warned[WarnNoPerson] = x.WithoutPerson
	switch len(p.years) {
	case 0:
		p.warned[WarnNoSchoolYear] = 1
	case 1:
		x.SchoolYear = p.years[0]
	default:
		x.SchoolYear = slices.Max(p.years)
		p.warned[WarnSchoolYears] = len(p.years)
	}
	for _, code := range []WarningCode{WarnNoPerson, WarnNoRole, WarnMerged, WarnDanglingGroup, WarnSchoolYears, WarnNoSchoolYear} {
		if n := p.warned[code]; n > 0 {
			x.Warnings = append(x.Warnings, Warning{Code: code, Count: n})
		}
	}
	return x
}

// attr returns the attribute of that local name, or "".
func attr(t xml.StartElement, name string) string {
	for _, a := range t.Attr {
		if a.Name.Local == name {
			return strings.TrimSpace(a.Value)
		}
	}
	return ""
}
