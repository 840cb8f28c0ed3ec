package documents

import (
	"slices"
	"strings"

	"github.com/privacyops/privacyops/services/consent/internal/consent"
)

// Standing is what the register shows about a criterion.
type standing string

const (
	// indicated: facts in the register point to it.
	indicated standing = "INDICATED"
	// partly: facts in the register point to a part of it, and the rest the register cannot know.
	partly standing = "PARTLY_INDICATED"
	// notIndicated: the register would show it, and does not.
	notIndicated standing = "NOT_INDICATED"
	// open: the register cannot know.
	open standing = "OPEN"
)

var standings = map[standing]text{
	indicated:    {"Oplysninger i registret peger på det", "Facts in the register point to it"},
	partly:       {"Oplysninger i registret peger på en del af det. Resten kan registret ikke vide", "Facts in the register point to a part of it. The rest the register cannot know"},
	notIndicated: {"Intet i registret peger på det", "Nothing in the register points to it"},
	open:         {"Registret kan ikke vide det", "The register cannot know"},
}

// criterion is a reason for which an impact assessment may be required. None of them is decided here.
type criterion struct {
	// id is the point of art. 35(3), or the number in the guidelines WP 248.
	id   string
	says text
	// question is what the controller has to answer.
	question text
	// find gives what the register shows, with the facts for it.
	find finder
}

// finder looks for a criterion in a register.
type finder func(r Register) (standing, []finding)

// inPart is a finder of something that is only a part of the criterion.
func (f finder) inPart() finder {
	return func(r Register) (standing, []finding) {
		s, found := f(r)
		if s == indicated {
			s = partly
		}
		return s, found
	}
}

// finding is a fact of one activity.
type finding struct {
	activity consent.ActivityID
	says     text
}

// article35 are the criteria of GDPR art. 35(3).
var article35 = []criterion{
	{"a", text{"Systematisk og omfattende vurdering af personlige forhold, der bygger på automatisk behandling, herunder profilering, og som ligger til grund for afgørelser med retsvirkning eller lignende betydning",
		"Systematic and extensive evaluation of personal aspects based on automated processing, including profiling, on which decisions with legal or similarly significant effects are based"},
		text{"Er vurderingen systematisk og omfattende, og har afgørelserne retsvirkning eller lignende betydning for de registrerede?",
			"Is the evaluation systematic and extensive, and do the decisions have legal or similarly significant effects on people?"}, finder(automatedOnes).inPart()},
	{"b", text{"Behandling i stort omfang af følsomme oplysninger eller af oplysninger om strafbare forhold", "Processing on a large scale of special categories of data or of data on criminal convictions and offences"},
		text{"Sker behandlingen i stort omfang? Er der følsomme oplysninger i kategorier, hvis navn ikke viser det?",
			"Is the processing on a large scale? Are there special categories of data behind names that do not show it?"}, finder(sensitiveOnes).inPart()},
	{"c", text{"Systematisk overvågning af et offentligt tilgængeligt område i stort omfang", "Systematic monitoring of a publicly accessible area on a large scale"},
		text{"Bliver et offentligt tilgængeligt område overvåget?", "Is a publicly accessible area monitored?"}, unknowable},
}

// guidelines are the nine criteria of the guidelines on impact assessment, WP 248 rev.01, which the EDPB has endorsed.
var guidelines = []criterion{
	{"1", text{"Evaluering eller pointgivning, herunder profilering og forudsigelse", "Evaluation or scoring, including profiling and predicting"},
		text{"Bliver personer vurderet, sammenlignet eller forudsagt ud fra oplysningerne?", "Are people evaluated, compared or predicted from the data?"}, categoryOnes("assessment", "assessments", "grades", "marks", "score", "scores", "scoring", "profile", "profiles", "profiling", "evaluation", "exam", "exams", "test", "tests")},
	{"2", text{"Automatiske afgørelser med retsvirkning eller lignende betydning", "Automated decision-making with legal or similar significant effect"},
		text{"Hvilken virkning har afgørelserne, og hvordan kan et menneske gribe ind?", "What effect do the decisions have, and how can a person intervene?"}, finder(automatedOnes).inPart()},
	{"3", text{"Systematisk overvågning", "Systematic monitoring"},
		text{"Bliver brug, adfærd eller færden fulgt systematisk?", "Are use, behaviour or movements followed systematically?"}, categoryOnes("usage", "log", "logs", "logging", "login", "logins", "tracking", "location", "clicks", "behaviour", "behavior", "attendance", "monitoring", "video")},
	{"4", text{"Følsomme oplysninger eller oplysninger af meget personlig karakter", "Sensitive data or data of a highly personal nature"},
		text{"Er der oplysninger af meget personlig karakter i kategorier, hvis navn ikke viser det, for eksempel i fritekst?", "Is there data of a highly personal nature behind names that do not show it, for example in free text?"}, sensitiveOnes},
	{"5", text{"Behandling i stort omfang", "Data processed on a large scale"},
		text{"Hvor mange personer, hvor mange oplysninger, hvor længe og over hvor stort et område?", "How many people, how much data, for how long and over how large an area?"}, unknowable},
	{"6", text{"Sammenstilling eller kombination af datasæt", "Matching or combining datasets"},
		text{"Bliver oplysninger fra flere systemer eller kilder kombineret på måder, som personerne ikke kan forvente?", "Is data from several systems or sources combined in ways that people would not expect?"}, severalSystems},
	{"7", text{"Oplysninger om sårbare personer, herunder børn og ansatte", "Data concerning vulnerable people, including children and employees"},
		text{"Hvor gamle er børnene, og er der andre sårbare grupper?", "How old are the children, and are there other vulnerable groups?"}, vulnerableOnes},
	{"8", text{"Innovativ brug eller anvendelse af nye teknologiske eller organisatoriske løsninger", "Innovative use or applying new technological or organisational solutions"},
		text{"Bliver der brugt ny teknologi, for eksempel kunstig intelligens?", "Is new technology used, for example artificial intelligence?"}, unknowable},
	{"9", text{"Behandlingen forhindrer personer i at udøve en rettighed eller bruge en tjeneste eller en kontrakt", "The processing itself prevents people from exercising a right or using a service or a contract"},
		text{"Kan behandlingen føre til, at nogen ikke får undervisning, en tjeneste eller en rettighed?", "Can the processing keep anybody from teaching, a service or a right?"}, unknowable},
}

func unknowable(Register) (standing, []finding) { return open, nil }

// shown is indicated where there are findings.
func shown(found []finding) (standing, []finding) {
	if len(found) == 0 {
		return notIndicated, nil
	}
	return indicated, found
}

// automatedOnes are activities that say so of themselves.
func automatedOnes(r Register) (standing, []finding) {
	var found []finding
	for _, a := range r.active() {
		if a.AutomatedDecisions {
			found = append(found, finding{a.ID, text{"afgørelser træffes alene ved automatisk behandling", "decisions are made by automated means alone"}})
		}
	}
	return shown(found)
}

// criminalWords are words of category ids that mean data on criminal convictions and offences (GDPR art. 10).
var criminalWords = []string{"criminal", "conviction", "convictions", "offence", "offences"}

// sensitiveOnes are activities with special categories, by their condition or by the names of their categories.
func sensitiveOnes(r Register) (standing, []finding) {
	var found []finding
	for _, a := range r.active() {
		if a.SpecialCondition != "" {
			found = append(found, finding{a.ID, text{"følsomme oplysninger efter " + cite(article9(a.SpecialCondition), Danish), "special categories under " + cite(article9(a.SpecialCondition), English)}})
		}
		for _, c := range a.DataCategories {
			if consent.Special(c) || hasWord(c, criminalWords) {
				found = append(found, finding{a.ID, text{"kategorien " + c, "the category " + c}})
			}
		}
	}
	return shown(found)
}

// vulnerable are categories of people who are vulnerable towards the controller: children, and those who work for it.
var vulnerable = []string{"pupils", "students", "children", "teachers", "educators", "staff", "administrators", "employees"}

func vulnerableOnes(r Register) (standing, []finding) {
	var found []finding
	for _, a := range r.active() {
		for _, c := range a.SubjectCategories {
			if slices.Contains(vulnerable, c) {
				found = append(found, finding{a.ID, text{named(people, c, Danish), named(people, c, English)}})
			}
		}
	}
	if s, found := shown(found); s == indicated {
		return s, found
	}
	// Whose data it is may be written under any name.
	return open, nil
}

// categoryOnes are activities with a category of data of one of the names. Without one the register cannot know: a category can
// have any name.
func categoryOnes(words ...string) finder {
	return func(r Register) (standing, []finding) {
		var found []finding
		for _, a := range r.active() {
			for _, c := range a.DataCategories {
				if hasWord(c, words) {
					found = append(found, finding{a.ID, text{"kategorien " + c, "the category " + c}})
				}
			}
		}
		if len(found) == 0 {
			return open, nil
		}
		return indicated, found
	}
}

// severalSystems are activities in more than one system. Whether they are combined the register cannot know.
func severalSystems(r Register) (standing, []finding) {
	var found []finding
	for _, a := range r.active() {
		if len(a.Systems) > 1 {
			ids := make([]string, len(a.Systems))
			for i, id := range a.Systems {
				ids[i] = string(id)
			}
			found = append(found, finding{a.ID, text{"flere systemer: " + strings.Join(ids, ", "), "several systems: " + strings.Join(ids, ", ")}})
		}
	}
	if len(found) == 0 {
		return open, nil
	}
	return partly, found
}

func hasWord(id string, words []string) bool {
	return slices.ContainsFunc(strings.Split(id, "-"), func(w string) bool { return slices.Contains(words, w) })
}
