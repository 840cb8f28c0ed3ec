package participant_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/privacyops/privacyops/services/participant/internal/participant"
)

// No way of printing, logging or marshalling shows the value.
func TestIdentifierHidesItsValue(t *testing.T) {
	t.Parallel()
	id := participant.Identifier{Type: participant.UniLogin, Value: "u000007"}
	s := participant.Subject{Controller: "c1", Identifiers: []participant.Identifier{id}}
	r := participant.EraseRequest{Request: "e1", Subject: s}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X", "%T"} {
		for _, v := range []any{id, &id, s, &s, r, []participant.Identifier{id}} {
			if out := fmt.Sprintf(verb, v); strings.Contains(out, "u000007") || strings.Contains(out, "75303030303037") {
				t.Errorf("%s of %T shows the value", verb, v)
			}
		}
	}
	for name, handler := range map[string]func(*bytes.Buffer) slog.Handler{
		"text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
		"json": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
	} {
		var out bytes.Buffer
		slog.New(handler(&out)).Info("x", "id", id, "subject", s, "request", &r)
		if strings.Contains(out.String(), "u000007") {
			t.Errorf("the %s log shows the value", name)
		}
	}
	if _, err := json.Marshal(s); err == nil || strings.Contains(err.Error(), "u000007") {
		t.Errorf("json.Marshal of a subject: %v, want an error without the value", err)
	}
}

func TestClean(t *testing.T) {
	t.Parallel()
	kept := participant.Finding{Dataset: "a", Rows: 1, Kept: true}
	left := participant.Finding{Dataset: "b", Rows: 1}
	for _, c := range []struct {
		findings []participant.Finding
		want     bool
	}{{nil, true}, {[]participant.Finding{kept}, true}, {[]participant.Finding{kept, left}, false}} {
		if got := (participant.VerifyResult{Findings: c.findings}).Clean(); got != c.want {
			t.Errorf("Clean of %v is %t", c.findings, got)
		}
	}
}
