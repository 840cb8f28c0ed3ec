package documents

// page is a document for people. It holds plain text only; what prints it escapes it.
type page struct {
	Lang     Language
	Title    string
	Lead     []string
	Sections []section
	// End says how the document was made.
	End string
}

// section is a heading with what stands below it. Parts have headings one level lower.
type section struct {
	Heading string
	Text    []string
	Facts   []fact
	List    []string
	Link    *link
	Parts   []section
}

// fact is a label with one or more values.
type fact struct {
	Label  string
	Values []string
}

// link leads to a page that this package names itself; no text of the register becomes one.
type link struct{ Text, URL string }

// as prints the page as Markdown or HTML.
func (p page) as(f Format) (Document, error) {
	switch f {
	case Markdown:
		return Document{ContentType: typeMarkdown, Body: markdown(p)}, nil
	case HTML:
		body, err := hypertext(p)
		return Document{ContentType: typeHTML, Body: body}, err
	case CSV, JSON:
	}
	return Document{}, noFormat()
}
