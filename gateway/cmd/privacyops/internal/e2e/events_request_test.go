package e2e

import (
	"context"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/privacyops/privacyops/libs/access"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	authv1 "github.com/privacyops/privacyops/proto/gen/privacyops/auth/v1"
	erasurev1 "github.com/privacyops/privacyops/proto/gen/privacyops/erasure/v1"
	"github.com/privacyops/privacyops/services/participant/sample"
)

// request is a line's request with its words filled in.
func (x *teller) request(line told, d protoreflect.MethodDescriptor) proto.Message {
	x.t.Helper()
	body := line.body
	if strings.Contains(body, "{planHash}") {
		e := newErasure()
		x.w.as("dpo").get("/v1/"+x.words["third"], e)
		x.words["planHash"] = e.GetPlan().GetPlanHash()
	}
	for word, value := range x.words {
		body = strings.ReplaceAll(body, "{"+word+"}", value)
	}
	msg := newMessage(x.t, d.Input())
	if err := protojson.Unmarshal([]byte(body), msg); err != nil {
		x.t.Fatalf("%s: %v", line.rpc, err)
	}
	return msg
}

// extra are the messages that follow the first one of a stream.
func (l told) extra(t *testing.T) []proto.Message {
	t.Helper()
	if l.more == "" {
		return nil
	}
	return []proto.Message{&erasurev1.ImportRosterRequest{Part: &erasurev1.ImportRosterRequest_Chunk{Chunk: []byte(extractOf(t, l.more))}}}
}

func extractOf(t *testing.T, year string) string {
	t.Helper()
	var text strings.Builder
	o := sample.RosterOptions{SchoolYear: year}
	if year != "" {
		o.Exported = time.Date(2026, time.November, 22, 0, 0, 0, 0, time.UTC)
	}
	must(t, sample.Roster(&text, o))
	return text.String()
}

// await waits until an export, erasure or package of evidence is in a state.
func (x *teller) await(name, state string) {
	x.t.Helper()
	dpo := x.w.as("dpo")
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		answer, err := dpo.Raw(x.t.Context(), http.MethodGet, "/v1/"+name, "", nil)
		must(x.t, err)
		if strings.Contains(strings.ReplaceAll(string(answer), " ", ""), `"state":"`+state+`"`) {
			return
		}
		if time.Now().After(deadline) {
			x.t.Fatalf("%s did not become %s: %s", name, state, answer)
		}
	}
}

// token is of somebody who reaches both controllers of the story.
func (x *teller) token(role string) string {
	return x.w.token(role, role, sample.Controller, newController)
}

func (x *teller) caller(role string) *auditv1.Actor {
	a := &auditv1.Actor{Kind: auditv1.Actor_CALLER, Ref: x.keys.Actor(access.DevelopmentIssuer, role)}
	if known := authv1.Rule_Role(authv1.Rule_Role_value[strings.ToUpper(role)]); known != authv1.Rule_ROLE_UNSPECIFIED {
		a.Roles = append(a.Roles, known)
	}
	return a
}

// spoilt is a request with a controller's or a resource's name that is none, though it begins with the controller's; or else with a
// number below zero or an id that is none.
func spoilt(req proto.Message, d protoreflect.MethodDescriptor) proto.Message {
	bad := proto.Clone(req)
	path := ruleOf(d).GetControllerField()
	if name := textIn(bad, path, "controllers/"); name != "" {
		setText(bad, path, name+"/x")
		return bad
	}
	fields := bad.ProtoReflect().Descriptor().Fields()
	switch {
	case fields.ByName("page_size") != nil:
		bad.ProtoReflect().Set(fields.ByName("page_size"), protoreflect.ValueOfInt32(-1))
	case fields.ByName("request_id") != nil:
		setText(bad, "request_id", "x")
	default:
		setText(bad, "name", "x")
	}
	return bad
}

// textIn reads a field by its path; empty where it does not begin so.
func textIn(m proto.Message, path, prefix string) string {
	at, field := fieldAt(m, path)
	if field == nil || !strings.HasPrefix(at.Get(field).String(), prefix) {
		return ""
	}
	return at.Get(field).String()
}

func setText(m proto.Message, path, value string) {
	at, field := fieldAt(m, path)
	at.Set(field, protoreflect.ValueOfString(value))
}

func fieldAt(m proto.Message, path string) (protoreflect.Message, protoreflect.FieldDescriptor) {
	at, parts := m.ProtoReflect(), strings.Split(path, ".")
	for _, part := range parts[:len(parts)-1] {
		at = at.Mutable(at.Descriptor().Fields().ByName(protoreflect.Name(part))).Message()
	}
	return at, at.Descriptor().Fields().ByName(protoreflect.Name(parts[len(parts)-1]))
}

func controllerIn(req proto.Message, rule *authv1.Rule) string {
	name := textIn(req, rule.GetControllerField(), "")
	id, _, _ := strings.Cut(strings.TrimPrefix(name, "controllers/"), "/")
	return id
}

func newMessage(t *testing.T, d protoreflect.MessageDescriptor) proto.Message {
	t.Helper()
	kind, err := protoregistry.GlobalTypes.FindMessageByName(d.FullName())
	must(t, err)
	return kind.New().Interface()
}

func newTrace() string {
	id := uuid.New()
	return hex.EncodeToString(id[:])
}

// said makes a call, unary or streaming, and gives its first answer.
func (x *teller) said(service, as string, d protoreflect.MethodDescriptor, messages []proto.Message, token, trace string) (proto.Message, error) {
	x.t.Helper()
	x.grpc++
	ctx, cancel := context.WithTimeout(x.t.Context(), patience)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(ctx, "traceparent", "00-"+trace+"-00f067aa0ba902b7-01")
	if token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	}
	stream, err := x.connect(service, as).NewStream(ctx, &grpc.StreamDesc{ClientStreams: d.IsStreamingClient(), ServerStreams: d.IsStreamingServer()},
		"/"+string(d.Parent().FullName())+"/"+string(d.Name()))
	if err != nil {
		return nil, err
	}
	for _, m := range messages {
		_ = stream.SendMsg(m) // what is wrong comes with the answer
	}
	_ = stream.CloseSend()
	answer := newMessage(x.t, d.Output())
	return answer, stream.RecvMsg(answer)
}
