package documents

// countries are the EEA's, and others that services of schools are commonly run from.
var countries = map[string]text{
	"AT": {"Østrig", "Austria"}, "BE": {"Belgien", "Belgium"}, "BG": {"Bulgarien", "Bulgaria"}, "CY": {"Cypern", "Cyprus"},
	"CZ": {"Tjekkiet", "Czechia"}, "DE": {"Tyskland", "Germany"}, "DK": {"Danmark", "Denmark"}, "EE": {"Estland", "Estonia"},
	"ES": {"Spanien", "Spain"}, "FI": {"Finland", "Finland"}, "FR": {"Frankrig", "France"}, "GR": {"Grækenland", "Greece"},
	"HR": {"Kroatien", "Croatia"}, "HU": {"Ungarn", "Hungary"}, "IE": {"Irland", "Ireland"}, "IS": {"Island", "Iceland"},
	"IT": {"Italien", "Italy"}, "LI": {"Liechtenstein", "Liechtenstein"}, "LT": {"Litauen", "Lithuania"},
	"LU": {"Luxembourg", "Luxembourg"}, "LV": {"Letland", "Latvia"}, "MT": {"Malta", "Malta"}, "NL": {"Nederlandene", "the Netherlands"},
	"NO": {"Norge", "Norway"}, "PL": {"Polen", "Poland"}, "PT": {"Portugal", "Portugal"}, "RO": {"Rumænien", "Romania"},
	"SE": {"Sverige", "Sweden"}, "SI": {"Slovenien", "Slovenia"}, "SK": {"Slovakiet", "Slovakia"},

	"AU": {"Australien", "Australia"}, "BR": {"Brasilien", "Brazil"}, "CA": {"Canada", "Canada"}, "CH": {"Schweiz", "Switzerland"}, //nolint:misspell // Danish
	"CN": {"Kina", "China"}, "FO": {"Færøerne", "the Faroe Islands"}, "GB": {"Storbritannien", "the United Kingdom"},
	"GL": {"Grønland", "Greenland"}, "IL": {"Israel", "Israel"}, "IN": {"Indien", "India"}, "JP": {"Japan", "Japan"},
	"KR": {"Sydkorea", "South Korea"}, "NZ": {"New Zealand", "New Zealand"}, "SG": {"Singapore", "Singapore"},
	"TR": {"Tyrkiet", "Türkiye"}, "UA": {"Ukraine", "Ukraine"}, "US": {"USA", "the USA"}, "ZA": {"Sydafrika", "South Africa"},
}

// authority is a supervisory authority (GDPR art. 51).
type authority struct {
	// Name is its own, in its own language.
	Name string
	// Web is its address, where this package is sure of it.
	Web string
}

// authorities are those of the EEA. Germany's is not here: it is the Land's.
var authorities = map[string]authority{
	"AT": {"Österreichische Datenschutzbehörde", "https://www.dsb.gv.at"},
	"BE": {"Gegevensbeschermingsautoriteit / Autorité de protection des données", ""},
	"BG": {"Комисия за защита на личните данни", ""},
	"CY": {"Commissioner for Personal Data Protection", ""},
	"CZ": {"Úřad pro ochranu osobních údajů", ""},
	"DK": {"Datatilsynet", "https://www.datatilsynet.dk"},
	"EE": {"Andmekaitse Inspektsioon", ""},
	"ES": {"Agencia Española de Protección de Datos", "https://www.aepd.es"},
	"FI": {"Tietosuojavaltuutetun toimisto", "https://tietosuoja.fi"},
	"FR": {"Commission nationale de l'informatique et des libertés (CNIL)", "https://www.cnil.fr"},
	"GR": {"Αρχή Προστασίας Δεδομένων Προσωπικού Χαρακτήρα", "https://www.dpa.gr"},
	"HR": {"Agencija za zaštitu osobnih podataka", "https://azop.hr"},
	"HU": {"Nemzeti Adatvédelmi és Információszabadság Hatóság", "https://www.naih.hu"},
	"IE": {"Data Protection Commission", "https://www.dataprotection.ie"},
	"IS": {"Persónuvernd", "https://www.personuvernd.is"},
	"IT": {"Garante per la protezione dei dati personali", "https://www.garanteprivacy.it"},
	"LI": {"Datenschutzstelle Fürstentum Liechtenstein", ""},
	"LT": {"Valstybinė duomenų apsaugos inspekcija", "https://vdai.lrv.lt"},
	"LU": {"Commission nationale pour la protection des données", "https://cnpd.public.lu"},
	"LV": {"Datu valsts inspekcija", "https://www.dvi.gov.lv"},
	"MT": {"Information and Data Protection Commissioner", "https://idpc.org.mt"},
	"NL": {"Autoriteit Persoonsgegevens", "https://www.autoriteitpersoonsgegevens.nl"},
	"NO": {"Datatilsynet", "https://www.datatilsynet.no"},
	"PL": {"Prezes Urzędu Ochrony Danych Osobowych", "https://uodo.gov.pl"},
	"PT": {"Comissão Nacional de Proteção de Dados", "https://www.cnpd.pt"},
	"RO": {"Autoritatea Națională de Supraveghere a Prelucrării Datelor cu Caracter Personal", "https://www.dataprotection.ro"},
	"SE": {"Integritetsskyddsmyndigheten", "https://www.imy.se"},
	"SI": {"Informacijski pooblaščenec", "https://www.ip-rs.si"},
	"SK": {"Úrad na ochranu osobných údajov Slovenskej republiky", ""},
}
