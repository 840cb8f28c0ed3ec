package evidencereport

// words are the texts of one language.
type words struct {
	language string
	texts    map[string]string
	codes    map[string]string
}

func wordsOf(language string) words {
	if language == "en" {
		return words{"en", english, englishCodes}
	}
	return words{"da", danish, danishCodes}
}

// say gives a text; what has none is shown as it is called.
func (w words) say(key string) string {
	if text, ok := w.texts[key]; ok {
		return text
	}
	return key
}

var danishMonths = []string{"januar", "februar", "marts", "april", "maj", "juni", "juli", "august", "september", "oktober", "november", "december"}

// danishCodes and englishCodes say plainly what codes mean that a report often has.
var danishCodes = map[string]string{
	"reason.LEGAL_BASIS_HOLDS": "Der er hjemmel", "reason.CONSENT_HOLDS": "Der er samtykke", "reason.UNKNOWN_ACTIVITY": "Aktiviteten findes ikke",
	"reason.ACTIVITY_ARCHIVED": "Aktiviteten er ophørt", "reason.RECIPIENT_NOT_INSTRUCTED": "Modtageren er ikke omfattet",
	"reason.LOCATION_NOT_APPROVED": "Stedet er ikke godkendt", "reason.DATA_CATEGORY_NOT_COVERED": "Oplysningerne er ikke omfattet",
	"reason.SUBJECT_ERASED": "Personen er slettet", "reason.RESTRICTED": "Behandlingen er begrænset", "reason.OBJECTED": "Personen har gjort indsigelse",
	"reason.NO_CONSENT": "Der er ikke samtykke", "reason.CONSENT_WITHDRAWN": "Samtykket er trukket tilbage", "reason.CONSENT_EXPIRED": "Samtykket er udløbet",
	"reason.GUARDIAN_CONSENT_REQUIRED": "Der mangler samtykke fra forældremyndighed", "reason.FRESHNESS_UNPROVABLE": "Svaret kunne ikke vises at være nyt nok",
	"reason.ROLE_REQUIRED": "Rollen giver ikke adgang",
	"verdict.COMPLETE":     "Alt er slettet", "verdict.COMPLETE_WITH_KEPT": "Slettet, undtagen det, der skal bevares",
	"verdict.NOTHING_FOUND": "Der var intet at slette", "verdict.PARTIAL": "Kun delvis slettet",
}

var englishCodes = map[string]string{
	"reason.LEGAL_BASIS_HOLDS": "There is a legal basis", "reason.CONSENT_HOLDS": "There is consent", "reason.UNKNOWN_ACTIVITY": "There is no such activity",
	"reason.ACTIVITY_ARCHIVED": "The activity has ended", "reason.RECIPIENT_NOT_INSTRUCTED": "The recipient is not covered",
	"reason.LOCATION_NOT_APPROVED": "The place is not approved", "reason.DATA_CATEGORY_NOT_COVERED": "The data are not covered",
	"reason.SUBJECT_ERASED": "The person is erased", "reason.RESTRICTED": "Processing is restricted", "reason.OBJECTED": "The person has objected",
	"reason.NO_CONSENT": "There is no consent", "reason.CONSENT_WITHDRAWN": "The consent was withdrawn", "reason.CONSENT_EXPIRED": "The consent has expired",
	"reason.GUARDIAN_CONSENT_REQUIRED": "Consent of a guardian is missing", "reason.FRESHNESS_UNPROVABLE": "The answer could not be shown to be recent enough",
	"reason.ROLE_REQUIRED": "The role gives no access",
	"verdict.COMPLETE":     "Everything is erased", "verdict.COMPLETE_WITH_KEPT": "Erased, but for what has to be kept",
	"verdict.NOTHING_FOUND": "There was nothing to erase", "verdict.PARTIAL": "Erased in part only",
}

var danish = map[string]string{
	"title":           "Dokumentation af behandlingen",
	"for":             "for",
	"period":          "Periode",
	"through":         "til og med",
	"upto":            "til (ikke med)",
	"made":            "Udarbejdet",
	"confidential":    "Denne pakke er fortrolig. Den kan læses af enhver, der har den, også det, som i loggen er forseglet under enkeltpersoners nøgler.",
	"summary":         "Kort fortalt",
	"said.events":     "hændelser blev registreret i perioden, i",
	"said.entries":    "poster i loggen.",
	"said.none":       "Der blev ikke registreret nogen hændelser i perioden.",
	"said.denied":     "gange blev en adgang afvist.",
	"said.logins":     "log-ins lykkedes, og",
	"said.refused":    "blev afvist.",
	"said.decisions":  "gange blev der spurgt, om oplysninger måtte behandles:",
	"said.allow":      "gange var svaret ja, og",
	"said.deny":       "gange nej.",
	"said.erasures":   "sletninger blev afsluttet med en attest.",
	"said.unreadable": "hændelser handler om personer, som er slettet, og hvis nøgler er destrueret. De findes og er talt med, men ingen kan læse, hvem de handler om.",
	"timeline":        "Tidslinje",
	"perday":          "En søjle er en dag (UTC).",
	"perweek":         "En søjle er en uge på syv dage fra periodens begyndelse (UTC).",

	"chart.timeline":        "Hændelser over tid efter art",
	"chart.timeline.about":  "Søjler viser antallet af hændelser i hvert tidsrum, delt efter art. Beslutninger om behandlingsgrundlag er ikke med; de har deres egen figur. Tallene står i tabellen nedenfor.",
	"chart.decisions":       "Beslutninger om behandlingsgrundlag over tid",
	"chart.decisions.about": "Søjler viser, hvor mange gange i hvert tidsrum der blev spurgt, om oplysninger måtte behandles.",
	"chart.denials":         "Afviste adgange over tid",
	"chart.denials.about":   "Søjler viser, hvor mange forsøg der blev afvist i hvert tidsrum.",
	"chart.erasures":        "Sletninger efter tid fra anmodning til attest",
	"chart.erasures.about":  "Søjler viser, hvor mange sletninger der blev færdige inden for en dag, tre dage, syv dage, tredive dage, og hvor mange der tog længere tid.",

	"group.read": "Opslag", "group.change": "Oprettelser og ændringer", "group.delete": "Sletninger", "group.export": "Udleveringer",
	"group.admin": "Administration og nøgler", "group.login": "Log-ins",
	"kind.VIEW": "Opslag", "kind.CREATE": "Oprettelse", "kind.MODIFY": "Ændring", "kind.DELETE": "Sletning", "kind.EXPORT": "Udlevering",
	"kind.ADMIN": "Administration", "kind.DECISION": "Beslutninger", "kind.AUDIT_READ": "Læsning af loggen", "kind.LOGIN": "Log-in",
	"kind.KEY_USE": "Brug af nøgler", "kind.": "Andet",
	"denied": "Afvist", "allow": "Tilladt", "deny": "Ikke tilladt", "erasures": "Sletninger",
	"took.UP_TO_1_DAY": "Inden 1 dag", "took.UP_TO_3_DAYS": "Inden 3 dage", "took.UP_TO_7_DAYS": "Inden 7 dage",
	"took.UP_TO_30_DAYS": "Inden 30 dage", "took.LONGER": "Længere",
	"minutes": "minutter", "hours": "timer", "days": "dage",

	"actions": "Hvad der blev gjort", "action": "Handling", "kindhead": "Art", "ok": "Gennemført", "failed": "Mislykket", "invalid": "Ugyldig",
	"denials": "Afviste adgange", "reason": "Grund", "count": "Antal",
	"decisions": "Beslutninger om behandlingsgrundlag", "share": "Fordeling af svarene",
	"erasure": "Sletning", "requested": "Anmodet", "issued": "Attest", "took": "Varighed", "verdict": "Resultat", "erased": "Slettede poster", "kept": "Bevarede poster",
	"first":        "Her står de første; alle tal er i figures.json.",
	"complete":     "Er det hele med?",
	"complete.yes": "Loggen giver hver dataansvarligs poster numrene 1, 2, 3 og så videre. I perioden ligger numrene fra og til:",
	"complete.how": "Pakken har desuden den sidste post før perioden og den første efter den, så begge ender kan efterprøves. Den, der bad om pakken, blev selv skrevet i loggen; derfor er der altid en post efter perioden.",
	"nonumbers":    "Der er ingen numre i perioden: posten efter den følger lige efter den sidste før den.",
	"checkpoint":   "Kontrolpunkt", "origin": "Loggens navn", "size": "Poster i loggen", "root": "Rodværdi", "key": "Loggens nøgle",
	"witnesses": "Vidner", "witnesses.of": "af", "witnesses.signed": "vidner uden for loggen har medunderskrevet kontrolpunktet;", "witnesses.required": "kræves.",
	"witnesses.enough": "Det er nok.", "witnesses.few": "Det er ikke nok.",
	"witnesses.least": "Loggen er delt op i år med hvert sit kontrolpunkt; dette er det, som vidnerne har medunderskrevet mindst.",
	"witnesses.trust": "Et vidne har set loggen og set, at den kun er vokset. Sammenlign vidnets nøgle med den, vidnet selv oplyser; ellers kan vidnet være databehandleren selv.",
	"witnesses.none":  "Loggen har ingen vidner: kun den selv har underskrevet kontrolpunktet.",
	"proves":          "Hvad pakken beviser", "notproves": "Hvad pakken ikke beviser",
	"verify":         "Sådan efterprøves pakken",
	"verify.how":     "Hent programmet privacyops, læg pakken (den ZIP-fil, som denne side ligger i) ved siden af, og kør kommandoen herunder. Den kræver hverken netværk eller adgang til systemet.",
	"verify.key":     "Nøglen skal I have fra en anden kilde end pakken selv, for eksempel fra databehandleraftalen. Uden --log-key viser efterprøvningen kun, at pakken er hel.",
	"files":          "Filerne i pakken",
	"file.events":    "en linje for hver hændelse",
	"file.leaves":    "posterne, som loggen har dem, og det, der beviser dem",
	"file.register":  "behandlingsaktiviteterne i de versioner, der gjaldt i perioden",
	"file.certs":     "sletteattesterne fra perioden",
	"file.measures":  "de foranstaltninger, som systemet selv kan stå inde for",
	"file.manifest":  "hver fils størrelse og SHA-256, underskrevet af loggen",
	"table.timeline": "Tallene bag tidslinjen", "day": "Dag",
}

var english = map[string]string{
	"title":           "Evidence of processing",
	"for":             "for",
	"period":          "Period",
	"through":         "up to and including",
	"upto":            "to (not included)",
	"made":            "Made",
	"confidential":    "This package is confidential. Whoever has it can read it, also what is sealed in the log under the keys of single people.",
	"summary":         "In short",
	"said.events":     "events were recorded in the period, in",
	"said.entries":    "entries of the log.",
	"said.none":       "No events were recorded in the period.",
	"said.denied":     "times access was refused.",
	"said.logins":     "log-ins succeeded, and",
	"said.refused":    "were refused.",
	"said.decisions":  "times somebody asked whether data may be processed:",
	"said.allow":      "times the answer was yes, and",
	"said.deny":       "times it was no.",
	"said.erasures":   "erasures ended with a certificate.",
	"said.unreadable": "events are about people who were erased and whose keys are destroyed. They are there and are counted, but nobody can read whom they are about.",
	"timeline":        "Timeline",
	"perday":          "A bar is a day (UTC).",
	"perweek":         "A bar is a week of seven days from the begin of the period (UTC).",

	"chart.timeline":        "Events over time by kind",
	"chart.timeline.about":  "Bars show the number of events in each span of time, divided by kind. Decisions on a legal basis are not in it; they have a chart of their own. The numbers are in the table below.",
	"chart.decisions":       "Decisions on a legal basis over time",
	"chart.decisions.about": "Bars show how often in each span of time somebody asked whether data may be processed.",
	"chart.denials":         "Refused access over time",
	"chart.denials.about":   "Bars show how many attempts were refused in each span of time.",
	"chart.erasures":        "Erasures by the time from request to certificate",
	"chart.erasures.about":  "Bars show how many erasures were done within a day, three days, seven days, thirty days, and how many took longer.",

	"group.read": "Lookups", "group.change": "Creations and changes", "group.delete": "Deletions", "group.export": "Exports",
	"group.admin": "Administration and keys", "group.login": "Log-ins",
	"kind.VIEW": "Lookup", "kind.CREATE": "Creation", "kind.MODIFY": "Change", "kind.DELETE": "Deletion", "kind.EXPORT": "Export",
	"kind.ADMIN": "Administration", "kind.DECISION": "Decisions", "kind.AUDIT_READ": "Reading of the log", "kind.LOGIN": "Log-in",
	"kind.KEY_USE": "Use of keys", "kind.": "Other",
	"denied": "Refused", "allow": "Allowed", "deny": "Not allowed", "erasures": "Erasures",
	"took.UP_TO_1_DAY": "Within 1 day", "took.UP_TO_3_DAYS": "Within 3 days", "took.UP_TO_7_DAYS": "Within 7 days",
	"took.UP_TO_30_DAYS": "Within 30 days", "took.LONGER": "Longer",
	"minutes": "minutes", "hours": "hours", "days": "days",

	"actions": "What was done", "action": "Action", "kindhead": "Kind", "ok": "Done", "failed": "Failed", "invalid": "Invalid",
	"denials": "Refused access", "reason": "Reason", "count": "Count",
	"decisions": "Decisions on a legal basis", "share": "How the answers were divided",
	"erasure": "Erasure", "requested": "Requested", "issued": "Certificate", "took": "Took", "verdict": "Result", "erased": "Records erased", "kept": "Records kept",
	"first":        "These are the first; all numbers are in figures.json.",
	"complete":     "Is it all there?",
	"complete.yes": "The log gives the entries of each controller the numbers 1, 2, 3 and so on. In the period there are the numbers from and to:",
	"complete.how": "The package has the last entry before the period and the first one after it too, so that both ends can be checked. Asking for the package was itself entered in the log; so there always is an entry after the period.",
	"nonumbers":    "There are no numbers in the period: the entry after it follows right on the last one before it.",
	"checkpoint":   "Checkpoint", "origin": "Name of the log", "size": "Entries in the log", "root": "Root hash", "key": "Key of the log",
	"witnesses": "Witnesses", "witnesses.of": "of", "witnesses.signed": "witnesses outside the log have signed the checkpoint too;", "witnesses.required": "are required.",
	"witnesses.enough": "That is enough.", "witnesses.few": "That is not enough.",
	"witnesses.least": "The log is divided into years, each with a checkpoint of its own; this is the one that witnesses have signed least.",
	"witnesses.trust": "A witness has seen the log, and has seen it only grow. Compare its key with the one that the witness itself gives you; else the witness may be the processor itself.",
	"witnesses.none":  "The log has no witnesses: nobody but itself has signed the checkpoint.",
	"proves":          "What the package proves", "notproves": "What the package does not prove",
	"verify":         "How to verify the package",
	"verify.how":     "Get the program privacyops, put the package (the ZIP file that this page is in) beside it, and run the command below. It needs neither a network nor access to the system.",
	"verify.key":     "Take the key from another source than the package itself, for example from the processing agreement. Without --log-key the verification shows only that the package is whole.",
	"files":          "The files in the package",
	"file.events":    "a line for each event",
	"file.leaves":    "the entries as the log has them, and what proves them",
	"file.register":  "the processing activities in the versions that were valid in the period",
	"file.certs":     "the erasure certificates of the period",
	"file.measures":  "the measures that the system itself can vouch for",
	"file.manifest":  "every file's size and SHA-256, signed by the log",
	"table.timeline": "The numbers behind the timeline", "day": "Day",
}
