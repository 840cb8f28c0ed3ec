package access

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/privacyops/privacyops/libs/fault"
	authv1 "github.com/privacyops/privacyops/proto/gen/privacyops/auth/v1"
)

// Method is the rule of one RPC.
type Method struct {
	*authv1.Rule
	// FullName is `/package.Service/Method`.
	FullName string
	path     []protoreflect.FieldDescriptor
}

// Rules are the rules of methods, by full name.
type Rules map[string]*Method

// exempt are services of the infrastructure that carry no data: who may connect may ask them.
var exempt = []string{"grpc.health.v1.Health"}

// LoadRules reads the rules of a server's services from the descriptors. A method without a rule is an error: there is no
// default but denial, and a method that nobody can call is a mistake. Streams of the health service are passed over.
func LoadRules(services map[string]grpc.ServiceInfo) (Rules, error) {
	rules := Rules{}
	var errs []error
	for name, info := range services {
		if slices.Contains(exempt, name) {
			continue
		}
		for _, m := range info.Methods {
			r, err := RuleOf("/" + name + "/" + m.Name)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			rules[r.FullName] = r
		}
	}
	return rules, errors.Join(errs...)
}

// Exempt reports whether the method belongs to the infrastructure (health) and has no rule.
func Exempt(fullMethod string) bool {
	return slices.ContainsFunc(exempt, func(s string) bool { return strings.HasPrefix(fullMethod, "/"+s+"/") })
}

// RuleOf reads the rule of one method, `/package.Service/Method`, from the descriptors.
func RuleOf(fullMethod string) (*Method, error) {
	name := protoreflect.FullName(strings.ReplaceAll(strings.TrimPrefix(fullMethod, "/"), "/", "."))
	d, err := protoregistry.GlobalFiles.FindDescriptorByName(name)
	if err != nil {
		return nil, fmt.Errorf("access: no descriptor of %s", fullMethod)
	}
	md, ok := d.(protoreflect.MethodDescriptor)
	if !ok || !proto.HasExtension(md.Options(), authv1.E_Rule) {
		return nil, fmt.Errorf("access: %s has no rule; declare (privacyops.auth.v1.rule) in its proto", fullMethod)
	}
	m := &Method{Rule: proto.GetExtension(md.Options(), authv1.E_Rule).(*authv1.Rule), FullName: fullMethod}
	if err := m.check(); err != nil {
		return nil, err
	}
	return m, m.resolve(md.Input())
}

// check refuses rules that say nothing or too much.
func (m *Method) check() error {
	switch {
	case slices.Contains(m.GetRoles(), authv1.Rule_ROLE_UNSPECIFIED) || slices.Contains(m.GetServices(), ""):
		return fmt.Errorf("access: the rule of %s names no role or no service in its list", m.FullName)
	case m.GetPublic() == (len(m.GetRoles())+len(m.GetServices()) > 0):
		return fmt.Errorf("access: the rule of %s must be either public, or name roles or services", m.FullName)
	case len(m.GetRoles()) > 0 && m.GetControllerField() == "" && !m.ofSuite():
		return fmt.Errorf("access: the rule of %s has roles and no controller_field", m.FullName)
	case len(m.GetRoles()) > 0 && (m.GetEvent() == "" || m.GetKind() == authv1.Rule_EVENT_KIND_UNSPECIFIED):
		return fmt.Errorf("access: the rule of %s has roles and makes no audit event", m.FullName)
	}
	return nil
}

// ofSuite reports whether only those who run the suite may call: then a call may be about no controller.
func (m *Method) ofSuite() bool {
	return !slices.ContainsFunc(m.GetRoles(), func(r authv1.Rule_Role) bool { return !RunsSuite(r) })
}

// RunsSuite reports whether a role is one of those who run the suite and see no personal data: the operator and the SRE. A token with
// such a role alone may be for all controllers, and no other.
func RunsSuite(r authv1.Rule_Role) bool { return r == authv1.Rule_OPERATOR || r == authv1.Rule_SRE }

// resolve finds the field that names the controller.
func (m *Method) resolve(input protoreflect.MessageDescriptor) error {
	if m.GetControllerField() == "" {
		return nil
	}
	for part := range strings.SplitSeq(m.GetControllerField(), ".") {
		if input == nil {
			return fmt.Errorf("access: controller_field of %s goes through a field that is no message", m.FullName)
		}
		f := input.Fields().ByName(protoreflect.Name(part))
		if f == nil {
			return fmt.Errorf("access: controller_field of %s names %q, which the request does not have", m.FullName, part)
		}
		if f.IsList() || f.IsMap() {
			return fmt.Errorf("access: controller_field of %s goes through %q, which may hold several", m.FullName, part)
		}
		m.path, input = append(m.path, f), f.Message()
	}
	if m.path[len(m.path)-1].Kind() != protoreflect.StringKind {
		return fmt.Errorf("access: controller_field of %s is no string", m.FullName)
	}
	return nil
}

// Resource reads what the field says that names the controller: the controller, or a resource of it. Empty where the request says
// nothing, and where the rule names no field.
func (m *Method) Resource(req proto.Message) string {
	if len(m.path) == 0 {
		return ""
	}
	msg := req.ProtoReflect()
	for _, f := range m.path[:len(m.path)-1] {
		msg = msg.Get(f).Message()
	}
	return msg.Get(m.path[len(m.path)-1]).String()
}

// NewRequest makes an empty request; nil where the rule names no field of it.
func (m *Method) NewRequest() proto.Message {
	if len(m.path) == 0 {
		return nil
	}
	kind, err := protoregistry.GlobalTypes.FindMessageByName(m.path[0].ContainingMessage().FullName())
	if err != nil {
		return nil
	}
	return kind.New().Interface()
}

// Controller reads the controller's id from a request: the field holds the id itself or a name `controllers/{id}/…`.
// Empty where the request names none.
func (m *Method) Controller(req proto.Message) string {
	name := m.Resource(req)
	rest, found := strings.CutPrefix(name, "controllers/")
	if !found && strings.Contains(name, "/") {
		return ""
	}
	id, _, _ := strings.Cut(rest, "/")
	return id
}

// AuthorizeRole decides on the caller alone: nil, or a fault of kind Unauthenticated or Denied.
func (m *Method) AuthorizeRole(c Caller) error {
	switch {
	case m.GetPublic():
		return nil
	case c.HasToken() && c.Has(m.GetRoles()...):
		return nil
	case !c.HasToken() && c.Service != "" && slices.Contains(m.GetServices(), c.Service):
		return nil
	case !c.HasToken() && (c.Service == "" || len(m.GetRoles()) > 0):
		return errToken(errors.New("no token"))
	}
	return fault.New(fault.Denied, "ROLE_REQUIRED", "This call needs "+m.needs()+".").With("roles", m.roleList())
}

// AuthorizeController decides whether the caller's token reaches the controller that the request names. What names none concerns the
// whole suite, and needs a token for all of its controllers, whatever the role: who is trusted by one school is not by all.
func (m *Method) AuthorizeController(c Caller, req proto.Message) error {
	switch {
	case !c.HasToken() || m.GetPublic() && len(m.path) == 0:
		return nil
	case len(m.path) == 0 && !c.AllControllers:
		return fault.New(fault.Denied, "ALL_CONTROLLERS_REQUIRED", "This call concerns the whole suite and needs a token for all controllers.")
	case len(m.path) == 0:
		return nil
	}
	if id := m.Controller(req); id == "" || !c.Reaches(id) {
		return fault.Missing()
	}
	return nil
}

// Authorize decides on caller and request.
func (m *Method) Authorize(c Caller, req proto.Message) error {
	if err := m.AuthorizeRole(c); err != nil {
		return err
	}
	return m.AuthorizeController(c, req)
}

func (m *Method) needs() string {
	if len(m.GetRoles()) == 0 {
		return "a service of the suite"
	}
	return "a token with the role " + strings.ReplaceAll(m.roleList(), ",", " or ")
}

func (m *Method) roleList() string {
	names := make([]string, 0, len(m.GetRoles()))
	for _, r := range m.GetRoles() {
		names = append(names, strings.ToLower(r.String()))
	}
	return strings.Join(names, ",")
}
