package documents

import "github.com/privacyops/privacyops/services/consent/internal/consent"

// voice is a text in the words for each audience. In braces: {name} is the controller, {age} the digital age of consent.
type voice struct{ subject, guardian text }

// both is a text that says the same to everybody.
func both(da, en string) voice { return voice{text{da, en}, text{da, en}} }

// wording holds the sentences of a notice. A pupil of twelve reads it: short sentences, everyday words, and the word of the law
// once, so that it can be looked up.
var wording = struct {
	title, lead, end                                         voice
	whoHeading, who, contact, noContact                      voice
	dpoHeading, dpo, noDPO, officer, email, noEmail          voice
	processorsHeading, processors, noSystems                 voice
	operatedBy, noOperator, placedIn, noPlace                voice
	usesHeading, uses, noUses, purpose                       voice
	why, special, sensitive                                  voice
	data, noData, about, noPeople                            voice
	from, fromPerson, to, noRecipients, systems, noSystem    voice
	where, noWhere, outside, noGround, copyOf, noCopy        voice
	kept, keptAfter, keptFor, keptFrom, keptOpen             voice
	keptBecause, protected                                   voice
	automated, automatedYes, automatedNo, marketing, objects voice
	dutyHeading, dutyConsent, dutyRest, dutyUnknown          voice
	rightsHeading, how, deadline, elsewhere                  voice
	complainHeading, complain, complainTo, complainElsewhere voice
}{
	title: voice{
		text{"Sådan bruger {name} oplysninger om dig", "How {name} uses information about you"},
		text{"Sådan bruger {name} oplysninger om dit barn", "How {name} uses information about your child"}},
	lead: voice{
		text{"Her kan du læse, hvilke oplysninger om dig {name} bruger, hvad de bruges til, og hvilke rettigheder du har. Du må altid spørge, hvis der er noget, du ikke forstår.",
			"Here you can read what information about you {name} uses, what it is used for, and what rights you have. You can always ask if there is something you do not understand."},
		text{"Her kan du læse, hvilke oplysninger om dit barn {name} bruger, hvad de bruges til, og hvilke rettigheder dit barn har. Har du forældremyndigheden, kan du som regel bruge rettighederne på dit barns vegne.",
			"Here you can read what information about your child {name} uses, what it is used for, and what rights your child has. If you hold parental responsibility, you can usually use these rights on your child's behalf."}},
	end: both("Teksten er lavet den {day} ud fra det, {name} har registreret om sin brug af personoplysninger.",
		"This text was made on {day} from what {name} has registered about its use of personal data."),

	whoHeading: both("Hvem har ansvaret?", "Who is responsible?"),
	who: both("{name} bestemmer, hvad oplysningerne bruges til, og hvordan. Derfor er det {name}, der har ansvaret for dem. Det kaldes at være dataansvarlig.",
		"{name} decides what the information is used for and how. That is why {name} is responsible for it. The law calls this being the controller."),
	contact:   both("Kontakt", "Contact"),
	noContact: both("Her er ikke oplyst, hvordan man kontakter {name}.", "How to contact {name} is not stated here."),

	dpoHeading: both("Hvem kan du spørge?", "Whom can you ask?"),
	dpo: voice{
		text{"En databeskyttelsesrådgiver hjælper med, at reglerne om personoplysninger bliver fulgt. Du kan skrive til rådgiveren, hvis du har spørgsmål om oplysningerne om dig.",
			"A data protection officer helps to make sure that the rules on personal data are followed. You can write to the officer if you have questions about the information about you."},
		text{"En databeskyttelsesrådgiver hjælper med, at reglerne om personoplysninger bliver fulgt. Du kan skrive til rådgiveren, hvis du har spørgsmål om oplysningerne om dit barn.",
			"A data protection officer helps to make sure that the rules on personal data are followed. You can write to the officer if you have questions about the information about your child."}},
	noDPO:   both("{name} har ikke oplyst en databeskyttelsesrådgiver her.", "{name} has not named a data protection officer here."),
	officer: both("Databeskyttelsesrådgiver", "Data protection officer"),
	email:   both("E-mail", "E-mail"),
	noEmail: both("E-mailadressen er ikke oplyst her.", "The e-mail address is not stated here."),

	processorsHeading: both("Hvor ligger oplysningerne?", "Where is the information kept?"),
	processors: both("Oplysningerne ligger i systemerne her. De, der driver et system for {name}, må kun bruge oplysningerne, som {name} har bestemt. Det kaldes at være databehandler.",
		"The information is kept in these systems. Whoever runs a system for {name} may use the information only as {name} has decided. The law calls this being a processor."),
	noSystems:  both("Der er ikke oplyst nogen systemer her.", "No systems are stated here."),
	operatedBy: both("Drives af {who}.", "Run by {who}."),
	noOperator: both("Det er ikke oplyst, hvem der driver systemet.", "It is not stated who runs the system."),
	placedIn:   both("Ligger i {where}.", "Located in {where}."),
	noPlace:    both("Det er ikke oplyst, hvilket land systemet ligger i.", "It is not stated in which country the system is."),

	usesHeading: both("Hvad bruges oplysningerne til?", "What is the information used for?"),
	uses: both("For hvert formål kan du se, hvorfor {name} må bruge oplysningerne, hvem der får dem, og hvor længe de bliver gemt.",
		"For each purpose you can see why {name} may use the information, who gets it, and how long it is kept."),
	noUses:  both("{name} har ikke oplyst noget formål her.", "{name} has not stated any purpose here."),
	purpose: both("Formål {n}", "Purpose {n}"),

	why:       both("Derfor er det tilladt", "Why this is allowed"),
	special:   both("Følsomme oplysninger", "Sensitive information"),
	sensitive: both("Nogle af oplysningerne er følsomme. De må bruges, {because} ({article}).", "Some of the information is sensitive. It may be used {because} ({article})."),
	data:      both("Hvilke oplysninger", "What information"),
	noData:    both("Det er ikke oplyst, hvilke oplysninger det er.", "It is not stated what information this is."),
	about:     both("Hvem de handler om", "Whom it is about"),
	noPeople:  both("Det er ikke oplyst, hvem oplysningerne handler om.", "It is not stated whom the information is about."),
	from:      both("Hvor de kommer fra", "Where it comes from"),
	fromPerson: voice{
		text{"Der er ikke oplyst andre kilder end dig selv og din brug af systemerne.", "No other source is stated than you yourself and your use of the systems."},
		text{"Der er ikke oplyst andre kilder end dit barn selv og dit barns brug af systemerne.", "No other source is stated than your child and your child's use of the systems."}},
	to:           both("Hvem der får dem", "Who gets it"),
	noRecipients: both("Der er ikke oplyst andre, som får oplysningerne.", "Nobody else is stated who gets the information."),
	systems:      both("Systemer", "Systems"),
	noSystem:     both("Det er ikke oplyst, hvilke systemer der bruges.", "It is not stated which systems are used."),
	where:        both("Lande", "Countries"),
	noWhere:      both("Det er ikke oplyst, i hvilke lande oplysningerne bruges.", "It is not stated in which countries the information is used."),
	outside:      both("Uden for EU og EØS", "Outside the EU and the EEA"),
	noGround: both("Det er ikke oplyst, hvorfor oplysningerne må sendes dertil. Spørg {name}.",
		"It is not stated why the information may be sent there. Ask {name}."),
	copyOf: both("Sådan får du en kopi af det, der beskytter oplysningerne: {copy}", "How to get a copy of what protects the information: {copy}"),
	noCopy: both("Det er ikke oplyst, hvordan du får en kopi af det, der beskytter oplysningerne. Spørg {name}.",
		"It is not stated how you get a copy of what protects the information. Ask {name}."),

	kept:      both("Hvor længe de bliver gemt", "How long it is kept"),
	keptAfter: both("I {period} efter {event}.", "For {period} after {event}."),
	keptFor:   both("I {period}. Det er ikke oplyst, hvornår tiden begynder.", "For {period}. It is not stated when the time begins."),
	keptFrom:  both("Det er ikke oplyst, hvor længe. Tiden regnes fra dette: {event}.", "It is not stated for how long. The time is counted from this: {event}."),
	keptOpen: both("Det er ikke oplyst, hvor længe oplysningerne bliver gemt, eller hvad der afgør det. Spørg {name}.",
		"It is not stated how long the information is kept or what decides that. Ask {name}."),
	keptBecause: both("Grunden er: {ground}", "The reason is: {ground}"),
	protected: both("De bliver gemt så længe, også hvis nogen beder om at få dem slettet. Grunden er: {ground}",
		"It is kept that long even if somebody asks for it to be erased. The reason is: {ground}"),

	automated: both("Afgørelser uden mennesker", "Decisions without people"),
	automatedYes: voice{
		text{"Ja. Der er afgørelser, som en computer træffer alene. Du kan bede om, at et menneske ser på afgørelsen, og du kan sige din mening og klage over den (GDPR artikel 22). Det er ikke oplyst her, hvordan computeren når frem til afgørelsen, eller hvad den betyder for dig. Spørg {name}.",
			"Yes. There are decisions that a computer makes alone. You can ask for a person to look at the decision, say what you think, and challenge it (GDPR Article 22). It is not stated here how the computer decides or what that means for you. Ask {name}."},
		text{"Ja. Der er afgørelser, som en computer træffer alene. I kan bede om, at et menneske ser på afgørelsen, og I kan sige jeres mening og klage over den (GDPR artikel 22). Det er ikke oplyst her, hvordan computeren når frem til afgørelsen, eller hvad den betyder for dit barn. Spørg {name}.",
			"Yes. There are decisions that a computer makes alone. You can ask for a person to look at the decision, say what you think, and challenge it (GDPR Article 22). It is not stated here how the computer decides or what that means for your child. Ask {name}."}},
	automatedNo: both("Nej. Der er ikke oplyst afgørelser, som en computer træffer alene.", "No. No decisions are stated that a computer makes alone."),
	marketing:   both("Reklame", "Advertising"),
	objects: both("Oplysningerne bruges til reklame. Siger du nej tak, skal det stoppe. Du behøver ikke at give en grund (GDPR artikel 21, stk. 2 og 3).",
		"The information is used for advertising. If you say no, it has to stop. You need not give a reason (GDPR Article 21(2) and (3))."),

	dutyHeading: voice{text{"Skal du give oplysningerne?", "Do you have to give the information?"}, text{"Skal I give oplysningerne?", "Do you have to give the information?"}},
	dutyConsent: both("Det, der sker med samtykke, er frivilligt.", "What happens with consent is voluntary."),
	dutyRest: voice{
		text{"For resten er det ikke oplyst her, om du skal give oplysningerne, og hvad der sker, hvis du ikke gør det. Spørg {name}.",
			"For the rest it is not stated here whether you have to give the information, and what happens if you do not. Ask {name}."},
		text{"For resten er det ikke oplyst her, om I skal give oplysningerne, og hvad der sker, hvis I ikke gør det. Spørg {name}.",
			"For the rest it is not stated here whether you have to give the information, and what happens if you do not. Ask {name}."}},
	dutyUnknown: voice{
		text{"Det er ikke oplyst her, om du skal give oplysningerne, og hvad der sker, hvis du ikke gør det. Spørg {name}.",
			"It is not stated here whether you have to give the information, and what happens if you do not. Ask {name}."},
		text{"Det er ikke oplyst her, om I skal give oplysningerne, og hvad der sker, hvis I ikke gør det. Spørg {name}.",
			"It is not stated here whether you have to give the information, and what happens if you do not. Ask {name}."}},

	rightsHeading: voice{text{"Dine rettigheder", "Your rights"}, text{"Dit barns rettigheder", "Your child's rights"}},
	how: voice{
		text{"Skriv til {name}, hvis du vil bruge en af dine rettigheder. Ikke alle rettigheder gælder hver gang. Får du nej, skal du have at vide hvorfor.",
			"Write to {name} if you want to use one of your rights. Not every right applies every time. If the answer is no, you must be told why."},
		text{"Skriv til {name}, hvis I vil bruge en af rettighederne. Ikke alle rettigheder gælder hver gang. Får I nej, skal I have at vide hvorfor.",
			"Write to {name} if you want to use one of these rights. Not every right applies every time. If the answer is no, you must be told why."}},
	deadline: both("Det er gratis. Svaret skal komme senest en måned efter. Er det en svær sag, kan det tage op til to måneder mere, men så skal der komme besked om det inden for den første måned (GDPR artikel 12).",
		"It is free of charge. The answer must come within one month. If the matter is difficult, it may take up to two more months, but you must be told so within the first month (GDPR Article 12)."),
	elsewhere: both("{name} hører under lovene i dette land: {country}. Rettighederne her følger EU's regler (GDPR). De gælder ikke altid som lov uden for EU og EØS. Spørg {name}, hvilke regler og frister der gælder.",
		"{name} is under the laws of this country: {country}. The rights here follow the EU's rules (GDPR). Outside the EU and the EEA they are not always the law. Ask {name} which rules and deadlines apply."),

	complainHeading: both("Vil du klage?", "Do you want to complain?"),
	complain:        both("Skriv gerne til {name} først, hvis der er noget, du er utilfreds med.", "If there is something you are unhappy with, you are welcome to write to {name} first."),
	complainTo: both("Du kan også klage til {authority}. Det er en myndighed, der holder øje med, at reglerne om personoplysninger bliver fulgt.",
		"You can also complain to {authority}. That is an authority which watches over the rules on personal data."),
	complainElsewhere: both("Er der en databeskyttelsesmyndighed, hvor du bor, kan du også klage til den.", "If there is a data protection authority where you live, you can also complain to it."),
}

// yourAuthority is the authority where this package does not know its name.
var yourAuthority = text{"din databeskyttelsesmyndighed", "your data protection authority"}

// whys say why processing is allowed, by its legal basis, in a notice.
var whys = map[consent.LegalBasis]voice{
	consent.BasisConsent: {
		text{"Det sker kun, hvis du eller en, der har forældremyndigheden over dig, siger ja. Det kaldes samtykke ({article}). Man må gerne sige nej, og et ja kan altid trækkes tilbage.",
			"It happens only if you, or somebody with parental responsibility for you, says yes. The law calls this consent ({article}). It is fine to say no, and a yes can be taken back at any time."},
		text{"Det sker kun, hvis der er sagt ja til det. Det kaldes samtykke ({article}). I må gerne sige nej, og et ja kan altid trækkes tilbage.",
			"It happens only if somebody has said yes to it. The law calls this consent ({article}). It is fine to say no, and a yes can be taken back at any time."}},
	consent.BasisContract: {
		text{"Det er nødvendigt for en aftale med dig, eller fordi du har bedt om at få en aftale ({article}).", "It is necessary for an agreement with you, or because you have asked for one ({article})."},
		text{"Det er nødvendigt for en aftale med dit barn, eller fordi der er bedt om at få en aftale ({article}).", "It is necessary for an agreement with your child, or because one has been asked for ({article})."}},
	consent.BasisLegalObligation: both("En lov siger, at {name} skal gøre det ({article}).", "A law says that {name} must do it ({article})."),
	consent.BasisVitalInterests:  both("Det er nødvendigt for at beskytte nogens liv eller helbred ({article}).", "It is necessary to protect somebody's life or health ({article})."),
	consent.BasisPublicTask: both("Det er nødvendigt for en opgave, som {name} løser for samfundet eller som myndighed ({article}).",
		"It is necessary for a task that {name} carries out for society or as an authority ({article})."),
	consent.BasisLegitimateInterests: both("{name} har en god grund, og den er formålet her. Det kaldes en legitim interesse ({article}).",
		"{name} has a good reason, which is the purpose here. The law calls this a legitimate interest ({article})."),
}

// ageRule says who consents for a child, where the GDPR is law. It is what the suite holds consents to (art. 8(1)).
var ageRule = voice{
	text{"Er du under {age} år, er det en, der har forældremyndigheden over dig, der skal sige ja.", "If you are under {age}, it is somebody with parental responsibility for you who has to say yes."},
	text{"Er dit barn under {age} år, er det en, der har forældremyndigheden, der skal sige ja.", "If your child is under {age}, it is somebody with parental responsibility who has to say yes."},
}
