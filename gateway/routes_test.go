package gateway_test

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/privacyops/privacyops/gateway"
	"github.com/privacyops/privacyops/gateway/internal/rest"
	"github.com/privacyops/privacyops/gateway/internal/route"
	exportv1 "github.com/privacyops/privacyops/proto/gen/privacyops/export/v1"
)

const routesFile = "testdata/routes.golden"

func table(t *testing.T) *route.Table {
	t.Helper()
	tab, err := route.Load(rest.Files(), append(rest.Own(), gateway.PageRoutes()...)...)
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

// The list of what is reachable from outside changes only together with the golden file, so that a new way in is seen by
// who reviews it. Update it with `UPDATE_GOLDEN=1 go test ./gateway`.
func TestRoutesAreTheListedOnes(t *testing.T) {
	t.Parallel()
	var got strings.Builder
	for _, r := range table(t).Routes() {
		who := "public"
		if !r.Public() {
			roles := make([]string, 0, len(r.Rule.GetRoles()))
			for _, role := range r.Rule.GetRoles() {
				roles = append(roles, role.String())
			}
			who = strings.Join(roles, ",")
		}
		got.WriteString(r.Method + " " + r.Template + " " + strings.TrimPrefix(r.RPC, "/privacyops.") + " " + who + "\n")
	}
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(routesFile, []byte(got.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(routesFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("routes differ from %s (-listed +served):\n%s", routesFile, diff)
	}
}

// Every annotated method of the suite is served: a service that rest.Files forgets would be missing without a word.
func TestEveryAnnotatedMethodHasARoute(t *testing.T) {
	t.Parallel()
	served := map[string]bool{}
	for _, r := range table(t).Routes() {
		served[r.RPC] = true
	}
	n := 0
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			methods := f.Services().Get(i).Methods()
			for j := range methods.Len() {
				m := methods.Get(j)
				if strings.HasPrefix(string(f.Package()), "privacyops.") && proto.HasExtension(m.Options(), annotations.E_Http) {
					n++
					if rpc := "/" + string(m.Parent().FullName()) + "/" + string(m.Name()); !served[rpc] {
						t.Errorf("%s has a path and no route", rpc)
					}
				}
			}
		}
		return true
	})
	if n == 0 {
		t.Error("no annotated method was looked at")
	}
}

// Every route leads to a service: none ends at a translator that was not registered.
func TestEveryRouteReachesItsService(t *testing.T) {
	t.Parallel()
	notServed := []string{"ROUTE_NOT_FOUND", "METHOD_NOT_ALLOWED", "TOKEN_INVALID", "NO_RULE"}
	s := newSuite(t)
	s.export.get = func(*exportv1.GetExportRequest) (*exportv1.Export, error) { return &exportv1.Export{}, nil }
	s.erasure.certificate = &httpbody.HttpBody{}
	for _, r := range table(t).Routes() {
		if r.Kind != route.Unary {
			continue // streams and files have tests of their own
		}
		path := strings.NewReplacer("{controller}", "skole", "{consent}", exportID, "{export}", exportID, "{erasure}", exportID, "{roster}", exportID,
			"{shard}", "2027", "{auditEvent}", exportID, "{alert}", exportID, "{evidence}", exportID, "{objection}", exportID, "{restriction}", exportID, "{activity}", "logning", "{system}", "lms").Replace(r.Template)
		c := call{method: r.Method, path: path}
		if !r.Public() {
			c.token = s.token(strings.ToLower(r.Rule.GetRoles()[0].String()), "skole")
		}
		if r.Body != "" {
			c.body = "{}"
		}
		if a := s.do(c); a.StatusCode != http.StatusOK && slices.Contains(notServed, a.reason(t)) {
			t.Errorf("%s %s: %d %s", r.Method, path, a.StatusCode, a.body)
		}
	}
}
