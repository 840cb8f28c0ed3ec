package documents_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/renderer/html"
	"pgregory.net/rapid"

	"github.com/privacyops/privacyops/services/consent/internal/consent"
	"github.com/privacyops/privacyops/services/consent/internal/documents"
)

// commonMark reads Markdown as an independent program does: with the extensions that are common, and HTML let through.
var commonMark = goldmark.New(goldmark.WithExtensions(extension.GFM, extension.Footnote, extension.DefinitionList),
	goldmark.WithRendererOptions(html.WithUnsafe(), html.WithXHTML()))

// shape is a document's elements with their attributes, in order, and its text.
type shape struct {
	elements []string
	text     string
}

// shapeOf reads a page strictly: an element that is not closed is an error.
func shapeOf(t failer, name, body string) shape {
	t.Helper()
	if strings.HasSuffix(name, ".md") {
		var b bytes.Buffer
		if err := commonMark.Convert([]byte(body), &b); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		body = "<html>" + b.String() + "</html>"
	}
	body = regexp.MustCompile(`<(meta[^>]*)>`).ReplaceAllString(strings.TrimPrefix(body, "<!DOCTYPE html>"), "<$1/>")
	d := xml.NewDecoder(strings.NewReader(body))
	d.Entity = xml.HTMLEntity
	var s shape
	var text strings.Builder
	for {
		token, err := d.Token()
		switch token := token.(type) {
		case xml.StartElement:
			element := token.Name.Local
			for _, a := range token.Attr {
				element += " " + a.Name.Local + "=" + a.Value
			}
			s.elements = append(s.elements, element)
		case xml.CharData:
			text.WriteString(" ")
			text.Write(token)
		case xml.Comment, xml.ProcInst, xml.Directive:
			t.Fatalf("%s has %T", name, token)
		}
		if errors.Is(err, io.EOF) {
			s.text = oneLine(text.String())
			return s
		} else if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, body)
		}
	}
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// saying is a register in which everything that can be any text is this one.
func saying(s string) documents.Register {
	r := municipal()
	r.Controller.DisplayName, r.Controller.Contact = s, s
	r.Controller.DPO = consent.ContactPerson{Name: s, Email: s}
	for i := range r.Systems {
		r.Systems[i].DisplayName, r.Systems[i].OperatedBy = s, s
	}
	for i := range r.Activities {
		a := &r.Activities[i]
		a.Purpose, a.Source, a.Retention.Ground = s, s, s
		for j := range a.Transfers {
			a.Transfers[j].Safeguard = s
		}
	}
	return r
}

// wicked are texts that are markup, commands or formulas somewhere.
var wicked = []string{
	`<script>alert(1)</script>`, `<img src=x onerror=alert(1)>`, `"><b>x</b>`, `</dd></dl><h1>x`, `&lt;b&gt; &amp; &copy;`, `<!-- x`, `<![CDATA[x`,
	`[click](javascript:alert(1))`, `![x](http://evil.example/x.png)`, `[x]: http://evil.example`, `<http://evil.example>`, `http://evil.example/a`, `www.evil.example`,
	"# Heading", "## x\n# y", "- item", "+ item", "* item", "1. item", "2) item", "> quote", "---", "===", "x\n===", "x\n\n---\n\ny", "    code", "\tcode", "```\ncode\n```", "~~~", "`code`",
	"**bold**", "__bold__", "_it_", "~~gone~~", "a | b\n--|--\nc | d", "| a |", "[ ] task", "[^1]", "[^1]: note", ": definition", "$x$", `\`, `\*`, `a\`, "x  \ny", "&#60;b&#62;", "{{.Title}}", "{name}",
	"=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "'=1", `"=1"`, `a","b`, "a;b", "\u202Eevil\u202C", "\uFEFF=1", "a\u2028b", "a\x00b", "＝1",
}

// hostile makes texts of pieces that mean something in one of the formats. E-mail addresses are left out: a reader that makes links
// of them leads to what is written.
func hostile() *rapid.Generator[string] {
	pieces := rapid.SampledFrom(append([]string{"a", "æ", " ", "\n", "\\", "*", "_", "`", "~", "[", "]", "(", ")", "<", ">", "&", "#", "|", "!", "-", "+", "=", ".", "1", ":", "//", "http", "www.", "\"", "'", ";", "$", "^"}, wicked...))
	return rapid.Custom(func(t *rapid.T) string {
		s := strings.Join(rapid.SliceOfN(pieces, 1, 4).Draw(t, "pieces"), "")
		if len(s) > 100 || oneLine(s) == "" || strings.Contains(s, "@") {
			return "x"
		}
		return s
	})
}

// TestNoTextBecomesMarkup compares the pages of a hostile register with those of a harmless one: they have the same elements with
// the same attributes, as strict readers of HTML and Markdown see them, and the text itself is there to be read.
func TestNoTextBecomesMarkup(t *testing.T) {
	t.Parallel()
	var pages []printing
	for _, p := range every() {
		if strings.HasSuffix(p.name, "da.md") || strings.HasSuffix(p.name, "da.html") {
			pages = append(pages, p)
		}
	}
	harmless := map[string][]string{}
	for _, p := range pages {
		harmless[p.name] = shapeOf(t, p.name, p.of(t, saying("x"))).elements
	}
	check := func(t failer, s string) {
		for _, p := range pages {
			body := p.of(t, saying(s))
			got := shapeOf(t, p.name, body)
			if diff := cmp.Diff(harmless[p.name], got.elements); diff != "" {
				t.Fatalf("%q makes other elements in %s (-harmless +hostile):\n%s\n%s", s, p.name, diff, body)
			}
			if strings.ContainsAny(body, "\u202E\u202C\uFEFF\x00") {
				t.Fatalf("%s has characters that control how it is shown, of %q", p.name, s)
			}
			if want := readable(s); !strings.Contains(got.text, want) {
				t.Fatalf("%s does not say %q: %s", p.name, want, got.text)
			}
		}
	}
	for _, s := range wicked {
		check(t, s)
	}
	rapid.Check(t, func(t *rapid.T) { check(t, hostile().Draw(t, "text")) })
}

// readable is what a person sees of a text: one line, without what turns the direction of writing.
func readable(s string) string {
	return oneLine(strings.NewReplacer("\x00", " ", "\u202E", "", "\u202C", "", "\uFEFF", "", "\u2028", " ").Replace(s))
}

// TestNoCellIsAFormula reads the tables as a spreadsheet does.
func TestNoCellIsAFormula(t *testing.T) {
	t.Parallel()
	for _, p := range every() {
		if !strings.HasSuffix(p.name, ".csv") {
			continue
		}
		for _, s := range wicked {
			body := p.of(t, saying(s))
			for _, row := range tableOf(t, body) {
				for _, cell := range row {
					if strings.ContainsAny(cell[:min(len(cell), 1)], "=+-@\t\r") || strings.HasPrefix(cell, "＝") {
						t.Fatalf("%s has the cell %q", p.name, cell)
					}
				}
			}
			if strings.ContainsAny(strings.ReplaceAll(body, "\r\n", ""), "\r\n") {
				t.Fatalf("%s has a line break inside a cell", p.name)
			}
		}
	}
}

// tableOf reads CSV with the reader of the standard library. Rows of different length are an error.
func tableOf(t failer, body string) [][]string {
	t.Helper()
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(body, "\uFEFF"))).ReadAll()
	if err != nil {
		t.Fatalf("%v\n%s", err, body)
	}
	return rows
}

// TestDataKeepsTexts: what is for programs has every text as it was registered.
func TestDataKeepsTexts(t *testing.T) {
	t.Parallel()
	for _, p := range every() {
		if !strings.HasSuffix(p.name, ".json") {
			continue
		}
		for _, s := range wicked {
			var v any
			if err := json.Unmarshal([]byte(p.of(t, saying(s))), &v); err != nil {
				t.Fatalf("%s: %v", p.name, err)
			}
			if !holds(v, s) {
				t.Fatalf("%s has lost %q", p.name, s)
			}
		}
	}
}

func holds(v any, s string) bool {
	switch v := v.(type) {
	case string:
		return v == s
	case []any:
		for _, one := range v {
			if holds(one, s) {
				return true
			}
		}
	case map[string]any:
		for _, one := range v {
			if holds(one, s) {
				return true
			}
		}
	}
	return false
}
