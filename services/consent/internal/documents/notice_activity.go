package documents

import (
	"strconv"

	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// facts are what a notice says of one purpose.
func (n notice) facts(a consent.Activity) []fact {
	w := &wording
	facts := []fact{{n.say(w.why), n.why(a)}}
	if a.SpecialCondition != "" {
		facts = append(facts, fact{n.say(w.special), []string{n.say(w.sensitive,
			"because", conditions[a.SpecialCondition].in(n.lang), "article", cite(article9(a.SpecialCondition), n.lang))}})
	}
	facts = append(facts,
		fact{n.say(w.data), words(a.DataCategories, categories, n.lang, n.say(w.noData))},
		fact{n.say(w.about), words(a.SubjectCategories, people, n.lang, n.say(w.noPeople))},
		fact{n.say(w.from), []string{or(a.Source, n.say(w.fromPerson))}},
		fact{n.say(w.to), words(a.Recipients, nil, n.lang, n.say(w.noRecipients))},
		fact{n.say(w.systems), orElse(n.systemNames(a), n.say(w.noSystem))},
		fact{n.say(w.where), orElse(places(a.Locations, n.lang), n.say(w.noWhere))},
	)
	if sent := n.third(a); len(sent) > 0 {
		facts = append(facts, fact{n.say(w.outside), n.transfers(a, sent)})
	}
	facts = append(facts, fact{n.say(w.kept), n.retention(a)}, fact{n.say(w.automated), []string{n.automated(a)}})
	if a.DirectMarketing {
		facts = append(facts, fact{n.say(w.marketing), []string{n.say(w.objects)}})
	}
	return facts
}

func (n notice) why(a consent.Activity) []string {
	out := []string{n.say(whys[a.Basis], "article", cite(a.Basis.Article(), n.lang))}
	if a.Basis == consent.BasisConsent && consent.InEEA(n.Controller.Jurisdiction) {
		out = append(out, n.say(ageRule, "age", strconv.Itoa(consent.DigitalAge(n.Controller.Jurisdiction, n.Made))))
	}
	return out
}

func (n notice) transfers(a consent.Activity, sent []string) []string {
	var out []string
	for _, code := range sent {
		says := country(code, n.lang) + ": "
		t, ok := transfer(a, code)
		if !ok {
			out = append(out, says+n.say(wording.noGround))
			continue
		}
		says += transferGrounds[t.Ground].in(n.lang)
		switch {
		case t.Safeguard != "":
			says += " " + n.say(wording.copyOf, "copy", t.Safeguard)
		case t.Ground != consent.AdequacyDecision: // where it is adequate there are no safeguards to have a copy of
			says += " " + n.say(wording.noCopy)
		}
		out = append(out, says)
	}
	return out
}

func (n notice) retention(a consent.Activity) []string {
	r, w := a.Retention, &wording
	length, event := period(r.Period, n.lang), named(events, r.Event, n.lang)
	var out []string
	switch {
	case r.Period != "" && r.Event != "":
		out = append(out, n.say(w.keptAfter, "period", length, "event", event))
	case r.Period != "":
		out = append(out, n.say(w.keptFor, "period", length))
	case r.Event != "":
		out = append(out, n.say(w.keptFrom, "event", event))
	default:
		out = append(out, n.say(w.keptOpen))
	}
	switch {
	case r.Protected:
		out = append(out, n.say(w.protected, "ground", r.Ground))
	case r.Ground != "":
		out = append(out, n.say(w.keptBecause, "ground", r.Ground))
	}
	return out
}

func (n notice) automated(a consent.Activity) string {
	if a.AutomatedDecisions {
		return n.say(wording.automatedYes)
	}
	return n.say(wording.automatedNo)
}

// systemNames are the names for people of an activity's systems; one that is not in the register is named by its id.
func (r Register) systemNames(a consent.Activity) []string {
	var out []string
	for _, id := range a.Systems {
		name := readable(string(id))
		if s, ok := r.system(id); ok {
			name = s.DisplayName
		}
		out = append(out, name)
	}
	return out
}

// words are ids in words, or what is said where there are none.
func words(ids []string, dictionary map[string]text, l Language, none string) []string {
	out := make([]string, 0, len(ids))
	for _, id := range ids {
		out = append(out, named(dictionary, id, l))
	}
	return orElse(out, none)
}

func places(codes []string, l Language) []string {
	out := make([]string, 0, len(codes))
	for _, code := range codes {
		out = append(out, country(code, l))
	}
	return out
}

func orElse(list []string, none string) []string {
	if len(list) == 0 {
		return []string{none}
	}
	return list
}
