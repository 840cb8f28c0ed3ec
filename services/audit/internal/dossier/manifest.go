package dossier

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"regexp"
	"slices"
	"time"
)

// Format names the form of a package that this code writes and reads.
const Format = "privacyops-evidence/v1"

// The members of every package.
const (
	ReadmePath     = "README.html"
	DanishPath     = "report.da.html"
	EnglishPath    = "report.en.html"
	EventsPath     = "events.jsonl"
	LeavesPath     = "leaves.bin"
	ProofPath      = "proof.bin"
	CheckpointPath = "checkpoint"
	FiguresPath    = "figures.json"
	ControllerPath = "register/controller.json"
	ActivitiesPath = "register/activities.jsonl"
	MeasuresPath   = "measures.md"
	ManifestPath   = "manifest.json"
	SignaturePath  = "manifest.sig"
	// WitnessesPath says who the witnesses are; there is none where the log has none.
	WitnessesPath = "witnesses.policy"
	// CertificateFolder holds a file `{erasure}.json` for each certificate.
	CertificateFolder = "certificates/"
)

// Required lists the members that every package has beside the manifest and its signature.
func Required() []string {
	return []string{LeavesPath, ProofPath, CheckpointPath, EventsPath, ControllerPath, ActivitiesPath, FiguresPath, MeasuresPath,
		DanishPath, EnglishPath, ReadmePath}
}

// certificatePath is what the file of a certificate is called.
var certificatePath = regexp.MustCompile(`^certificates/[0-9A-Za-z_-]{1,64}\.json$`)

// Known reports whether a package may have a member of that name.
func Known(path string) bool {
	return path == ManifestPath || path == SignaturePath || path == WitnessesPath || slices.Contains(Required(), path) || certificatePath.MatchString(path)
}

// Text is a sentence in the two languages of a package.
type Text struct {
	En string `json:"en"`
	Da string `json:"da"`
}

// In gives the sentence in a language, `da` or `en`.
func (t Text) In(language string) string {
	if language == "en" {
		return t.En
	}
	return t.Da
}

// Manifest says what is in a package.
type Manifest struct {
	Format string `json:"format"`
	// Evidence is its resource name, `controllers/{controller}/evidence/{evidence}`.
	Evidence   string `json:"evidence"`
	Controller string `json:"controller"`
	// DisplayName is the controller's name for people.
	DisplayName string `json:"displayName"`
	// StartTime, included, and EndTime, not included, bound the period by the log's time of receipt.
	StartTime  time.Time `json:"startTime"`
	EndTime    time.Time `json:"endTime"`
	CreateTime time.Time `json:"createTime"`
	Language   string    `json:"language"`
	Log        Log       `json:"log"`
	// Witnesses says who else signed the checkpoint, of several the one that they signed least; it is not there where the log has no
	// witnesses.
	Witnesses *Cosigned `json:"witnesses,omitempty"`
	Numbers   Numbers   `json:"numbers"`
	Counts    Counts    `json:"counts"`
	Proves    []Text    `json:"proves"`
	// DoesNotProve is what nobody may conclude from the package.
	DoesNotProve []Text `json:"doesNotProve"`
	Files        []File `json:"files"`
}

// Log is the checkpoint that the entries lead to; or, where they are of more than the log's first shard, those of their shards.
type Log struct {
	Origin string `json:"origin"`
	// Key checks checkpoint and manifest, in the text form of signed notes, `name+hash+base64`.
	Key string `json:"key"`
	// Size is the number of entries, and Root the root hash in lower-case hex, that the checkpoint signs.
	// Of several checkpoints, these are the place behind the last shard's last entry, and its root.
	Size uint64 `json:"size"`
	Root string `json:"root"`
	// Shards are those that the entries are in, one after the other; none where all are in the first one.
	Shards []Shard `json:"shards,omitempty"`
}

// Shard is a part of the log: a tree of its own. The places of entries run on from one to the next.
type Shard struct {
	// Origin is its name. Its checkpoint is signed with the log's key under this name.
	Origin string `json:"origin"`
	// First is the place of its first entry; Size and Root are what its checkpoint signs.
	First uint64 `json:"first"`
	Size  uint64 `json:"size"`
	Root  string `json:"root"`
}

// Numbers are those of the controller's entries, which the log numbers 1, 2, 3, … for each controller. First to Last are in the
// period; with none in it, First is Last+1. Before is the last one before the period, which is First-1, and 0 where the log begins
// within it. After is the first one after the period, Last+1.
type Numbers struct {
	Before uint64 `json:"before"`
	First  uint64 `json:"first"`
	Last   uint64 `json:"last"`
	After  uint64 `json:"after"`
}

// Counts say how much there is.
type Counts struct {
	// Entries of the log in the period, and Events: an entry may stand for many decisions.
	Entries int64 `json:"entries"`
	Events  int64 `json:"events"`
	// Unreadable is how many of the events are about people whose keys are destroyed.
	Unreadable int64 `json:"unreadable"`
	// Certificates, ActivityVersions and Hashes (of proof.bin) are in the package.
	Certificates     int64 `json:"certificates"`
	ActivityVersions int64 `json:"activityVersions"`
	Hashes           int64 `json:"hashes"`
}

// File is a member of the package. Only manifest.json and manifest.sig are not listed.
type File struct {
	Path string `json:"path"`
	// Size in bytes and SHA256 in lower-case hex are of the content, the stored ones of its compressed bytes in the ZIP.
	Size         int64  `json:"size"`
	SHA256       string `json:"sha256"`
	StoredSize   int64  `json:"storedSize"`
	StoredSHA256 string `json:"storedSha256"`
}

// Marshal writes the manifest.
func (m *Manifest) Marshal() ([]byte, error) {
	raw, err := json.MarshalIndent(m, "", "  ")
	return append(raw, '\n'), err
}

// SignedText is the text of the note in manifest.sig: the format, and the SHA-256 of manifest.json in hex, a line each. A checkpoint
// begins with the log's name and has three lines or more, so that neither is ever taken for the other although one key signs both.
func SignedText(manifest []byte) string {
	sum := sha256.Sum256(manifest)
	return Format + "\n" + hex.EncodeToString(sum[:]) + "\n"
}

// Proves says what a package that verifies shows.
func Proves() []Text {
	return []Text{
		{"Every entry in the package is in the log whose checkpoint is enclosed, unaltered since that checkpoint was signed.",
			"Hver post i pakken findes i loggen med det vedlagte kontrolpunkt og er ikke ændret, siden kontrolpunktet blev underskrevet."},
		{"No entry about this controller was left out of the period: the numbers of its entries run on from the last entry before the period to the first one after it.",
			"Ingen post om denne dataansvarlige er udeladt i perioden: numrene på dens poster fortsætter uden huller fra den sidste post før perioden til den første efter den."},
		{"Every line of events.jsonl says what its entry in the log says, and the numbers in the report follow from those lines and the certificates.",
			"Hver linje i events.jsonl siger det samme som dens post i loggen, og rapportens tal følger af linjerne og attesterne."},
		{"Every erasure certificate in the package verifies against the same log.",
			"Hver sletteattest i pakken kan efterprøves mod den samme log."},
	}
}

// DoesNotProve says what nobody may conclude from a package.
func DoesNotProve() []Text {
	return []Text{
		{"That everything which happened was reported to the log: a log shows what was entered in it.",
			"At alt, hvad der skete, blev meldt til loggen: en log viser det, der er skrevet i den."},
		{"That the log has shown everybody the same: for that, compare its checkpoint with one of a witness or of your own.",
			"At loggen har vist alle det samme: sammenlign dens kontrolpunkt med et fra et vidne eller med jeres eget."},
		{"What is written about people whose keys were destroyed: it was sealed, and nobody can read it any more.",
			"Hvad der står om personer, hvis nøgler er destrueret: det var forseglet, og ingen kan læse det mere."},
		{"The register and the list of measures are the processor's statement, signed with the package; the log has the events of their changes, not their content.",
			"Fortegnelsen og listen over foranstaltninger er databehandlerens egen erklæring, underskrevet med pakken; loggen har hændelserne om deres ændringer, ikke deres indhold."},
	}
}
