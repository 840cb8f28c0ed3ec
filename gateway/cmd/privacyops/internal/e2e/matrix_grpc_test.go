package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	authv1 "github.com/privacyops/privacyops/proto/gen/privacyops/auth/v1"
	"github.com/privacyops/privacyops/services/participant/sample"
)

// suiteServices are the names that certificates of the suite carry.
var suiteServices = []string{"audit", "consent", "erasure", "export", "gateway", "participant"}

// connection is a connection to one service with another's certificate.
type connection = grpc.ClientConn

// connect dials a service with the certificate of another (empty: with none).
func (m *matrix) connect(service, as string) *connection {
	m.t.Helper()
	if c := m.conns[service+"/"+as]; c != nil {
		return c
	}
	dir := filepath.Join(m.w.dir, "tls")
	authority, err := os.ReadFile(filepath.Join(dir, "authority.crt"))
	must(m.t, err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	cfg := &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: pool, ServerName: service + ".privacyops.internal"}
	if as != "" {
		own, err := tls.LoadX509KeyPair(filepath.Join(dir, as+".crt"), filepath.Join(dir, as+".key"))
		must(m.t, err)
		cfg.Certificates = []tls.Certificate{own}
	}
	c, err := grpc.NewClient(m.w.Addresses[service], grpc.WithTransportCredentials(credentials.NewTLS(cfg)))
	must(m.t, err)
	m.t.Cleanup(func() { _ = c.Close() })
	m.conns[service+"/"+as] = c
	return c
}

// overGRPC calls a method at its service's own port.
func (m *matrix) overGRPC(name string, p permission, d protoreflect.MethodDescriptor) {
	m.t.Helper()
	empty := m.message(d, "")
	m.code(name+" without a certificate", m.invoke(p.service, "", d, empty, ""), codes.Unavailable)
	if p.roles == "public" {
		return
	}
	may, services := strings.Fields(p.roles), strings.Fields(p.services)
	for _, role := range roles {
		token := m.w.token(role, "somebody", sample.Controller)
		if !slices.Contains(may, role) {
			for _, as := range append([]string{"gateway"}, services...) { // a token counts, whoever brings it
				m.code(name+" with "+as+"'s certificate as "+role, m.invoke(p.service, as, d, empty, token), codes.PermissionDenied)
			}
			continue
		}
		if p.route != "" && !strings.Contains(p.route, "{c}") { // the suite's own: whoever may call needs a token for all controllers
			m.code(name+" as one controller's "+role, m.invoke(p.service, "gateway", d, empty, token), codes.PermissionDenied)
			err := m.invoke(p.service, "gateway", d, empty, m.w.token(role, "somebody", "*"))
			if code := status.Code(err); code == codes.PermissionDenied || code == codes.Unauthenticated || code == codes.Unavailable {
				m.t.Errorf("%s as %s for all controllers: %v", name, role, err)
			}
			m.suite++
			continue
		}
		foreign := m.invoke(p.service, "gateway", d, m.message(d, sample.OtherController), token)
		absent := m.invoke(p.service, "gateway", d, m.message(d, "absent"), token)
		m.code(name+" as another's "+role, foreign, codes.NotFound)
		if !proto.Equal(status.Convert(foreign).Proto(), status.Convert(absent).Proto()) {
			m.t.Errorf("%s as %s: another's controller can be told from an absent one:\n%v\n%v", name, role, foreign, absent)
		}
	}
	for _, as := range suiteServices {
		err := m.invoke(p.service, as, d, empty, "")
		switch code := status.Code(err); {
		case slices.Contains(services, as):
			if code == codes.Unauthenticated || code == codes.PermissionDenied || code == codes.Unavailable {
				m.t.Errorf("%s as the service %s: %v", name, as, err)
			}
		case len(may) > 0:
			m.code(name+" as the service "+as, err, codes.Unauthenticated)
		default:
			m.code(name+" as the service "+as, err, codes.PermissionDenied)
		}
	}
}

// message is a request that names a controller where the method's rule looks for it.
func (m *matrix) message(d protoreflect.MethodDescriptor, controller string) proto.Message {
	m.t.Helper()
	kind, err := protoregistry.GlobalTypes.FindMessageByName(d.Input().FullName())
	must(m.t, err)
	msg := kind.New()
	rule := proto.GetExtension(d.Options(), authv1.E_Rule).(*authv1.Rule)
	if controller == "" || rule.GetControllerField() == "" {
		return msg.Interface()
	}
	at, path := msg, strings.Split(rule.GetControllerField(), ".")
	for _, part := range path[:len(path)-1] {
		at = at.Mutable(at.Descriptor().Fields().ByName(protoreflect.Name(part))).Message()
	}
	value := "controllers/" + controller
	if path[len(path)-1] == "controller_id" {
		value = controller
	}
	at.Set(at.Descriptor().Fields().ByName(protoreflect.Name(path[len(path)-1])), protoreflect.ValueOfString(value))
	return msg.Interface()
}

// invoke makes one call, unary or streaming, and gives its error.
func (m *matrix) invoke(service, as string, d protoreflect.MethodDescriptor, req proto.Message, token string) error {
	m.t.Helper()
	m.grpc++
	ctx, cancel := context.WithTimeout(m.t.Context(), 5*time.Second)
	defer cancel()
	if token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	}
	kind, err := protoregistry.GlobalTypes.FindMessageByName(d.Output().FullName())
	must(m.t, err)
	method := "/" + string(d.Parent().FullName()) + "/" + string(d.Name())
	desc := &grpc.StreamDesc{ClientStreams: d.IsStreamingClient(), ServerStreams: d.IsStreamingServer()}
	stream, err := m.connect(service, as).NewStream(ctx, desc, method)
	if err != nil {
		return err
	}
	_ = stream.SendMsg(req) // what is wrong comes with the answer
	_ = stream.CloseSend()
	return stream.RecvMsg(kind.New().Interface())
}

func (m *matrix) code(what string, err error, want codes.Code) {
	m.t.Helper()
	if got := status.Code(err); got != want {
		m.t.Errorf("%s: %v, want %s", what, err, want)
	}
}

// wholeSuite checks that every way to call what names no controller was tried with a token for one of them, on both protocols. How many
// there are is read from the descriptors.
func (m *matrix) wholeSuite(all map[string]protoreflect.MethodDescriptor) {
	m.t.Helper()
	want := 0
	for _, d := range all {
		if rule := ruleOf(d); rule.GetControllerField() == "" {
			want += 2 * len(rule.GetRoles())
		}
	}
	if m.suite != want || want == 0 {
		m.t.Errorf("%d ways to call what concerns the whole suite were tried, want %d", m.suite, want)
	}
}
