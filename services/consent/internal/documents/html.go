package documents

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
)

//go:embed templates/page.html.tmpl
var templates embed.FS

var pageTemplate = template.Must(template.New("page.html.tmpl").Funcs(template.FuncMap{"plain": plain}).ParseFS(templates, "templates/page.html.tmpl"))

// hypertext prints a page as one HTML file that needs nothing else: no script, no font, no picture.
func hypertext(p page) ([]byte, error) {
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, p); err != nil {
		return nil, fmt.Errorf("documents: %w", err)
	}
	return b.Bytes(), nil
}
