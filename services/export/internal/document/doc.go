// Package document writes README.html, the part of a package that is for people: what is in it, what is not and why, what the
// data is used for, and what rights a person has (GDPR art. 12(1), 15). A parent reads it on a phone or prints it, so it is one
// file without anything from elsewhere, and every value in it is escaped (html/template).
package document

import (
	"embed"
	"fmt"
	"html/template"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/privacyops/privacyops/libs/clock"
	"github.com/privacyops/privacyops/services/export/internal/export"
)

//go:embed readme.html.tmpl
var files embed.FS

var page = template.Must(template.New("readme.html.tmpl").Funcs(template.FuncMap{
	"t": text{}.get, // replaced for each language
}).ParseFS(files, "readme.html.tmpl"))

// view is what the template sees.
type view struct {
	*export.Manifest
	Lang string
	text text
}

// Readme writes the document for a manifest, in the manifest's language (Danish where it is not English).
func Readme(w io.Writer, m *export.Manifest) error {
	v := view{Manifest: m, Lang: "da", text: danish}
	if m.Language == export.English {
		v.Lang, v.text = "en", english
	}
	own, err := page.Clone()
	if err != nil {
		return fmt.Errorf("document: %w", err)
	}
	if err := own.Funcs(template.FuncMap{"t": v.text.get}).Execute(w, v); err != nil {
		return fmt.Errorf("document: %w", err)
	}
	return nil
}

// Title names the kind of copy.
func (v view) Title() string { return v.text.get("title." + string(v.Kind)) }

// Date is a day in the controller's zone, in words of the language.
func (v view) Date(t time.Time) string {
	zone, err := time.LoadLocation(v.Controller.TimeZone)
	if err != nil || v.Controller.TimeZone == "" {
		zone = clock.DefaultZone()
	}
	d := clock.DateOf(t, zone)
	return fmt.Sprintf(v.text.get("date"), d.Day, v.text.get("month."+strconv.Itoa(int(d.Month))), d.Year)
}

// Number groups thousands as the language does.
func (v view) Number(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + v.text.get("thousands") + s[i:]
	}
	return s
}

// Missing lists systems whose data is not in the package.
func (v view) Missing() []export.ManifestSystem {
	return slices.DeleteFunc(slices.Clone(v.Systems), func(s export.ManifestSystem) bool { return s.State == export.SystemDone })
}

// Present lists systems whose data is in the package.
func (v view) Present() []export.ManifestSystem {
	return slices.DeleteFunc(slices.Clone(v.Systems), func(s export.ManifestSystem) bool { return s.State != export.SystemDone })
}

// Path finds a dataset's file with that ending.
func (v view) Path(s export.SystemID, dataset, ending string) string {
	for _, f := range v.Files {
		if f.System == s && f.Dataset == dataset && strings.HasSuffix(f.Path, ending) {
			return f.Path
		}
	}
	return ""
}

// Purpose is what an activity is for.
func (v view) Purpose(id export.ActivityID) string {
	for _, a := range v.Information.Activities {
		if a.Activity == id {
			return a.Purpose
		}
	}
	return ""
}

// SystemName is a system's name for people.
func (v view) SystemName(id export.SystemID) string {
	for _, s := range v.Systems {
		if s.System == id && s.DisplayName != "" {
			return s.DisplayName
		}
	}
	return string(id)
}

// Ground explains a ground of ours; a participant's own words stay as they are.
func (v view) Ground(ground string) string {
	if known, ok := v.text["ground."+ground]; ok {
		return known
	}
	return ground
}

// What names what was left out.
func (v view) What(o export.Omission) string {
	what := o.Dataset
	switch {
	case o.Dataset == "":
		return v.Identifier(o.Column)
	case o.Column != "":
		what += " · " + o.Column
	}
	return what
}

// Identifier names a kind of identifier.
func (v view) Identifier(kind string) string {
	if known, ok := v.text["identifier."+kind]; ok {
		return known
	}
	return kind
}

// Basis names a legal basis with its article.
func (v view) Basis(b export.LegalBasis) string {
	if known, ok := v.text["basis."+string(b)]; ok {
		return known
	}
	return string(b)
}

// Right names a right.
func (v view) Right(r string) string { return v.text.get("right." + r) }

// Event names what starts a period of retention.
func (v view) Event(e string) string {
	if known, ok := v.text["event."+e]; ok {
		return known
	}
	return strings.ToLower(strings.ReplaceAll(e, "_", " "))
}

var period = regexp.MustCompile(`^P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)D)?$`)

// Period says an ISO 8601 period in words; what is none stays as it is.
func (v view) Period(p string) string {
	found := period.FindStringSubmatch(p)
	if found == nil || p == "P" {
		return p
	}
	var parts []string
	for i, unit := range []string{"year", "month", "day"} {
		n := found[i+1]
		if n == "" {
			continue
		}
		if n != "1" {
			unit += "s"
		}
		parts = append(parts, n+" "+v.text.get("period."+unit))
	}
	return strings.Join(parts, " "+v.text.get("and")+" ")
}

// Join lists words.
func (v view) Join(words []string) string { return strings.Join(words, ", ") }

// text holds the words of one language.
type text map[string]string

// get gives a text; a key that is missing shows itself, and a test looks for such.
func (t text) get(key string) string {
	if s, ok := t[key]; ok {
		return s
	}
	return "{" + key + "}"
}

// keys lists what a language has words for.
func (t text) keys() []string { return slices.Sorted(maps.Keys(t)) }
