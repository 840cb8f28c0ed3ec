package audit_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

func many[T any](n int, f func(int) T) []T {
	out := make([]T, n)
	for i := range out {
		out[i] = f(i)
	}
	return out
}

func TestValidate(t *testing.T) {
	t.Parallel()
	if err := golden().Validate(); err != nil {
		t.Fatalf("the golden event: %v", err)
	}
	for _, test := range []struct {
		field  string
		change func(*audit.Event)
	}{
		{"id", func(e *audit.Event) { e.ID = "" }},
		{"id", func(e *audit.Event) { e.ID = "019F2C1E-7B60-7C4D-9A31-5D8E21F0AA07" }},
		{"id", func(e *audit.Event) { e.ID += "0" }},
		{"controller", func(e *audit.Event) { e.Controller = "Lindevang" }},
		{"controller", func(e *audit.Event) { e.Controller = "-a" }},
		{"controller", func(e *audit.Event) { e.Controller = audit.ControllerID(strings.Repeat("a", 64)) }},
		{"controller", func(e *audit.Event) { e.Controller = "a/b" }},
		{"service", func(e *audit.Event) { e.Service = "" }},
		{"actor.kind", func(e *audit.Event) { e.Actor.Kind = "USER" }},
		{"actor.ref", func(e *audit.Event) { e.Actor.Ref = "" }},
		{"actor.ref", func(e *audit.Event) { e.Actor.Ref = "Ane Holm" }},
		{"actor.ref", func(e *audit.Event) { e.Actor.Ref = "ane@skole.dk" }},
		{"actor.ref", func(e *audit.Event) { e.Actor.Kind = audit.ActorAnonymous }},
		{"actor.roles", func(e *audit.Event) { e.Actor.Roles = []string{"DPO"} }},
		{"actor.roles", func(e *audit.Event) { e.Actor.Roles = many(17, func(int) string { return "dpo" }) }},
		{"action", func(e *audit.Event) { e.Action = "erasure" }},
		{"action", func(e *audit.Event) { e.Action = "erasure.approve.all" }},
		{"action", func(e *audit.Event) { e.Action = "erasure.approve\n" }},
		{"kind", func(e *audit.Event) { e.Kind = "" }},
		{"kind", func(e *audit.Event) { e.Kind = "view" }},
		{"resource", func(e *audit.Event) { e.Resource = "controllers/x/pupils/Søren" }},
		{"resource", func(e *audit.Event) { e.Resource = strings.Repeat("a", 301) }},
		{"subject_refs", func(e *audit.Event) { e.SubjectRefs = []audit.SubjectRef{"ok", ""} }},
		{"subject_refs", func(e *audit.Event) { e.SubjectRefs = []audit.SubjectRef{"elev@skole.dk"} }},
		{"subject_refs", func(e *audit.Event) {
			e.SubjectRefs = many(201, func(i int) audit.SubjectRef { return audit.SubjectRef(fmt.Sprint(i)) })
		}},
		{"outcome", func(e *audit.Event) { e.Outcome = "" }},
		{"reason", func(e *audit.Event) { e.Reason = "because Ane said so" }},
		{"traceparent", func(e *audit.Event) { e.TraceParent = "00-0-0-00" }},
		{"traceparent", func(e *audit.Event) { e.TraceParent = "01" + e.TraceParent[2:] }},
		{"occur_time", func(e *audit.Event) { e.OccurredTime = time.Time{} }},
		{"occur_time", func(e *audit.Event) { e.OccurredTime = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) }},
		{"detail", func(e *audit.Event) { e.Detail = map[string]string{"": "x"} }},
		{"detail", func(e *audit.Event) { e.Detail = map[string]string{"a b": "x"} }},
		{"detail", func(e *audit.Event) { e.Detail = map[string]string{"name": "Søren"} }},
		{"detail", func(e *audit.Event) { e.Detail = map[string]string{"mail": "a@b.dk"} }},
		{"detail", func(e *audit.Event) { e.Detail = map[string]string{"cpr": "010199-1234"} }},
		{"detail", func(e *audit.Event) { e.Detail = map[string]string{"line": "a\nb"} }},
		{"detail", func(e *audit.Event) { e.Detail = map[string]string{"long": strings.Repeat("a", 513)} }},
		{"detail", func(e *audit.Event) {
			e.Detail = map[string]string{}
			for i := range 51 {
				e.Detail[fmt.Sprintf("k%d", i)] = ""
			}
		}},
	} {
		e := golden().Event
		test.change(&e)
		var field *audit.FieldError
		if err := e.Validate(); !errors.As(err, &field) || field.Field != test.field {
			t.Errorf("%+v: %v, want a complaint about %s", e, err, test.field)
		} else if strings.Contains(err.Error(), "@") || strings.Contains(err.Error(), "Ane") {
			t.Errorf("the complaint repeats the value: %v", err)
		}
	}
}

// TestLargestEventFits: what the single bounds allow may together be too long for a leaf, and is then refused as a whole.
func TestLargestEventFits(t *testing.T) {
	t.Parallel()
	e := golden()
	e.SubjectRefs = many(audit.MaxSubjectRefs, func(int) audit.SubjectRef { return audit.SubjectRef(strings.Repeat("s", 44)) })
	e.Resource = strings.Repeat("r", 300)
	if _, err := e.Leaf(); err != nil {
		t.Errorf("as many subjects as are allowed: %v", err)
	}
	e.SubjectRefs = many(audit.MaxSubjectRefs, func(int) audit.SubjectRef { return audit.SubjectRef(strings.Repeat("s", 128)) })
	e.Detail = map[string]string{}
	for i := range audit.MaxDetails {
		e.Detail[fmt.Sprintf("k%d", i)] = strings.Repeat("v", 512)
	}
	var field *audit.FieldError
	if _, err := e.Leaf(); !errors.As(err, &field) || field.Field != "event" {
		t.Errorf("an event of more than %d bytes: %v, want a complaint about the event", audit.MaxLeafBytes, err)
	}
}

func TestTraceID(t *testing.T) {
	t.Parallel()
	if got, want := golden().TraceID(), "4bf92f3577b34da6a3ce929d0e0e4736"; got != want {
		t.Errorf("TraceID = %q, want %q", got, want)
	}
	if got := (audit.Event{}).TraceID(); got != "" {
		t.Errorf("TraceID without a trace context = %q", got)
	}
}
