package documents

import (
	"strconv"
	"unicode/utf8"

	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// Notice prints the notice for those whom the data is about, or for their guardians (GDPR art. 13, 14). Activities that have
// ended are left out. The formats are Markdown and HTML.
func Notice(r Register, l Language, to Audience, f Format) (Document, error) {
	n := notice{Register: r, lang: l, to: to}
	return n.page().as(f)
}

// notice speaks to one audience in one language.
type notice struct {
	Register
	lang Language
	to   Audience
}

// say puts a sentence in the words of the audience and language. Pairs fill what stands in braces.
func (n notice) say(v voice, pairs ...string) string {
	t := v.subject
	if n.to == Guardian {
		t = v.guardian
	}
	return fill(t.in(n.lang), append(pairs, "name", n.Controller.DisplayName)...)
}

func (n notice) page() page {
	w := &wording
	return page{
		Lang: n.lang, Title: n.say(w.title), Lead: []string{n.say(w.lead)},
		Sections: []section{n.responsible(), n.officer(), n.processors(), n.uses(), n.duty(), n.rights(), n.complaint()},
		End:      n.say(w.end, "day", day(n.Made, n.lang)),
	}
}

// responsible names the controller (art. 13(1)(a)).
func (n notice) responsible() section {
	s := section{Heading: n.say(wording.whoHeading), Text: []string{n.say(wording.who)}}
	if n.Controller.Contact == "" {
		s.Text = append(s.Text, n.say(wording.noContact))
		return s
	}
	s.Facts = []fact{{n.say(wording.contact), []string{n.Controller.Contact}}}
	return s
}

// officer names the data protection officer (art. 13(1)(b)).
func (n notice) officer() section {
	s := section{Heading: n.say(wording.dpoHeading)}
	dpo := n.Controller.DPO
	if dpo == (consent.ContactPerson{}) {
		s.Text = []string{n.say(wording.noDPO)}
		return s
	}
	s.Text = []string{n.say(wording.dpo)}
	if dpo.Name != "" {
		s.Facts = append(s.Facts, fact{n.say(wording.officer), []string{dpo.Name}})
	}
	s.Facts = append(s.Facts, fact{n.say(wording.email), []string{or(dpo.Email, n.say(wording.noEmail))}})
	return s
}

// processors names the systems and who runs them.
func (n notice) processors() section {
	s := section{Heading: n.say(wording.processorsHeading)}
	if len(n.Systems) == 0 {
		s.Text = []string{n.say(wording.noSystems)}
		return s
	}
	s.Text = []string{n.say(wording.processors)}
	for _, system := range n.Systems {
		runs, lies := n.say(wording.noOperator), n.say(wording.noPlace)
		if system.OperatedBy != "" {
			runs = n.say(wording.operatedBy, "who", system.OperatedBy)
		}
		if system.Location != "" {
			lies = n.say(wording.placedIn, "where", country(system.Location, n.lang))
		}
		s.Facts = append(s.Facts, fact{system.DisplayName, []string{runs, lies}})
	}
	return s
}

// longHeading is from how many characters on a purpose is a text and no heading.
const longHeading = 120

// uses has a part for each purpose (art. 13(1)(c)-(f), 13(2)(a), (f), 14(1)(d), 14(2)(f)).
func (n notice) uses() section {
	s := section{Heading: n.say(wording.usesHeading)}
	activities := n.active()
	if len(activities) == 0 {
		s.Text = []string{n.say(wording.noUses)}
		return s
	}
	s.Text = []string{n.say(wording.uses)}
	for i, a := range activities {
		part := section{Heading: a.Purpose, Facts: n.facts(a)}
		if utf8.RuneCountInString(a.Purpose) > longHeading {
			part.Heading, part.Text = n.say(wording.purpose, "n", strconv.Itoa(i+1)), []string{a.Purpose}
		}
		s.Parts = append(s.Parts, part)
	}
	return s
}

// duty says what is known of whether the data has to be given (art. 13(2)(e)): the register knows only what consent is for.
func (n notice) duty() section {
	s := section{Heading: n.say(wording.dutyHeading)}
	asked, other := false, false
	for _, a := range n.active() {
		asked = asked || a.Basis == consent.BasisConsent
		other = other || a.Basis != consent.BasisConsent
	}
	switch {
	case asked && other:
		s.Text = []string{n.say(wording.dutyConsent), n.say(wording.dutyRest)}
	case asked:
		s.Text = []string{n.say(wording.dutyConsent)}
	default:
		s.Text = []string{n.say(wording.dutyUnknown)}
	}
	return s
}

// rights lists them (art. 13(2)(b)-(c)). Periods are told as law only where they are (requirement R10).
func (n notice) rights() section {
	s := section{Heading: n.say(wording.rightsHeading)}
	if consent.InEEA(n.Controller.Jurisdiction) {
		s.Text = []string{n.say(wording.how), n.say(wording.deadline)}
	} else {
		s.Text = []string{n.say(wording.elsewhere, "country", country(n.Controller.Jurisdiction, n.lang))}
	}
	for _, right := range rights {
		if right.only == nil || right.only(n.active()) {
			s.List = append(s.List, n.say(right.says))
		}
	}
	return s
}

// complaint names the supervisory authority (art. 13(2)(d)).
func (n notice) complaint() section {
	s := section{Heading: n.say(wording.complainHeading), Text: []string{n.say(wording.complain)}}
	if !consent.InEEA(n.Controller.Jurisdiction) {
		s.Text = append(s.Text, n.say(wording.complainElsewhere))
		return s
	}
	known, ok := authorities[n.Controller.Jurisdiction]
	if !ok {
		known.Name = yourAuthority.in(n.lang)
	}
	s.Text = append(s.Text, n.say(wording.complainTo, "authority", known.Name))
	if known.Web != "" {
		s.Link = &link{known.Name, known.Web}
	}
	return s
}

// or gives the first text unless it is empty.
func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
