package access_test

import (
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"pgregory.net/rapid"

	"github.com/privacyops/privacyops/libs/access"
	"github.com/privacyops/privacyops/libs/fault"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	authv1 "github.com/privacyops/privacyops/proto/gen/privacyops/auth/v1"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
	exportv1 "github.com/privacyops/privacyops/proto/gen/privacyops/export/v1"
	participantv1 "github.com/privacyops/privacyops/proto/gen/privacyops/participant/v1"
)

// The files whose services the suite serves; naming them links them in.
var files = []protoreflect.FileDescriptor{
	auditv1.File_privacyops_audit_v1_audit_proto, consentv1.File_privacyops_consent_v1_consent_proto,
	consentv1.File_privacyops_consent_v1_register_proto, erasurev1.File_privacyops_erasure_v1_erasure_proto,
	exportv1.File_privacyops_export_v1_export_proto, participantv1.File_privacyops_participant_v1_participant_proto,
}

// suiteMethods loads the rule of every method of the suite.
func suiteMethods(tb testing.TB) []*access.Method {
	tb.Helper()
	var out []*access.Method
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		if !strings.HasPrefix(string(f.Package()), "privacyops.") {
			return true
		}
		for i := range f.Services().Len() {
			s := f.Services().Get(i)
			for j := range s.Methods().Len() {
				m, err := access.RuleOf("/" + string(s.FullName()) + "/" + string(s.Methods().Get(j).Name()))
				if err != nil {
					tb.Error(err)
					continue
				}
				out = append(out, m)
			}
		}
		return true
	})
	return out
}

func TestEveryMethodOfTheSuiteHasARule(t *testing.T) {
	t.Parallel()
	want := 0
	for _, f := range files {
		for i := range f.Services().Len() {
			want += f.Services().Get(i).Methods().Len()
		}
	}
	methods := suiteMethods(t)
	if len(methods) < want || want < 30 {
		t.Errorf("%d methods have rules; the six files alone have %d methods", len(methods), want)
	}
}

// input makes an empty request of a method.
func input(tb testing.TB, m *access.Method) protoreflect.Message {
	tb.Helper()
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(strings.ReplaceAll(m.FullName[1:], "/", ".")))
	if err != nil {
		tb.Fatal(err)
	}
	return dynamicpb.NewMessage(d.(protoreflect.MethodDescriptor).Input())
}

// naming is a request that names a controller where the method's rule says.
func naming(tb testing.TB, m *access.Method, name string) proto.Message {
	tb.Helper()
	root := input(tb, m)
	at := root
	parts := strings.Split(m.GetControllerField(), ".")
	for _, part := range parts[:len(parts)-1] {
		at = at.Mutable(at.Descriptor().Fields().ByName(protoreflect.Name(part))).Message()
	}
	at.Set(at.Descriptor().Fields().ByName(protoreflect.Name(parts[len(parts)-1])), protoreflect.ValueOfString(name))
	return root.Interface()
}

// TestNobodyPassesWithoutARole draws callers and methods of the whole suite. Who passes has a role that the rule names and
// reaches the controller, or is a service that the rule names and came without a token, or the method is public.
func TestNobodyPassesWithoutARole(t *testing.T) {
	t.Parallel()
	methods := suiteMethods(t)
	controllers := []string{"north", "south", "north-2", ""}
	passed := map[string]int{}
	rapid.Check(t, func(r *rapid.T) {
		c := access.Caller{
			Ref:            rapid.SampledFrom([]string{"", "usr_1"}).Draw(r, "ref"),
			Roles:          rapid.SliceOfN(rapid.SampledFrom([]authv1.Rule_Role{1, 2, 3, 4, 5, 6}), 0, 3).Draw(r, "roles"),
			Controllers:    rapid.SliceOfN(rapid.SampledFrom(controllers), 0, 2).Draw(r, "controllers"),
			AllControllers: rapid.IntRange(0, 9).Draw(r, "all") == 0,
			Service:        rapid.SampledFrom([]string{"", "gateway", "consent", "export", "erasure", "audit", "participant", "stranger"}).Draw(r, "service"),
		}
		id := rapid.SampledFrom(controllers).Draw(r, "controller")
		name := rapid.SampledFrom([]string{"controllers/" + id, "controllers/" + id + "/x/y", id}).Draw(r, "name")
		for _, m := range methods {
			req := input(t, m).Interface()
			if m.GetControllerField() != "" {
				req = naming(t, m, name)
			}
			if m.Authorize(c, req) != nil {
				continue
			}
			byRole := c.Ref != "" && slices.ContainsFunc(c.Roles, func(role authv1.Rule_Role) bool { return slices.Contains(m.GetRoles(), role) }) &&
				(c.AllControllers && (m.GetControllerField() == "" || id != "") || id != "" && m.GetControllerField() != "" && slices.Contains(c.Controllers, id))
			byService := c.Ref == "" && c.Service != "" && slices.Contains(m.GetServices(), c.Service)
			switch {
			case m.GetPublic():
				passed["public"]++
			case byRole:
				passed["role"]++
			case byService:
				passed["service"]++
			default:
				r.Fatalf("%+v may call %s on %q", c, m.FullName, id)
			}
		}
	})
	for _, way := range []string{"public", "role", "service"} {
		if passed[way] == 0 {
			t.Errorf("no caller was drawn that passes by %s: the test shows nothing", way)
		}
	}
	t.Logf("passed: %v", passed)
}

func TestAuthorizeRole(t *testing.T) {
	t.Parallel()
	rule := func(r *authv1.Rule) *access.Method { return &access.Method{Rule: r, FullName: "/x.Y/Z"} }
	people := rule(&authv1.Rule{Roles: []authv1.Rule_Role{authv1.Rule_DPO, authv1.Rule_AUDITOR}})
	services := rule(&authv1.Rule{Services: []string{"erasure"}})
	both := rule(&authv1.Rule{Roles: []authv1.Rule_Role{authv1.Rule_DPO}, Services: []string{"erasure"}})
	public := rule(&authv1.Rule{Public: true})

	nobody := access.Caller{}
	dpo := access.Caller{Ref: "usr_1", Roles: []authv1.Rule_Role{authv1.Rule_DPO}}
	sre := access.Caller{Ref: "usr_2", Roles: []authv1.Rule_Role{authv1.Rule_SRE}}
	roleless := access.Caller{Ref: "usr_3"}
	unsigned := access.Caller{Roles: []authv1.Rule_Role{authv1.Rule_DPO}} // roles without a holder are no token
	erasure, export := access.Caller{Service: "erasure"}, access.Caller{Service: "export"}
	viaErasure := func(c access.Caller) access.Caller { c.Service = "erasure"; return c }

	const passes = fault.Kind(-1)
	for _, tc := range []struct {
		name   string
		method *access.Method
		caller access.Caller
		want   fault.Kind
	}{
		{"public, nobody", public, nobody, passes},
		{"public, any token", public, roleless, passes},
		{"people, nobody", people, nobody, fault.Unauthenticated},
		{"people, dpo", people, dpo, passes},
		{"people, sre", people, sre, fault.Denied},
		{"people, no role", people, roleless, fault.Denied},
		{"people, roles without a token", people, unsigned, fault.Unauthenticated},
		{"people, a service alone", people, erasure, fault.Unauthenticated},
		{"people, dpo through a service", people, viaErasure(dpo), passes},
		{"people, sre through a service", people, viaErasure(sre), fault.Denied},
		{"services, that one", services, erasure, passes},
		{"services, another", services, export, fault.Denied},
		{"services, nobody", services, nobody, fault.Unauthenticated},
		{"services, a token", services, dpo, fault.Denied},
		{"services, that one with a token", services, viaErasure(dpo), fault.Denied},
		{"both, the service", both, erasure, passes},
		{"both, dpo", both, dpo, passes},
		{"both, dpo through the service", both, viaErasure(dpo), passes},
		{"both, sre through the service: the token decides", both, viaErasure(sre), fault.Denied},
		{"both, another service", both, export, fault.Unauthenticated},
	} {
		err := tc.method.AuthorizeRole(tc.caller)
		if got := fault.From(err).Kind(); (tc.want == passes) != (err == nil) || err != nil && got != tc.want {
			t.Errorf("%s: %v (kind %v), want kind %v", tc.name, err, got, tc.want)
		}
	}
	if err := people.AuthorizeRole(sre); fault.From(err).Metadata()["roles"] != "dpo,auditor" {
		t.Errorf("a refusal does not say which role is needed: %v", fault.From(err).Metadata())
	}
}

func TestAuthorizeController(t *testing.T) {
	t.Parallel()
	get, err := access.RuleOf(consentv1.Register_GetController_FullMethodName)
	if err != nil {
		t.Fatal(err)
	}
	nested, err := access.RuleOf(consentv1.Register_UpdateController_FullMethodName)
	if err != nil {
		t.Fatal(err)
	}
	one := access.Caller{Ref: "usr_1", Controllers: []string{"north", ""}}
	all := access.Caller{Ref: "usr_2", AllControllers: true}
	service := access.Caller{Service: "erasure"}
	for _, tc := range []struct {
		caller access.Caller
		name   string
		ok     bool
	}{
		{one, "controllers/north", true},
		{one, "controllers/north/consents/7", true},
		{one, "north", true},
		{one, "controllers/south", false},
		{one, "controllers/North", false},
		{one, "controllers/north ", false},
		{one, "controllers/north-2", false},
		{one, "controllers/", false},
		{one, "controllers", false},
		{one, "controllers//north", false},
		{one, "", false},
		{one, "/controllers/north", false},
		{one, "x/controllers/north", false},
		{one, "consents/north", false},
		{one, "controllers/../north", false},
		{one, "controllers/south/../north", false},
		{one, "controllers/*", false},
		{all, "controllers/south", true},
		{all, "", false},
		{all, "controllers/", false},
		{service, "controllers/south", true}, // a service that the rule admits reaches all
	} {
		for _, m := range []*access.Method{get, nested} {
			err := m.AuthorizeController(tc.caller, naming(t, m, tc.name))
			if tc.ok != (err == nil) {
				t.Errorf("%+v, %q by %s: %v", tc.caller, tc.name, m.FullName, err)
			}
			if err != nil && err.Error() != fault.Missing().Error() {
				t.Errorf("%q: the refusal tells more than that there is nothing: %v", tc.name, err)
			}
		}
	}
	if err := nested.AuthorizeController(all, &consentv1.UpdateControllerRequest{}); err == nil {
		t.Error("a request without the message that names the controller passes")
	}
}

// TestWholeSuite: a call about no controller needs a token for all of them, in whichever role. Which methods those are is read from
// the descriptors.
func TestWholeSuite(t *testing.T) {
	t.Parallel()
	checked := 0
	for _, m := range suiteMethods(t) {
		if len(m.GetRoles()) == 0 || m.GetControllerField() != "" {
			continue
		}
		for _, role := range m.GetRoles() {
			req, roles := input(t, m).Interface(), []authv1.Rule_Role{role}
			for name, c := range map[string]access.Caller{
				"one controller": {Ref: "usr_1", Roles: roles, Controllers: []string{"north"}},
				"none":           {Ref: "usr_1", Roles: roles},
				"a star as an id and all roles": {Ref: "usr_1", Controllers: []string{"*", ""},
					Roles: []authv1.Rule_Role{authv1.Rule_OPERATOR, authv1.Rule_SRE, authv1.Rule_DPO}},
			} {
				if err := m.Authorize(c, req); !fault.Is(err, "ALL_CONTROLLERS_REQUIRED") || fault.From(err).Kind() != fault.Denied {
					t.Errorf("%s as %s for %s: %v", m.FullName, role, name, err)
				}
			}
			if err := m.Authorize(access.Caller{Ref: "usr_1", Roles: roles, AllControllers: true}, req); err != nil {
				t.Errorf("%s as %s for all: %v", m.FullName, role, err)
			}
			checked++
		}
	}
	if checked < 4 {
		t.Errorf("%d ways to call what concerns the whole suite were tried", checked)
	}
}

// TestRefusedRules declares services whose rules say nothing, or too much.
func TestRefusedRules(t *testing.T) {
	t.Parallel()
	dpo := []authv1.Rule_Role{authv1.Rule_DPO}
	for _, tc := range []struct {
		name string
		rule *authv1.Rule
		want string // part of the error; empty where the rule is good
	}{
		{"Good", &authv1.Rule{Roles: dpo, ControllerField: "parent", Event: "a.b", Kind: authv1.Rule_VIEW}, ""},
		{"GoodNested", &authv1.Rule{Roles: dpo, ControllerField: "nested.parent", Event: "a.b", Kind: authv1.Rule_VIEW}, ""},
		{"None", nil, "has no rule"},
		{"Empty", &authv1.Rule{}, "either public"},
		{"PublicWithRoles", &authv1.Rule{Public: true, Roles: dpo}, "either public"},
		{"PublicWithServices", &authv1.Rule{Public: true, Services: []string{"audit"}}, "either public"},
		{"NoRole", &authv1.Rule{Roles: []authv1.Rule_Role{authv1.Rule_ROLE_UNSPECIFIED}, ControllerField: "parent", Event: "a.b", Kind: 1}, "no role"},
		{"NoService", &authv1.Rule{Services: []string{""}}, "no service"},
		{"NoController", &authv1.Rule{Roles: dpo, Event: "a.b", Kind: authv1.Rule_VIEW}, "no controller_field"},
		{"OfTheSuite", &authv1.Rule{Roles: []authv1.Rule_Role{authv1.Rule_OPERATOR, authv1.Rule_SRE}, Event: "a.b", Kind: authv1.Rule_VIEW}, ""},
		{"OfTheSuiteAndMore", &authv1.Rule{Roles: []authv1.Rule_Role{authv1.Rule_OPERATOR, authv1.Rule_DPO}, Event: "a.b", Kind: authv1.Rule_VIEW}, "no controller_field"},
		{"NoEvent", &authv1.Rule{Roles: dpo, ControllerField: "parent", Kind: authv1.Rule_VIEW}, "no audit event"},
		{"NoKind", &authv1.Rule{Roles: dpo, ControllerField: "parent", Event: "a.b"}, "no audit event"},
		{"NoSuchField", &authv1.Rule{Services: []string{"audit"}, ControllerField: "name"}, "does not have"},
		{"NoSuchNested", &authv1.Rule{Services: []string{"audit"}, ControllerField: "nested.name"}, "does not have"},
		{"ThroughAString", &authv1.Rule{Services: []string{"audit"}, ControllerField: "parent.x"}, "no message"},
		{"NoString", &authv1.Rule{Services: []string{"audit"}, ControllerField: "count"}, "no string"},
		{"AMessage", &authv1.Rule{Services: []string{"audit"}, ControllerField: "nested"}, "no string"},
		{"AList", &authv1.Rule{Services: []string{"audit"}, ControllerField: "parents"}, "several"},
		{"ThroughAList", &authv1.Rule{Services: []string{"audit"}, ControllerField: "list.parent"}, "several"},
	} {
		declare(t, tc.name, tc.rule)
		_, err := access.RuleOf("/accesstest.v1." + tc.name + "/Do")
		rules, lerr := access.LoadRules(map[string]grpc.ServiceInfo{"accesstest.v1." + tc.name: {Methods: []grpc.MethodInfo{{Name: "Do"}}}})
		if tc.want == "" {
			if err != nil || lerr != nil || len(rules) != 1 {
				t.Errorf("%s: %v, %v", tc.name, err, lerr)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), tc.want) || lerr == nil || len(rules) != 0 {
			t.Errorf("%s: errors %v and %v, want %q", tc.name, err, lerr, tc.want)
		}
	}
	for _, method := range []string{"/accesstest.v1.Absent/Do", "/accesstest.v1.Good", "/accesstest.v1.GoodRequest/x", "", "/", "///"} {
		if _, err := access.RuleOf(method); err == nil {
			t.Errorf("%q has a rule", method)
		}
	}
	if _, err := access.LoadRules(map[string]grpc.ServiceInfo{"grpc.health.v1.Health": {Methods: []grpc.MethodInfo{{Name: "Check"}}}}); err != nil {
		t.Errorf("the health service stops the start: %v", err)
	}
	if access.Exempt("/grpc.health.v1.HealthX/Check") || access.Exempt("/accesstest.v1.Good/grpc.health.v1.Health/Check") || !access.Exempt("/grpc.health.v1.Health/Check") {
		t.Error("more or less than the health service is exempt")
	}
}

// declare registers a service of one method, Do, with the rule.
func declare(t *testing.T, name string, rule *authv1.Rule) {
	t.Helper()
	options := &descriptorpb.MethodOptions{}
	if rule != nil {
		proto.SetExtension(options, authv1.E_Rule, rule)
	}
	request, nested := name+"Request", ".accesstest.v1."+name+"Request.Nested"
	field := func(name string, number int32, kind descriptorpb.FieldDescriptorProto_Type, label descriptorpb.FieldDescriptorProto_Label) *descriptorpb.FieldDescriptorProto {
		f := &descriptorpb.FieldDescriptorProto{Name: &name, Number: &number, Type: &kind, Label: &label}
		if kind == descriptorpb.FieldDescriptorProto_TYPE_MESSAGE {
			f.TypeName = &nested
		}
		return f
	}
	const (
		text, number, message = descriptorpb.FieldDescriptorProto_TYPE_STRING, descriptorpb.FieldDescriptorProto_TYPE_INT64, descriptorpb.FieldDescriptorProto_TYPE_MESSAGE
		one, many             = descriptorpb.FieldDescriptorProto_LABEL_OPTIONAL, descriptorpb.FieldDescriptorProto_LABEL_REPEATED
	)
	fd, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("accesstest/" + name + ".proto"), Package: proto.String("accesstest.v1"), Syntax: proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{{Name: &request,
			Field: []*descriptorpb.FieldDescriptorProto{field("parent", 1, text, one), field("count", 2, number, one),
				field("nested", 3, message, one), field("parents", 4, text, many), field("list", 5, message, many)},
			NestedType: []*descriptorpb.DescriptorProto{{Name: proto.String("Nested"), Field: []*descriptorpb.FieldDescriptorProto{field("parent", 1, text, one)}}},
		}},
		Service: []*descriptorpb.ServiceDescriptorProto{{Name: &name, Method: []*descriptorpb.MethodDescriptorProto{{
			Name: proto.String("Do"), InputType: proto.String(".accesstest.v1." + request), OutputType: proto.String(".accesstest.v1." + request), Options: options,
		}}}},
	}, protoregistry.GlobalFiles)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := protoregistry.GlobalFiles.FindFileByPath(fd.Path()); err == nil {
		return // by an earlier run in the same process
	}
	if err := protoregistry.GlobalFiles.RegisterFile(fd); err != nil {
		t.Fatal(err)
	}
}
