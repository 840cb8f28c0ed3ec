package route_test

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"pgregory.net/rapid"

	"github.com/privacyops/privacyops/gateway/internal/problem"
	"github.com/privacyops/privacyops/gateway/internal/route"
	"github.com/privacyops/privacyops/libs/fault"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	exportv1 "github.com/privacyops/privacyops/proto/gen/privacyops/export/v1"
)

const id = "01977e2e-5a4b-7c3d-8e9f-0a1b2c3d4e5f"

func load(t interface{ Fatal(args ...any) }) *route.Table {
	table, err := route.Load([]protoreflect.FileDescriptor{exportv1.File_privacyops_export_v1_export_proto},
		route.Route{Method: http.MethodGet, Template: "/docs/", Kind: route.Page},
		route.Route{Method: http.MethodGet, Template: "/v1/audit/tile/{tile...}", RPC: auditv1.AuditLog_GetTile_FullMethodName, Kind: route.Download})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestMatch(t *testing.T) {
	t.Parallel()
	table := load(t)
	for _, c := range []struct {
		method, path, template, name string
		params                       []string
	}{
		{"GET", "/v1/controllers/skole/exports", "/v1/controllers/{controller}/exports", "controllers/skole/exports", []string{"skole"}},
		{"POST", "/v1/controllers/skole/exports/" + id + ":cancel", "/v1/controllers/{controller}/exports/{export}:cancel", "controllers/skole/exports/" + id, []string{"skole", id}},
		{"GET", "/v1/controllers/s/exports/" + id + ":watch", "/v1/controllers/{controller}/exports/{export}:watch", "controllers/s/exports/" + id, []string{"s", id}},
		{"GET", "/v1/audit/tile/0/x001/234.p/7", "/v1/audit/tile/{tile...}", "audit/tile/0/x001/234.p/7", []string{"0", "x001", "234.p", "7"}},
		{"GET", "/docs/", "/docs/", "", nil},
	} {
		m, err := table.Match(c.method, c.path)
		if err != nil || m.Template != c.template || m.Name != c.name || !slices.Equal(m.Params, c.params) {
			t.Errorf("%s %s: %+v, %v", c.method, c.path, m, err)
		}
	}
}

// What a path fills, in each form that annotations have.
func TestFilled(t *testing.T) {
	t.Parallel()
	table, err := route.Load([]protoreflect.FileDescriptor{exportv1.File_privacyops_export_v1_export_proto,
		consentv1.File_privacyops_consent_v1_consent_proto, consentv1.File_privacyops_consent_v1_register_proto})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]map[string]string{
		"GET /v1/controllers/skole/legalBasis:watch":            {"parent": "controllers/skole"},
		"GET /v1/controllers/skole/exports/" + id + ":watch":    {"name": "controllers/skole/exports/" + id},
		"GET /v1/controllers/skole/consents/" + id + "/receipt": {"name": "controllers/skole/consents/" + id},
		"PATCH /v1/controllers/skole/activities/photos":         {"activity.name": "controllers/skole/activities/photos"},
		"POST /v1/controllers":                                  {},
	} {
		method, path, _ := strings.Cut(path, " ")
		m, err := table.Match(method, path)
		if err != nil || !maps.Equal(m.Filled(), want) {
			t.Errorf("%s: %v, %v", path, m, err)
		}
	}
}

func TestKindsAndParameters(t *testing.T) {
	t.Parallel()
	table := load(t)
	watch, err := table.Match("GET", "/v1/controllers/skole/exports/"+id+":watch")
	if err != nil || watch.Kind != route.Watch || watch.Public() {
		t.Errorf("watch: %+v, %v", watch, err)
	}
	list, err := table.Match("GET", "/v1/controllers/skole/exports")
	if err != nil || len(list.Query) != 2 {
		t.Fatalf("list: %v, %v", list, err)
	}
	if _, ok := list.Query["pageToken"]; !ok {
		t.Errorf("parameters: %v", list.Query)
	}
	create, err := table.Match("POST", "/v1/controllers/skole/exports")
	if err != nil || create.Body != "*" || len(create.Query) != 0 {
		t.Errorf("create: %+v, %v", create, err)
	}
}

func TestRoutesNeedRules(t *testing.T) {
	t.Parallel()
	if _, err := route.Load(nil, route.Route{Method: "GET", Template: "/x", RPC: "/grpc.health.v1.Health/Check"}); err == nil {
		t.Error("a method without a rule is served")
	}
}

// Whatever is in a path: what matches is made of nothing but the template's words and well-formed ids, so that no other
// reading of it exists. Everything else is refused, never an accident.
func FuzzMatch(f *testing.F) {
	for _, p := range []string{"/", "/v1/controllers/skole/exports/" + id + ":watch", "/v1/controllers/../exports", "/v1/controllers/a%2fb/exports",
		"//v1", "/v1/controllers/skole/exports/", "/v1/audit/tile/0/x001/000", "/v1/controllers/%00/exports", ":", "/:", "/v1:x"} {
		f.Add(p)
	}
	table := load(f)
	safe := regexp.MustCompile(`^/[A-Za-z0-9/._:-]+$`)
	f.Fuzz(func(t *testing.T, path string) {
		u, err := url.ParseRequestURI(path)
		if err != nil {
			return
		}
		m, err := table.Match(http.MethodGet, u.EscapedPath())
		var r *problem.RefusalError
		switch {
		case err == nil && (!safe.MatchString(u.EscapedPath()) || strings.Contains(u.Path, "..") || strings.Contains(u.Path, "//")):
			t.Errorf("%q matches %s", path, m.Template)
		case err != nil && !errors.As(err, &r) && fault.From(err).Kind() != fault.NotFound:
			t.Errorf("%q: %v", path, err)
		}
	})
}

// Ids and names survive the way through a path unchanged.
func TestIDsComeThrough(t *testing.T) {
	t.Parallel()
	table := load(t)
	rapid.Check(t, func(rt *rapid.T) {
		c := rapid.StringMatching(`[a-z0-9][a-z0-9-]{0,62}`).Draw(rt, "controller")
		e := rapid.StringMatching(`[a-z0-9][a-z0-9-]{0,62}`).Draw(rt, "export")
		m, err := table.Match("GET", "/v1/controllers/"+c+"/exports/"+e)
		if err != nil || m.Params[0] != c || m.Params[1] != e || m.Name != "controllers/"+c+"/exports/"+e {
			rt.Fatalf("%s %s: %+v, %v", c, e, m, err)
		}
	})
}
