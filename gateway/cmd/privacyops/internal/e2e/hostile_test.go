package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/privacyops/privacyops/gateway/internal/rest"
	"github.com/privacyops/privacyops/gateway/internal/route"
)

// hostile sends requests that are invalid in one way each, with a canary wherever a request can carry something.
type hostile struct {
	t       *testing.T
	base    string
	tokens  []string
	canary  string
	scanner *scanner // of answers
	sent    int
}

// attack calls every route in every invalid way that the tokens make possible.
func (h *hostile) attack(controller string) {
	h.t.Helper()
	table, err := route.Load(rest.Files(), rest.Own()...)
	must(h.t, err)
	for _, r := range table.Routes() {
		path := captures.ReplaceAllStringFunc(r.Template, func(name string) string {
			switch name {
			case "{controller}":
				return controller
			case "{activity}", "{system}":
				return "absent"
			case "{tile...}":
				return "0/x999/999"
			}
			return "01890000-0000-7000-8000-000000000000"
		})
		h.paths(r, path)
		if r.Public() {
			continue
		}
		h.send(r.Method, path+"?"+url.QueryEscape(h.canary)+"=1", nil, nil)
		for name := range r.Query {
			h.send(r.Method, path+"?"+name+"="+url.QueryEscape(h.canary), []byte(`{"x":1}`), nil)
		}
		for _, body := range h.bodies(r) {
			h.send(r.Method, path, body, nil)
		}
		h.headers(r.Method, path)
	}
}

var captures = regexp.MustCompile(`\{[a-zA-Z.]+\}`)

// paths puts the canary into each part of the path.
func (h *hostile) paths(r *route.Route, path string) {
	parts := strings.Split(path, "/")
	for i := 1; i < len(parts); i++ {
		changed := append([]string{}, parts...)
		changed[i] = url.PathEscape(h.canary)
		h.send(r.Method, strings.Join(changed, "/"), nil, nil)
		changed[i] = parts[i] + ":" + url.PathEscape(h.canary)
		h.send(r.Method, strings.Join(changed, "/"), nil, nil)
	}
}

// headers puts the canary into headers, of which some are invalid and the others come with an unknown route.
func (h *hostile) headers(method, path string) {
	for _, name := range []string{"Idempotency-Key", "Content-Type", "Content-Encoding"} {
		h.send(method, path, []byte(`{"x":1}`), http.Header{name: {h.canary}})
	}
	h.send(method, path+"/nothing", nil, http.Header{
		"Traceparent": {"00-" + h.canary + "-00f067aa0ba902b7-01"}, "Tracestate": {"k=" + h.canary}, "Baggage": {"user=" + url.QueryEscape(h.canary)},
		"User-Agent": {h.canary}, "Referer": {"https://x.example/" + url.PathEscape(h.canary)}, "Cookie": {"id=" + h.canary},
		"X-Forwarded-For": {h.canary}, "X-Request-Id": {h.canary}, "Grpc-Metadata-User": {h.canary}, "From": {h.canary}, "Origin": {h.canary}})
	h.send(method, path, nil, http.Header{"Authorization": {"Bearer " + h.canary}})
	h.send(method, path, nil, http.Header{"Authorization": {"Basic " + h.canary}})
}

// bodies are JSON bodies with the canary in all fields, in each field alone, as a name, in the place of other types, and in
// what is no JSON.
func (h *hostile) bodies(r *route.Route) [][]byte {
	if r.Kind == route.Upload {
		return [][]byte{[]byte(h.canary), []byte("<s:UNILoginExportSmall><a>" + h.canary), []byte("<a>" + h.canary + "</a>")}
	}
	if r.Body == "" {
		return [][]byte{[]byte(`{"a":"` + h.canary + `"}`)}
	}
	d := r.Descriptor.Input()
	if r.Body != "*" {
		d = d.Fields().ByName(protoreflect.Name(r.Body)).Message()
	}
	name, _ := json.Marshal(h.canary)
	out := [][]byte{fmt.Appendf(nil, `{%s: 1}`, name), fmt.Appendf(nil, `{"a": %s`, name), []byte(h.canary), name, fmt.Appendf(nil, `[%s]`, name)}
	all := map[string]any{}
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		all[f.JSONName()] = h.value(f, 3)
		if one, err := json.Marshal(map[string]any{f.JSONName(): h.value(f, 3)}); err == nil {
			out = append(out, one)
		}
		if wrong, err := json.Marshal(map[string]any{f.JSONName(): h.canary}); err == nil {
			out = append(out, wrong)
		}
	}
	everything, err := json.Marshal(all)
	must(h.t, err)
	return append(out, everything)
}

// value is a value for a field whose texts are all the canary.
func (h *hostile) value(f protoreflect.FieldDescriptor, depth int) (v any) {
	switch f.Kind() {
	case protoreflect.MessageKind:
		m := map[string]any{}
		for i := range f.Message().Fields().Len() {
			if inner := f.Message().Fields().Get(i); depth > 0 && !wellKnown(f.Message()) {
				m[inner.JSONName()] = h.value(inner, depth-1)
			}
		}
		if v = m; wellKnown(f.Message()) {
			v = h.canary
		}
	case protoreflect.EnumKind:
		v = 1
	case protoreflect.BoolKind:
		v = true
	case protoreflect.StringKind:
		v = h.canary
	default:
		v = 1
	}
	if f.IsList() {
		return []any{v, v}
	}
	return v
}

func wellKnown(d protoreflect.MessageDescriptor) bool {
	return strings.HasPrefix(string(d.FullName()), "google.protobuf.")
}

// send sends one request with each token. All must be refused, in words that do not repeat the canary.
func (h *hostile) send(method, path string, body []byte, header http.Header) {
	h.t.Helper()
	for _, token := range h.tokens {
		h.sent++
		req, err := http.NewRequestWithContext(h.t.Context(), method, h.base+path, bytes.NewReader(body))
		must(h.t, err)
		req.Header.Set("Authorization", "Bearer "+token)
		if body != nil {
			req.Header.Set("Content-Type", "application/json")
		}
		if strings.HasSuffix(path, "rosters:import?format=UNILOGIN_WSIEKSPORT") {
			req.Header.Set("Content-Type", "application/xml")
		}
		for name, values := range header {
			req.Header[name] = values
		}
		resp, err := web.Do(req)
		must(h.t, err)
		answer, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		must(h.t, err)
		// A search finds nothing at a controller without events; that is no error.
		if search := strings.HasSuffix(path, "auditEvents:search"); resp.StatusCode < 400 && !search {
			h.t.Errorf("%s %s with %s is answered %s", method, path, body, resp.Status)
		}
		h.scanner.look("answer", method+" "+path, answer)
		for name, values := range resp.Header {
			h.scanner.look("answer header", name, []byte(strings.Join(values, "\n")))
		}
	}
}
