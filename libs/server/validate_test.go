package server_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/server"
	auditv1 "github.com/privacyops/privacyops/proto/gen/privacyops/audit/v1"
	consentv1 "github.com/privacyops/privacyops/proto/gen/privacyops/consent/v1"
)

// unknown gives a message a field that its proto does not have.
func unknown[M proto.Message](m M) M {
	m.ProtoReflect().SetUnknown(protowire.AppendVarint(protowire.AppendTag(nil, 4000, protowire.VarintType), 1))
	return m
}

func controller(change func(*consentv1.Controller)) *consentv1.CreateControllerRequest {
	c := &consentv1.Controller{DisplayName: "North School", Jurisdiction: "DK"}
	if change != nil {
		change(c)
	}
	return &consentv1.CreateControllerRequest{ControllerId: "north", Controller: c}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		msg    proto.Message
		fields []string // of the violations; none where the message is right
	}{
		{"right", controller(nil), nil},
		{"letters of all kinds", controller(func(c *consentv1.Controller) { c.DisplayName = "Ærø Skole \u202e\n" }), nil},
		{"unknown field", unknown(controller(nil)), []string{"?"}},
		{"unknown field below", controller(func(c *consentv1.Controller) { unknown(c) }), []string{"controller.?"}},
		{"NUL", controller(func(c *consentv1.Controller) { c.Contact = "a\x00b" }), []string{"controller.contact"}},
		{"NUL in the id", &consentv1.GetControllerRequest{Name: "controllers/a\x00"}, []string{"name"}},
		{"NUL in a list", &auditv1.ReportedEvent{SubjectRefs: []string{"a", "\x00"}}, []string{"subject_refs"}},
		{"NUL in a map's key", &auditv1.ReportedEvent{Detail: map[string]string{"\x00": "a"}}, []string{"detail"}},
		{"NUL in a map's value", &auditv1.ReportedEvent{Detail: map[string]string{"a": "\x00"}}, []string{"detail"}},
		{"unknown field in a list", &auditv1.AppendAuditEventsRequest{Events: []*auditv1.ReportedEvent{unknown(&auditv1.ReportedEvent{})}}, []string{"events.?"}},
		{"pattern", &consentv1.GetControllerRequest{Name: secret}, []string{"name"}},
		{"two at once", controller(func(c *consentv1.Controller) { c.DisplayName, c.Jurisdiction = "", "dk" }), []string{"controller.display_name", "controller.jurisdiction"}},
		{"required", &consentv1.CreateControllerRequest{ControllerId: "north"}, []string{"controller"}},
	} {
		err := server.Validate(tc.msg)
		if len(tc.fields) == 0 {
			if err != nil {
				t.Errorf("%s: %v", tc.name, err)
			}
			continue
		}
		f := fault.From(err)
		var fields []string
		for _, v := range f.Violations() {
			fields = append(fields, v.Field)
			if v.Description == "" || !strings.Contains(f.Message(), v.Field) {
				t.Errorf("%s: %q says nothing of %+v", tc.name, f.Message(), v)
			}
		}
		if f.Kind() != fault.Invalid || f.Reason() != "INVALID_ARGUMENT" || strings.Join(fields, ",") != strings.Join(tc.fields, ",") {
			t.Errorf("%s: %v, fields %v; want %v", tc.name, err, fields, tc.fields)
		}
		if strings.Contains(f.Message(), "anna") {
			t.Errorf("%s: the message repeats the value: %s", tc.name, f.Message())
		}
	}
}

// FuzzValidate: whatever comes in, it is refused with a sentence or let through, and never panics.
func FuzzValidate(f *testing.F) {
	for _, m := range []proto.Message{controller(nil), unknown(controller(nil)), controller(func(c *consentv1.Controller) { c.Contact = "\x00" })} {
		raw, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		m := &consentv1.CreateControllerRequest{}
		if proto.Unmarshal(raw, m) != nil {
			return
		}
		if err := server.Validate(m); err != nil && fault.From(err).Kind() != fault.Invalid {
			t.Errorf("%v", err)
		}
	})
}
