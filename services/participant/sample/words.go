package sample

// The generator's words. All are common Danish words and names; who is made of them is nobody.

var firstNames = []string{
	"Aksel", "Alberte", "Alma", "Andrea", "Anker", "Asger", "Astrid", "August", "Bjørn", "Bodil", "Caroline", "Christian",
	"Clara", "Ditte", "Elias", "Ella", "Emil", "Emma", "Esben", "Frederik", "Gustav", "Hannah", "Håkon", "Ida", "Ingeborg",
	"Jens", "Johan", "Josefine", "Karla", "Kåre", "Laura", "Lærke", "Magnus", "Malthe", "Marie", "Mathilde", "Mikkel", "Mille",
	"Nanna", "Noah", "Oliver", "Oscar", "Pætur", "Rasmus", "Rosa", "Sofie", "Solveig", "Storm", "Søren", "Sølve", "Thea",
	"Tobias", "Valdemar", "Victor", "Ægir", "Øjvind", "Åse",
}

var lastNames = []string{
	"Andersen", "Bach", "Bækgaard", "Bjerregaard", "Dahl", "Dørup", "Eriksen", "Frandsen", "Færch", "Grøn", "Gråbøl", "Hald",
	"Højgaard", "Iversen", "Jørgensen", "Kjær", "Klærke", "Lindegård", "Lykke", "Mølgaard", "Mørk", "Nørby", "Nygård", "Odgaard",
	"Overgård", "Østergaard", "Pihl", "Præst", "Ravn", "Rønne", "Sandgård", "Skærbæk", "Smed", "Søby", "Thygesen", "Toft",
	"Tønder", "Ulvskov", "Vestergård", "Vang", "Væver", "Winther", "Ærø", "Ørsted",
}

// subject is a school subject with what its assignments are about.
type subject struct {
	name   string
	topics []string
}

var subjects = []subject{
	{"Dansk", []string{"Novelleanalyse", "Læserbrev om skærmtid", "Anmeldelse af en ungdomsbog"}},
	{"Matematik", []string{"Pythagoras og skure", "Rente og opsparing", "Sandsynlighed med terninger"}},
	{"Historie", []string{"Slaget på Reden", "Hverdagsliv i 1950'erne", "Grundloven og valgretten"}},
	{"Natur/teknologi", []string{"Vandets kredsløb", "Byg en bro af papir", "Fugle ved søen"}},
}

var sentences = []string{
	"Jeg har valgt emnet, fordi vi talte om det derhjemme.",
	"Det sværeste var at finde kilder, der var til at stole på.",
	"Først beskriver jeg, hvad der skete, og bagefter hvorfor.",
	"Resultatet overraskede mig, for jeg troede, det ville være omvendt.",
	"Vi målte tre gange og tog gennemsnittet.",
	"Forfatteren bruger mange ord om vejret, når stemningen skifter.",
	"Min konklusion er, at begge sider har lidt ret.",
	"Tegningen viser, hvordan broen bærer vægten.",
	"Hvis jeg skulle gøre det igen, ville jeg begynde tidligere.",
	"I dag ser området helt anderledes ud end på kortet fra dengang.",
}

var feedback = []string{
	"God struktur. Husk kilderne næste gang.", "Flot arbejde med mange detaljer.",
	"Indholdet er godt, men læs korrektur, før du afleverer.", "Din konklusion hænger fint sammen med undersøgelsen.",
	"Du er på rette vej. Kom forbi, så ser vi på opgave tre sammen.",
}

var marks = []string{"02", "4", "4", "7", "7", "7", "10", "10", "12"}

var threadTitles = []string{"Hjælp til afleveringen", "Hvad synes I om bogen?"}

var posts = []string{
	"Er der nogen, der har styr på opgave to?", "Jeg forstår ikke, hvad der menes med problemformulering.",
	"Husk, at vi skal have skoene med på turen.", "Jeg synes, slutningen var lidt for nem.",
	"Kan vi få en dag mere? Printeren virker ikke.", "Der er en god video om det på biblioteket.",
}

// postsNaming have a place for the name of a classmate.
var postsNaming = []string{
	"Jeg er enig med %s, slutningen kom alt for pludseligt.", "Spørg %s, der fandt en god side om det.",
	"%s og jeg har lavet en skitse, som I gerne må låne.", "Det var %s, der kom på idéen, ikke mig.",
}

var chats = []string{
	"Kommer du til træning på torsdag?", "Jeg har din lommeregner, du får den i morgen.", "Skal vi lave gruppearbejdet færdigt i dag?",
	"Tak for hjælpen i går.", "Husk at aflevere inden fredag.", "Mødet er flyttet til lokale 14.",
}

var tickets = []string{"Kan ikke logge ind", "Filen kan ikke åbnes", "Forkert navn på klasselisten", "Får ingen beskeder"}

var userAgents = []string{
	"Mozilla/5.0 (X11; CrOS x86_64) Chrome/140.0", "Mozilla/5.0 (iPad; CPU OS 19_1) Safari/605.1",
	"Mozilla/5.0 (Windows NT 10.0; Win64) Edge/140.0", "Laeringsplatform-App/7.2 (Android 16)",
}

var absences = []string{"Syg", "Tandlæge", "Ferie efter aftale", "Forsov sig"}

var captions = []string{"%s ved skolens motionsdag", "%s viser sin bro af papir", "%s på lejrskole"}

var exams = []string{"Håndværk og design, 8. klasse", "Madkundskab, 8. klasse"}
