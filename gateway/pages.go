package gateway

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/swaggest/swgui/v5emb"

	"github.com/privacyops/privacyops/gateway/internal/route"
	"github.com/privacyops/privacyops/gateway/openapi"
)

// pageRoutes are the routes that the gateway serves alone, to anyone.
func pageRoutes() []route.Route {
	var routes []route.Route
	for _, template := range []string{"/", "/healthz", "/readyz", "/openapi.json", "/docs", "/docs/", "/docs/{asset...}"} {
		routes = append(routes, route.Route{Method: http.MethodGet, Template: template, Kind: route.Page})
	}
	return routes
}

// pages serves them.
func (g *Gateway) pages(t *route.Table) (http.Handler, error) {
	contract, err := openapi.Document(operations(t), g.cfg.Version)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/{$}", http.RedirectHandler("/docs", http.StatusFound))
	mux.HandleFunc("/healthz", alive)
	mux.HandleFunc("/readyz", g.ready.serve)
	mux.HandleFunc("/openapi.json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Write(contract)
	})
	docs := reference()
	mux.Handle("/docs", docs)
	mux.Handle("/docs/", docs)
	return mux, nil
}

// operations lists what of the generated contract is served, and where.
func operations(t *route.Table) []openapi.Operation {
	var ops []openapi.Operation
	for _, r := range t.Routes() {
		if r.Kind == route.Unary || r.Kind == route.Watch {
			m := r.Descriptor
			ops = append(ops, openapi.Operation{ID: string(m.Parent().Name()) + "_" + string(m.Name()), Method: r.Method, Path: r.Template})
		}
	}
	return ops
}

// reference is the browsable contract: Swagger UI from the binary itself. Its page has two scripts inline, which the content
// security policy names by their hashes; it sets styles from script, for which there is no hash.
func reference() http.Handler {
	ui := v5emb.New("privacyops", "/openapi.json", "/docs/")
	page := &captured{header: http.Header{}}
	ui.ServeHTTP(page, &http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/docs"}})
	policy := "default-src 'none'; script-src 'self'" + inlineHashes(page.String()) +
		"; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		ui.ServeHTTP(w, r)
	})
}

var inlineScript = regexp.MustCompile(`(?s)<script>(.*?)</script>`)

// inlineHashes lists the hashes of a page's inline scripts as a policy's sources.
func inlineHashes(page string) string {
	var sources strings.Builder
	for _, s := range inlineScript.FindAllStringSubmatch(page, -1) {
		sum := sha256.Sum256([]byte(s[1]))
		sources.WriteString(" 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'")
	}
	return sources.String()
}

// captured takes in an answer.
type captured struct {
	bytes.Buffer
	header http.Header
}

// Header gives the headers.
func (c *captured) Header() http.Header { return c.header }

// WriteHeader is not of interest.
func (c *captured) WriteHeader(int) {}
