package documents

import (
	"bytes"
	"regexp"
	"strings"
	"unicode"
)

// markdown prints a page as CommonMark.
func markdown(p page) []byte {
	var b bytes.Buffer
	line := func(parts ...string) {
		for _, part := range parts {
			b.WriteString(part)
		}
		b.WriteString("\n")
	}
	line("# ", inline(p.Title))
	paragraphs(line, p.Lead)
	for _, s := range p.Sections {
		sectionMarkdown(line, "##", s)
	}
	line()
	line("---")
	paragraphs(line, []string{p.End})
	return b.Bytes()
}

func sectionMarkdown(line func(...string), mark string, s section) {
	line()
	line(mark, " ", inline(s.Heading))
	paragraphs(line, s.Text)
	if len(s.Facts)+len(s.List) > 0 {
		line()
	}
	for _, f := range s.Facts {
		factMarkdown(line, f)
	}
	for _, item := range s.List {
		line("- ", opening(item))
	}
	if s.Link != nil {
		line()
		line("[", inline(s.Link.Text), "](", s.Link.URL, ")")
	}
	for _, part := range s.Parts {
		sectionMarkdown(line, mark+"#", part)
	}
}

func paragraphs(line func(...string), texts []string) {
	for _, t := range texts {
		line()
		line(opening(t))
	}
}

// factMarkdown prints one value beside its label, several below it.
func factMarkdown(line func(...string), f fact) {
	if len(f.Values) == 1 {
		line("- **", inline(f.Label), ":** ", inline(f.Values[0]))
		return
	}
	line("- **", inline(f.Label), ":**")
	for _, v := range f.Values {
		line("  - ", opening(v))
	}
}

// markup are the characters that mean something anywhere in a line of Markdown, or of the extensions of it that are common
// (tables, strikethrough, formulas).
const markup = "\\`*_[]<>&~|#$"

// addresses are what some programs make links of without being asked.
var addresses = regexp.MustCompile(`(?i)(://|www\.)`)

// inline makes text that means itself inside a line.
func inline(s string) string {
	var b strings.Builder
	for _, r := range plain(s) {
		if strings.ContainsRune(markup, r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return addresses.ReplaceAllStringFunc(b.String(), func(found string) string {
		if found == "://" {
			return `\://`
		}
		return found[:len(found)-1] + `\.`
	})
}

// listStart is what begins a list or a line across the page where it comes first in a line.
var listStart = regexp.MustCompile(`^(\d*)([-+=.)])`)

// opening makes text that means itself at the beginning of a line as well.
func opening(s string) string {
	return listStart.ReplaceAllString(inline(s), `$1\$2`)
}

// plain puts text on one line, without characters that control how the text around it is shown: line breaks, and those that
// turn the direction of writing.
func plain(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Bidi_Control, r), r == unicode.ReplacementChar, r == '\uFEFF':
			return -1
		case unicode.IsControl(r), r == '\u2028', r == '\u2029':
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	return strings.Join(strings.Fields(s), " ")
}
