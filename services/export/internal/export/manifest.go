package export

import (
	"slices"
	"time"
)

// Format names the form of a package and its manifest.
const Format = "privacyops-export/v1"

// Manifest says what a package holds, what not, and what the person must be told (GDPR art. 15(1), (2)). It is written as
// manifest.json.
type Manifest struct {
	Format     string             `json:"format"`
	Export     string             `json:"export"`
	Kind       Kind               `json:"kind"`
	Language   Language           `json:"language"`
	Controller ManifestController `json:"controller"`
	// Subject is the person's pseudonym: a package that goes astray must not name them here too.
	Subject     string    `json:"subject"`
	ReceiveTime time.Time `json:"receiveTime"`
	DueTime     time.Time `json:"dueTime"`
	CreateTime  time.Time `json:"createTime"`
	PackageTime time.Time `json:"packageTime"`
	// Complete says that every system handed over all it holds, mandatory or not.
	Complete    bool             `json:"complete"`
	Systems     []ManifestSystem `json:"systems"`
	Files       []File           `json:"files"`
	Omissions   []Omission       `json:"omissions"`
	Information Information      `json:"information"`
}

// ManifestController names the controller and how to reach it.
type ManifestController struct {
	ID           ControllerID `json:"id"`
	DisplayName  string       `json:"displayName"`
	Jurisdiction string       `json:"jurisdiction"`
	// TimeZone is the one in which dates for people are told; empty for the suite's default.
	TimeZone string `json:"timeZone,omitempty"`
	Contact  string `json:"contact,omitempty"`
	DPOName  string `json:"dpoName,omitempty"`
	DPOEmail string `json:"dpoEmail,omitempty"`
}

// ManifestSystem is one system and how complete its answer is.
type ManifestSystem struct {
	System      SystemID    `json:"system"`
	DisplayName string      `json:"displayName"`
	Location    string      `json:"location,omitempty"`
	OperatedBy  string      `json:"operatedBy,omitempty"`
	Mandatory   bool        `json:"mandatory"`
	State       SystemState `json:"state"`
	Message     string      `json:"message,omitempty"`
	DataMap     string      `json:"dataMapDigest,omitempty"`
	Records     int64       `json:"records"`
	Bytes       int64       `json:"bytes"`
	// Datasets are those that the package holds records of.
	Datasets []ManifestDataset `json:"datasets"`
}

// ManifestDataset says what a dataset is for.
type ManifestDataset struct {
	Dataset  string     `json:"dataset"`
	Category string     `json:"category,omitempty"`
	Activity ActivityID `json:"activity,omitempty"`
	Records  int64      `json:"records"`
}

// File is a file of the package.
type File struct {
	Path      string   `json:"path"`
	MediaType string   `json:"mediaType"`
	System    SystemID `json:"system,omitempty"`
	Dataset   string   `json:"dataset,omitempty"`
	Records   int64    `json:"records"`
	Bytes     int64    `json:"bytes"`
	SHA256    string   `json:"sha256"`
}

// Information is what the person must be told beside the copy (GDPR art. 15(1)(a)-(h), (2)).
type Information struct {
	Activities []ManifestActivity `json:"activities"`
	Rights     []Right            `json:"rights"`
	Complaint  Complaint          `json:"complaint"`
	// Locations are the countries of processing, ThirdCountries those outside the European Economic Area (art. 15(2)).
	Locations      []string `json:"locations"`
	ThirdCountries []string `json:"thirdCountries"`
}

// ManifestActivity is one purpose of processing.
type ManifestActivity struct {
	Activity           ActivityID        `json:"activity"`
	Purpose            string            `json:"purpose"`
	LegalBasis         LegalBasis        `json:"legalBasis"`
	SpecialCategory    string            `json:"specialCategoryCondition,omitempty"`
	DataCategories     []string          `json:"dataCategories"`
	SubjectCategories  []string          `json:"subjectCategories"`
	Recipients         []string          `json:"recipients"`
	Systems            []SystemID        `json:"systems"`
	Retention          ManifestRetention `json:"retention"`
	Source             string            `json:"source,omitempty"`
	AutomatedDecisions bool              `json:"automatedDecisions"`
	Ended              bool              `json:"ended"`
}

// ManifestRetention says how long data is kept.
type ManifestRetention struct {
	Period    string `json:"period,omitempty"`
	Event     string `json:"event,omitempty"`
	Protected bool   `json:"protected"`
	Ground    string `json:"ground,omitempty"`
}

// Right is a right of the person.
type Right struct {
	Right   string `json:"right"`
	Article string `json:"article"`
}

// Complaint says where to complain (GDPR art. 77).
type Complaint struct {
	Authority string `json:"authority"`
	Address   string `json:"address,omitempty"`
	Web       string `json:"web"`
}

// rights are those that art. 15(1)(e) tells of, and the others of chapter III.
func rights() []Right {
	return []Right{
		{"ACCESS", "GDPR art. 15"}, {"RECTIFICATION", "GDPR art. 16"}, {"ERASURE", "GDPR art. 17"},
		{"RESTRICTION", "GDPR art. 18"}, {"PORTABILITY", "GDPR art. 20"}, {"OBJECTION", "GDPR art. 21"},
		{"WITHDRAW_CONSENT", "GDPR art. 7(3)"},
	}
}

// authority is where a person under that law complains.
func authority(jurisdiction string) Complaint {
	if jurisdiction == "DK" {
		return Complaint{"Datatilsynet", "Carl Jacobsens Vej 35, 2500 Valby", "https://www.datatilsynet.dk"}
	}
	// The list of the authorities of all member states.
	return Complaint{"Supervisory authority " + jurisdiction, "", "https://www.edpb.europa.eu/about-edpb/about-edpb/members_en"}
}

// eea are the countries in which the GDPR is law: the Union's, Iceland, Liechtenstein and Norway.
var eea = []string{
	"AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IS", "IT", "LI", "LT", "LU", "LV",
	"MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK",
}

// newManifest says of w what the register says and what the systems answered. The draft adds the files.
func newManifest(w *Work, snap Snapshot, described map[SystemID]Description, omitted []Omission, now time.Time) *Manifest {
	c := snap.Controller
	m := &Manifest{
		Format: Format, Export: w.Name(), Kind: w.Kind, Language: w.Language,
		Controller: ManifestController{ID: c.ID, DisplayName: c.DisplayName, Jurisdiction: c.Jurisdiction, TimeZone: c.TimeZone,
			Contact: c.Contact, DPOName: c.DPOName, DPOEmail: c.DPOEmail},
		Subject:     w.SubjectRef,
		ReceiveTime: w.Received.UTC(), DueTime: w.Due.UTC(), CreateTime: w.Created.UTC(), PackageTime: now.UTC(),
		Complete: true, Systems: []ManifestSystem{}, Files: []File{}, Omissions: slices.Concat([]Omission{}, omitted),
		Information: information(snap),
	}
	for _, s := range w.Systems {
		m.Complete = m.Complete && s.State == SystemDone
		m.Systems = append(m.Systems, manifestSystem(s, snap, described[s.System]))
	}
	return m
}

func manifestSystem(s System, snap Snapshot, d Description) ManifestSystem {
	out := ManifestSystem{System: s.System, DisplayName: s.DisplayName, Mandatory: s.Mandatory, State: s.State, Message: s.Message,
		DataMap: s.Digest, Records: s.Records, Bytes: s.Bytes, Datasets: []ManifestDataset{}}
	for _, r := range snap.Systems {
		if r.ID == s.System {
			out.Location, out.OperatedBy = r.Location, r.OperatedBy
		}
	}
	for _, ds := range d.Datasets {
		out.Datasets = append(out.Datasets, ManifestDataset{Dataset: ds.Name, Category: ds.Category, Activity: ds.Activity})
	}
	return out
}

// Fill adds the files of the package and counts them into the datasets. A dataset without a record is left out; one
// that the system did not describe gets in.
func (m *Manifest) Fill(files []File) {
	m.Files = files
	records := map[SystemID]map[string]int64{}
	for _, f := range files {
		if f.System != "" {
			if records[f.System] == nil {
				records[f.System] = map[string]int64{}
			}
			records[f.System][f.Dataset] = f.Records
		}
	}
	for i := range m.Systems {
		s := &m.Systems[i]
		left := records[s.System]
		s.Datasets = slices.DeleteFunc(s.Datasets, func(d ManifestDataset) bool { return left[d.Dataset] == 0 })
		for j := range s.Datasets {
			s.Datasets[j].Records = left[s.Datasets[j].Dataset]
			delete(left, s.Datasets[j].Dataset)
		}
		for _, f := range files {
			if n, ok := left[f.Dataset]; ok && f.System == s.System {
				s.Datasets = append(s.Datasets, ManifestDataset{Dataset: f.Dataset, Records: n})
				delete(left, f.Dataset)
			}
		}
	}
}

func information(snap Snapshot) Information {
	info := Information{Activities: []ManifestActivity{}, Rights: rights(), Complaint: authority(snap.Controller.Jurisdiction),
		Locations: []string{}, ThirdCountries: []string{}}
	for _, a := range snap.Activities {
		info.Activities = append(info.Activities, ManifestActivity{
			Activity: a.ID, Purpose: a.Purpose, LegalBasis: a.LegalBasis, SpecialCategory: a.SpecialCategory,
			DataCategories: listed(a.DataCategories), SubjectCategories: listed(a.SubjectCategories), Recipients: listed(a.Recipients),
			Systems: listed(a.Systems), Source: a.Source, AutomatedDecisions: a.AutomatedDecisions, Ended: a.Archived,
			Retention: ManifestRetention(a.Retention),
		})
		info.Locations = append(info.Locations, a.Locations...)
	}
	for _, s := range snap.Systems {
		if s.Location != "" {
			info.Locations = append(info.Locations, s.Location)
		}
	}
	slices.Sort(info.Locations)
	info.Locations = slices.Compact(info.Locations)
	for _, l := range info.Locations {
		if !slices.Contains(eea, l) {
			info.ThirdCountries = append(info.ThirdCountries, l)
		}
	}
	return info
}

// listed makes JSON's null an empty list.
func listed[T any](in []T) []T { return slices.Concat([]T{}, in) }
