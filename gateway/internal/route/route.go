// Package route is the list of everything that the gateway answers, and the one place that looks at paths.
//
// Routes come from the google.api.http annotations of the protos and from the gateway's few own ones (packages, rosters,
// tiles, pages). A path is matched in the one form in which it is written there: nothing is unescaped, cleaned or folded,
// because two readings of one path are how a check is passed by one and obeyed by the other.
package route

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/privacyops/privacyops/libs/access"
)

// Kind is how a route's calls run.
type Kind int

// The kinds.
const (
	// Unary is one JSON request, one JSON answer.
	Unary Kind = iota
	// Watch is an answer of one JSON object a line, for as long as it takes.
	Watch
	// Upload takes a file as the request's body.
	Upload
	// Download gives a file.
	Download
	// Page is served by the gateway alone, to anyone.
	Page
)

// Route is one method on one path.
type Route struct {
	// Method is the HTTP method.
	Method string
	// Template is the path with named captures: `/v1/controllers/{controller}/exports/{export}:watch`. A last segment
	// `{name...}` captures all that follows. Log lines, spans and metrics name calls by it.
	Template string
	// RPC is the method behind it, `/package.Service/Method`; empty for pages.
	RPC string
	// Kind is how its calls run.
	Kind Kind
	// Query lists the parameters that are known, by their JSON names. True: may be given several times.
	Query map[string]bool
	// Rule says who may call; nil for pages.
	Rule *access.Method
	// Descriptor describes the RPC; nil for pages.
	Descriptor protoreflect.MethodDescriptor
	// Body is what a JSON body fills: "" nothing, "*" the request, or the name of one of its fields.
	Body string

	fields   []pathField
	segments []segment
	verb     string
}

// Public reports whether the route is for callers without a token.
func (r *Route) Public() bool { return r.Kind == Page || r.Rule.GetPublic() }

// segment is a part of a template between slashes: a literal, or a capture of one segment or of the rest.
type segment struct {
	literal string
	capture string
	rest    bool
}

// Match is a route with what a path gave for its captures.
type Match struct {
	*Route
	// Params are the captures, in order.
	Params []string
	// Name is the path without `/v1/` and without verb: the resource's name (AIP-122) where the template is one.
	Name string
}

// Filled gives what the path fills: values by the proto names of fields, dotted where one is in another.
func (m *Match) Filled() map[string]string {
	parts, values := strings.Split(m.Name, "/"), map[string]string{}
	for _, f := range m.fields {
		values[f.name] = strings.Join(parts[f.from:f.to], "/")
	}
	return values
}

type matchKey struct{}

// With makes the match known below ctx.
func With(ctx context.Context, m *Match) context.Context {
	return context.WithValue(ctx, matchKey{}, m)
}

// From finds the match; nil where the request matched nothing.
func From(ctx context.Context) *Match {
	m, _ := ctx.Value(matchKey{}).(*Match)
	return m
}

// Table is all routes.
type Table struct{ routes []*Route }

// Load makes the table of all annotated methods of the files, and of the gateway's own routes. A route whose RPC has no
// access rule is an error.
func Load(files []protoreflect.FileDescriptor, own ...Route) (*Table, error) {
	t := &Table{}
	var errs []error
	for _, f := range files {
		for i := range f.Services().Len() {
			methods := f.Services().Get(i).Methods()
			for j := range methods.Len() {
				errs = append(errs, t.annotated(methods.Get(j)))
			}
		}
	}
	for _, r := range own {
		errs = append(errs, t.add(r))
	}
	slices.SortFunc(t.routes, func(a, b *Route) int {
		return strings.Compare(a.Template+" "+a.Method, b.Template+" "+b.Method)
	})
	return t, errors.Join(errs...)
}

// Routes lists all routes by template and method.
func (t *Table) Routes() []*Route { return t.routes }

func (t *Table) annotated(m protoreflect.MethodDescriptor) error {
	if !proto.HasExtension(m.Options(), annotations.E_Http) {
		return nil
	}
	rule, _ := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
	var errs []error
	for _, binding := range append([]*annotations.HttpRule{rule}, rule.GetAdditionalBindings()...) {
		method, pattern := methodAndPattern(binding)
		template, fields, err := templateOf(pattern)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", m.FullName(), err))
			continue
		}
		r := Route{Method: method, Template: template, RPC: fullMethod(m), Body: binding.GetBody(), fields: fields,
			Query: queryOf(m.Input(), binding.GetBody(), fields)}
		if m.IsStreamingServer() {
			r.Kind = Watch
		}
		errs = append(errs, t.add(r))
	}
	return errors.Join(errs...)
}

func (t *Table) add(r Route) error {
	if r.RPC != "" {
		rule, err := access.RuleOf(r.RPC)
		if err != nil {
			return fmt.Errorf("route: %s %s: %w", r.Method, r.Template, err)
		}
		r.Rule = rule
		if r.Descriptor, err = descriptorOf(r.RPC); err != nil {
			return err
		}
	}
	r.segments, r.verb = parse(r.Template)
	t.routes = append(t.routes, &r)
	return nil
}

func fullMethod(m protoreflect.MethodDescriptor) string {
	return "/" + string(m.Parent().FullName()) + "/" + string(m.Name())
}

func methodAndPattern(b *annotations.HttpRule) (method, pattern string) {
	switch p := b.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		return http.MethodGet, p.Get
	case *annotations.HttpRule_Post:
		return http.MethodPost, p.Post
	case *annotations.HttpRule_Patch:
		return http.MethodPatch, p.Patch
	case *annotations.HttpRule_Put:
		return http.MethodPut, p.Put
	case *annotations.HttpRule_Delete:
		return http.MethodDelete, p.Delete
	}
	return "", ""
}

// variable is a template's `{field=pattern}`.
var variable = regexp.MustCompile(`\{([a-z0-9_.]+)(?:=([^{}]+))?\}`)

// pathField is a field of the request that a part of the path fills.
type pathField struct {
	name string // as the proto has it, dotted where it is in a field
	// from and to are the segments of the path, without `/v1/`, that are its value.
	from, to int
}

// top is the request's own field that it is, or is in.
func (f pathField) top() string {
	top, _, _ := strings.Cut(f.name, ".")
	return top
}

// templateOf turns an annotation's pattern into a template, and lists the fields that the path fills. A pattern with `**` would
// let slashes into a name and is refused.
func templateOf(pattern string) (template string, fields []pathField, err error) {
	if pattern == "" || strings.Contains(pattern, "**") {
		return "", nil, errors.New("route: the annotation has no pattern, or one with **")
	}
	for _, at := range variable.FindAllStringSubmatchIndex(pattern, -1) {
		f := pathField{name: pattern[at[2]:at[3]], from: depth(pattern[:at[0]])}
		f.to = f.from + 1
		if at[4] >= 0 {
			f.to += strings.Count(pattern[at[4]:at[5]], "/")
		}
		fields = append(fields, f)
	}
	flat := variable.ReplaceAllStringFunc(pattern, func(v string) string {
		if inner := variable.FindStringSubmatch(v)[2]; inner != "" {
			return inner
		}
		return "*"
	})
	parts := strings.Split(flat, "/")
	for i, p := range parts {
		if rest, ok := strings.CutPrefix(p, "*"); ok && i > 0 {
			parts[i] = "{" + singular(parts[i-1]) + "}" + rest
		}
	}
	return strings.Join(parts, "/"), fields, nil
}

// depth counts the segments of the beginning of a pattern, without `/v1/`.
func depth(head string) int {
	flat := variable.ReplaceAllStringFunc(head, func(v string) string { return variable.FindStringSubmatch(v)[2] })
	return strings.Count(flat, "/") - strings.Count("/v1/", "/")
}

// singular names one resource of a collection: activities, activity.
func singular(collection string) string {
	if s, ok := strings.CutSuffix(collection, "ies"); ok {
		return s + "y"
	}
	return strings.TrimSuffix(collection, "s")
}

// queryOf lists the fields that neither path nor body fill.
func queryOf(input protoreflect.MessageDescriptor, body string, bound []pathField) map[string]bool {
	known := map[string]bool{}
	if body == "*" {
		return known
	}
	for i := range input.Fields().Len() {
		f := input.Fields().Get(i)
		if name := string(f.Name()); name != body && !slices.ContainsFunc(bound, func(b pathField) bool { return b.top() == name }) {
			known[f.JSONName()] = f.IsList()
		}
	}
	return known
}

func parse(template string) (segments []segment, verb string) {
	parts := strings.Split(strings.TrimPrefix(template, "/"), "/")
	for i, p := range parts {
		if i == len(parts)-1 {
			p, verb, _ = strings.Cut(p, ":")
		}
		switch name, captured := strings.CutPrefix(p, "{"); {
		case !captured:
			segments = append(segments, segment{literal: p})
		default:
			name, rest := strings.CutSuffix(strings.TrimSuffix(name, "}"), "...")
			segments = append(segments, segment{capture: name, rest: rest})
		}
	}
	return segments, verb
}
