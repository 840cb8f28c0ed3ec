package audit_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

func TestParseFilter(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]audit.Filter{
		"":                                     {},
		"   ":                                  {},
		`action = "erasure.approve"`:           {Action: "erasure.approve"},
		`action=erasure.*`:                     {Action: "erasure.*"},
		`kind = "VIEW" AND outcome = DENIED`:   {Kind: audit.KindView, Outcome: audit.OutcomeDenied},
		` service="consent"  AND actor=usr_1 `: {Service: "consent", ActorRef: "usr_1"},
		`resource = "controllers/a/erasures/1" AND trace_id = 4bf92f3577b34da6a3ce929d0e0e4736`: {
			Resource: "controllers/a/erasures/1", TraceID: "4bf92f3577b34da6a3ce929d0e0e4736"},
	} {
		got, err := audit.ParseFilter(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", text, diff)
		}
	}
	for _, text := range []string{
		"action", "action =", `action = "`, `= "x.y"`, `action = ""`, `action == x.y`, `action = =`, `action : x.y`, `"action" = x.y`,
		`action = x.y AND`, `action = x.y kind = VIEW`, `action = x.y OR kind = VIEW`, `action = x.y and kind = VIEW`,
		`action = x.y "AND" kind = VIEW`, `AND action = x.y`, `NOT action = x.y`, `(action = x.y)`,
		`action = x.y AND action = x.z`, `name = x`, `kind = ERASE`, `outcome = ok`, `action = *`, `action = .*`, `action = x.*.*`,
		`trace_id = 1`, `actor = a@b.dk`, `action = "x.y"; DROP TABLE entry`, "action = x.y\x00", "action\t=\tx.y",
		strings.Repeat(" ", 2001),
	} {
		if f, err := audit.ParseFilter(text); !errors.Is(err, audit.ErrFilter) {
			t.Errorf("%q: %+v, %v, want %v", text, f, err, audit.ErrFilter)
		}
	}
}

func FuzzParseFilter(f *testing.F) {
	f.Add(`action = "erasure.*" AND kind=VIEW`)
	f.Add(`"" = "" AND`)
	f.Fuzz(func(t *testing.T, text string) {
		filter, err := audit.ParseFilter(text)
		switch {
		case err != nil && !errors.Is(err, audit.ErrFilter):
			t.Errorf("the error is %v", err)
		case err != nil:
		case filter == audit.Filter{} && strings.Trim(text, " ") != "":
			t.Errorf("%q was read as no filter at all", text)
		}
	})
}
