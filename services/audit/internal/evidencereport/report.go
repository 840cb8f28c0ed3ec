package evidencereport

import (
	_ "embed"
	"html/template"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/privacyops/privacyops/services/audit/internal/dossier"
	"github.com/privacyops/privacyops/services/audit/internal/evidence"
)

//go:embed report.html.tmpl
var reportText string

//go:embed readme.html.tmpl
var readmeText string

// Reporter implements evidence.Reporter.
type Reporter struct{}

var _ evidence.Reporter = Reporter{}

// tableRows is how many rows of a table a page shows; figures.json has more.
const tableRows = 200

// page is what the report's template works with.
type page struct {
	words
	Language string
	M        *dossier.Manifest
	F        *dossier.Figures
	Weekly   bool
	Timeline chart
	// Decisions and Denials are there where there are any.
	Decisions, Denials *chart
	Erasures           *chart
	Share              *share
	// Asked is how many decisions can be read.
	Asked int64
}

// Page writes the report in a language, `da` or `en`.
func (Reporter) Page(w io.Writer, m *dossier.Manifest, f *dossier.Figures, language string) error {
	p := page{words: wordsOf(language), Language: language, M: m, F: f, Weekly: len(f.Days) > mostBars,
		Asked: f.Decisions.Allow + f.Decisions.Deny}
	columns := columnsOf(f.Days, p.words)
	p.Timeline = timeline(columns, p.words)
	if f.Decisions.Allow+f.Decisions.Deny > 0 {
		c := decisions(columns, p.words)
		p.Decisions = &c
		p.Share = shareOf(f.Decisions, p.words)
	}
	if f.Denied > 0 {
		c := denials(columns, p.words)
		p.Denials = &c
	}
	if f.Erasures.Count > 0 {
		c := erasures(f.Erasures, p.words)
		p.Erasures = &c
	}
	t, err := template.New("report").Funcs(p.functions()).Parse(reportText)
	if err != nil {
		return err
	}
	return t.Execute(w, p)
}

// Readme writes the page that opens the report in the manifest's language.
func (Reporter) Readme(w io.Writer, m *dossier.Manifest) error {
	open := dossier.DanishPath
	if m.Language == "en" {
		open = dossier.EnglishPath
	}
	t, err := template.New("readme").Parse(readmeText)
	if err != nil {
		return err
	}
	return t.Execute(w, struct {
		M    *dossier.Manifest
		Open string
	}{m, open})
}

func (w words) functions() template.FuncMap {
	return template.FuncMap{
		"t":       func(key string) string { return w.say(key) },
		"n":       w.number,
		"date":    w.date,
		"moment":  w.moment,
		"period":  w.period,
		"short":   func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") },
		"reason":  func(code string) coded { return coded{w.codes["reason."+code], code} },
		"verdict": func(code string) coded { return coded{w.codes["verdict."+code], code} },
		"more":    func(e dossier.ErasureFigures) bool { return e.Count > min(int64(len(e.Rows)), tableRows) },
		"kind":    w.kind,
		"text":    func(t dossier.Text) string { return t.In(w.language) },
		"head": func(rows any) any {
			switch r := rows.(type) {
			case []dossier.ActionFigure:
				return r[:min(len(r), tableRows)]
			case []dossier.DenialFigure:
				return r[:min(len(r), tableRows)]
			case []dossier.ErasureRow:
				return r[:min(len(r), tableRows)]
			}
			return rows
		},
		"took": func(r dossier.ErasureRow) string { return w.duration(r.IssuedTime.Sub(r.RequestedTime)) },
	}
}

// number writes a count with the language's separator of thousands.
func (w words) number(v any) string {
	var text string
	switch n := v.(type) {
	case int64:
		text = strconv.FormatInt(n, 10)
	case uint64:
		text = strconv.FormatUint(n, 10)
	case int:
		text = strconv.Itoa(n)
	}
	separator := "."
	if w.language == "en" {
		separator = ","
	}
	var out strings.Builder
	for i, r := range text {
		if i > 0 && (len(text)-i)%3 == 0 {
			out.WriteString(separator)
		}
		out.WriteRune(r)
	}
	return out.String()
}

func (w words) date(t time.Time) string {
	t = t.UTC()
	if w.language == "en" {
		return strconv.Itoa(t.Day()) + " " + t.Month().String() + " " + strconv.Itoa(t.Year())
	}
	return strconv.Itoa(t.Day()) + ". " + danishMonths[t.Month()-1] + " " + strconv.Itoa(t.Year())
}

// coded is a code, with a text where there is one that says it plainly.
type coded struct{ Text, Code string }

// period names the days of a period that begins and ends at midnight, and the moments of any other.
func (w words) period(start, end time.Time) string {
	const day = 24 * time.Hour
	if start.Equal(start.Truncate(day)) && end.Equal(end.Truncate(day)) {
		return w.date(start) + " " + w.say("through") + " " + w.date(end.Add(-day)) + " (UTC)"
	}
	return w.moment(start) + " " + w.say("upto") + " " + w.moment(end)
}

func (w words) moment(t time.Time) string { return w.date(t) + " " + t.UTC().Format("15:04") + " UTC" }

func (w words) duration(d time.Duration) string {
	hours := int64(d / time.Hour)
	switch {
	case d == 0:
		return "0 " + w.say("hours")
	case d < time.Hour:
		return w.number(max(int64(d/time.Minute), 1)) + " " + w.say("minutes")
	case hours < 48:
		return w.number(hours) + " " + w.say("hours")
	}
	return w.number(hours/24) + " " + w.say("days")
}

func (w words) kind(kind string) string { return w.say("kind." + kind) }
