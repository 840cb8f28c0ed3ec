package evidencereport

import (
	"io"
	"strconv"
	"text/template"
	"time"

	"github.com/privacyops/privacyops/services/audit/internal/evidence"
)

// measuresText lists measures. Each line is a fact of this installation when the package was made, or of how the suite is built.
const measuresText = `# Measures that the suite can vouch for / Foranstaltninger, som systemet kan stå inde for

Log: {{.F.Origin}}

## Settings of this installation / Indstillinger i denne installation

- Erasures need the approval of {{.Approvals}}. / Sletninger kræver godkendelse af {{.Godkendelser}}.
- An approved erasure can be called back for {{.Grace}}. / En godkendt sletning kan kaldes tilbage i {{.Frist}}.
{{with .F.Witnesses}}- The enclosed checkpoint{{$.LeastSigned}} is signed by {{len .By}} of {{.Known}} witnesses outside the log; {{.Required}} are required. / Det vedlagte kontrolpunkt{{$.MindstUnderskrevet}} er underskrevet af {{len .By}} af {{.Known}} vidner uden for loggen; der kræves {{.Required}}.
{{else}}- The enclosed checkpoint is signed by the log alone: no witnesses watch it. / Det vedlagte kontrolpunkt er kun underskrevet af loggen selv: ingen vidner følger den.
{{end}}- Events of the period that nobody can read any more, because the keys of the people in them are destroyed: {{.F.Destroyed}}. / Hændelser i perioden, som ingen kan læse mere, fordi nøglerne til personerne i dem er destrueret: {{.F.Destroyed}}.

## How the suite is built / Sådan er systemet bygget

- Every access is entered in an append-only log (a Merkle tree with signed checkpoints); this package proves that none of the period is missing. / Enhver adgang skrives i en log, der kun kan føjes til (et Merkle-træ med underskrevne kontrolpunkter); denne pakke beviser, at ingen post i perioden mangler.
- What an entry says of a person is sealed (AES-256-GCM) under keys that are destroyed when the person is erased. / Det, en post siger om en person, er forseglet (AES-256-GCM) under nøgler, der destrueres, når personen slettes.
- Inside the suite people are pseudonyms: keyed hashes, different for each controller (GDPR art. 4(5), 32(1)(a)). / I systemet er personer pseudonymer: nøglede hashværdier, forskellige for hver dataansvarlig.
- Services authenticate each other with certificates (TLS 1.3), and people with tokens that name role and controller. / Tjenester identificerer sig for hinanden med certifikater (TLS 1.3), og personer med tokens, der nævner rolle og dataansvarlig.
- Evidence packages are encrypted on the disk and deleted after {{.Keep}} days, or at once when keys are destroyed under which an event of their period is sealed. / Pakker som denne er krypteret på disken og slettes efter {{.Keep}} dage, eller straks når der destrueres nøgler, som en hændelse i deres periode er forseglet under.
`

// Measures writes the list of measures, in both languages.
func (Reporter) Measures(w io.Writer, f evidence.Facts) error {
	t, err := template.New("measures").Parse(measuresText)
	if err != nil {
		return err
	}
	approvals, godkendelser := "one person", "én person"
	if f.RequiredApprovals > 1 {
		approvals, godkendelser = strconv.Itoa(f.RequiredApprovals)+" different people", strconv.Itoa(f.RequiredApprovals)+" forskellige personer"
	}
	least, mindst := "", ""
	if f.Checkpoints > 1 {
		least, mindst = " that witnesses signed least, of "+strconv.Itoa(f.Checkpoints)+",", ", som vidnerne har underskrevet mindst, af "+strconv.Itoa(f.Checkpoints)+","
	}
	return t.Execute(w, struct {
		F                       evidence.Facts
		Approvals, Godkendelser string
		Grace, Frist            string
		Keep                    int

		LeastSigned, MindstUnderskrevet string
	}{f, approvals, godkendelser, wordsOf("en").duration(f.GracePeriod), wordsOf("da").duration(f.GracePeriod), int(evidence.Keep / (24 * time.Hour)), least, mindst})
}
