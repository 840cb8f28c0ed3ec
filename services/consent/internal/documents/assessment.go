package documents

// ImpactAssessmentInput prints the facts that an impact assessment starts from: the systematic description of the processing
// (GDPR art. 35(7)(a)), which criteria for an assessment the register points to, and what it cannot know, as questions to the
// controller. It gives no verdict. Activities that have ended are left out. The formats are Markdown and JSON.
func ImpactAssessmentInput(r Register, l Language, f Format) (Document, error) {
	in := assessment{record{Register: r, lang: l}}
	switch f {
	case Markdown:
		return in.page().as(Markdown)
	case JSON:
		body, err := indented(in.data())
		return Document{ContentType: typeJSON, Body: body}, err
	case HTML, CSV:
	}
	return Document{}, noFormat()
}

// assessment is the input in one language.
type assessment struct{ record }

var assessmentText = struct {
	title, lead, noVerdict, end                              text
	who, overview, description, systems, art35, wp248, asked text
	standing, facts, question                                text
	special, vulnerable, recipients, transfers               text
	automated, noLimit, ended, none                          text
}{
	title:     text{"Grundlag for konsekvensanalyse: {name}", "Input to an impact assessment: {name}"},
	lead:      text{"Her er de oplysninger i registret, som en konsekvensanalyse begynder med (GDPR artikel 35, stk. 7, litra a).", "These are the facts in the register that an impact assessment starts from (GDPR Article 35(7)(a))."},
	noVerdict: text{"Det er ikke en konsekvensanalyse og ikke en afgørelse af, om der skal laves en. Det vurderer den dataansvarlige.", "This is not an impact assessment, and it does not decide whether one is required. That is for the controller to judge."},
	end:       text{"Udskrevet den {day} fra registret over behandlingsaktiviteter.", "Printed on {day} from the register of processing activities."},

	who:         text{"Dataansvarlig", "Controller"},
	overview:    text{"Overblik", "Overview"},
	description: text{"Systematisk beskrivelse af behandlingen", "Systematic description of the processing"},
	systems:     text{"Systemer", "Systems"},
	art35:       text{"Kriterierne i GDPR artikel 35, stk. 3", "The criteria of GDPR Article 35(3)"},
	wp248:       text{"De ni kriterier i retningslinjerne WP 248", "The nine criteria of the guidelines WP 248"},
	asked:       text{"Spørgsmål, som registret ikke kan besvare", "Questions that the register cannot answer"},

	standing: text{"Hvad registret viser", "What the register shows"},
	facts:    text{"Oplysninger", "Facts"},
	question: text{"Spørgsmål til den dataansvarlige", "Question to the controller"},

	special:    text{"Aktiviteter med følsomme oplysninger", "Activities with special categories of data"},
	vulnerable: text{"Aktiviteter om børn og andre sårbare personer", "Activities on children and other vulnerable people"},
	recipients: text{"Modtagere", "Recipients"},
	transfers:  text{"Lande uden for EU og EØS", "Countries outside the EU and the EEA"},
	automated:  text{"Aktiviteter med automatiske afgørelser", "Activities with automated decisions"},
	noLimit:    text{"Aktiviteter uden fastsat opbevaringsperiode", "Activities without a set period of keeping"},
	ended:      text{"Afsluttede aktiviteter, som ikke er med", "Activities that have ended and are left out"},
	none:       text{"Ingen registreret", "None registered"},
}

// openQuestions are what an assessment needs and no register holds, with the place in GDPR art. 35.
var openQuestions = []struct {
	article string
	asks    text
}{
	{"35(4)", text{"Står behandlingen på tilsynsmyndighedens liste over behandling, der kræver en konsekvensanalyse?", "Is the processing on the supervisory authority's list of processing that requires an impact assessment?"}},
	{"35(5)", text{"Står behandlingen på en liste over behandling, der ikke kræver en konsekvensanalyse?", "Is the processing on a list of processing that requires no impact assessment?"}},
	{"35(10)", text{"Er der allerede lavet en konsekvensanalyse, da loven blev vedtaget?", "Was an impact assessment carried out already when the law was adopted?"}},
	{"35(7)(b)", text{"Er behandlingen nødvendig, og står den i rimeligt forhold til formålet? Kunne det nås med færre oplysninger?", "Is the processing necessary and proportionate to the purpose? Could it be reached with less data?"}},
	{"35(7)(c)", text{"Hvilke risici er der for personernes rettigheder og frihedsrettigheder, hvor sandsynlige er de, og hvor alvorlige?", "What are the risks to people's rights and freedoms, how likely are they, and how severe?"}},
	{"35(7)(d)", text{"Hvilke foranstaltninger og sikkerhedsmekanismer imødegår risiciene?", "Which measures, safeguards and mechanisms address the risks?"}},
	{"35(2)", text{"Hvad råder databeskyttelsesrådgiveren til?", "What does the data protection officer advise?"}},
	{"35(9)", text{"Hvad mener de registrerede eller deres repræsentanter, for eksempel elever og forældre?", "What are the views of the people concerned or their representatives, for example pupils and parents?"}},
	{"35(8)", text{"Hvilke godkendte adfærdskodekser følger den dataansvarlige og databehandlerne?", "Which approved codes of conduct do the controller and the processors comply with?"}},
	{"35(11)", text{"Hvornår skal analysen efterprøves, og hvad kan ændre risikoen?", "When is the assessment to be reviewed, and what may change the risk?"}},
}

// overview is what stands out, by activity.
func (in assessment) overview() []fact {
	var special, vulnerable, recipients, countries, automated, noLimit, ended []string
	unique := func(list *[]string, v string) {
		for _, have := range *list {
			if have == v {
				return
			}
		}
		*list = append(*list, v)
	}
	for _, f := range found(sensitiveOnes(in.Register)) {
		unique(&special, string(f.activity)+": "+f.says.in(in.lang))
	}
	for _, f := range found(vulnerableOnes(in.Register)) {
		unique(&vulnerable, string(f.activity)+": "+f.says.in(in.lang))
	}
	for _, a := range in.active() {
		for _, r := range a.Recipients {
			unique(&recipients, r)
		}
		for _, says := range in.record.transfers(entry{activity: a}) {
			if len(in.third(a)) > 0 {
				unique(&countries, string(a.ID)+": "+says)
			}
		}
		if a.AutomatedDecisions {
			automated = append(automated, string(a.ID))
		}
		if a.Retention.Period == "" {
			noLimit = append(noLimit, string(a.ID))
		}
	}
	for _, a := range in.Activities {
		if a.Archived {
			ended = append(ended, string(a.ID))
		}
	}
	t := &assessmentText
	var out []fact
	for _, line := range []struct {
		label  text
		values []string
	}{
		{t.special, special}, {t.vulnerable, vulnerable}, {t.recipients, recipients}, {t.transfers, countries},
		{t.automated, automated}, {t.noLimit, noLimit}, {t.ended, ended},
	} {
		out = append(out, fact{line.label.in(in.lang), orElse(line.values, t.none.in(in.lang))})
	}
	return out
}

func found(_ standing, list []finding) []finding { return list }

// columnsOf are the facts by columns of the record.
func (in assessment) columnsOf(columns []column, e entry) []fact {
	var out []fact
	for _, c := range columns {
		out = append(out, fact{c.label.in(in.lang), in.values(c, e)})
	}
	return out
}

func (in assessment) page() page {
	t, l := &assessmentText, in.lang
	description := section{Heading: t.description.in(l)}
	for _, a := range in.active() {
		description.Parts = append(description.Parts, section{Heading: string(a.ID), Facts: in.columnsOf(controllerBody, entry{activity: a})})
	}
	if len(description.Parts) == 0 {
		description.Text = []string{noActivities.in(l)}
	}
	systems := section{Heading: t.systems.in(l)}
	for _, s := range in.Systems {
		systems.List = append(systems.List, in.exactSystem(s))
	}
	if len(in.Systems) == 0 {
		systems.Text = []string{t.none.in(l)}
	}
	asked := section{Heading: t.asked.in(l)}
	for _, q := range openQuestions {
		asked.List = append(asked.List, q.asks.in(l)+" ("+cite(q.article, l)+")")
	}
	return page{
		Lang: l, Title: fill(t.title.in(l), "name", in.Controller.DisplayName),
		Lead: []string{t.lead.in(l), t.noVerdict.in(l)},
		Sections: []section{
			{Heading: t.who.in(l), Facts: in.columnsOf(controllerHead, entry{})},
			{Heading: t.overview.in(l), Facts: in.overview()},
			description, systems,
			{Heading: t.art35.in(l), Parts: in.criteria(article35)},
			{Heading: t.wp248.in(l), Parts: in.criteria(guidelines)},
			asked,
		},
		End: fill(t.end.in(l), "day", day(in.Made, l)),
	}
}

func (in assessment) criteria(list []criterion) []section {
	t, l := &assessmentText, in.lang
	var out []section
	for _, c := range list {
		s, found := c.find(in.Register)
		part := section{Heading: c.id + ": " + c.says.in(l), Facts: []fact{{t.standing.in(l), []string{standings[s].in(l)}}}}
		if len(found) > 0 {
			f := fact{Label: t.facts.in(l)}
			for _, one := range found {
				f.Values = append(f.Values, string(one.activity)+": "+one.says.in(l))
			}
			part.Facts = append(part.Facts, f)
		}
		part.Facts = append(part.Facts, fact{t.question.in(l), []string{c.question.in(l)}})
		out = append(out, part)
	}
	return out
}
