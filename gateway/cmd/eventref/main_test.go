package main

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestReference: the file in deploy is what the rules say today.
func TestReference(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := write(&out); err != nil {
		t.Fatal(err)
	}
	made, err := os.ReadFile("../../../deploy/EVENTS.md")
	if err != nil {
		t.Fatal(err)
	}
	if string(made) != out.String() {
		t.Error("deploy/EVENTS.md is not what the rules say; run `make generate`")
	}
	for _, want := range []string{"| `legal_basis.check` | DECISION | consent | LegalBasis.CheckLegalBasis | partner, platform |",
		"| `subject.erased` | MODIFY | consent | Erased.RecordErasure | the service erasure |"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q", want)
		}
	}
}

// TestOwnEvents are in order, each once, and none is a call's.
func TestOwnEvents(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^[a-z_]+\.[a-z_]+$`)
	for i, e := range ownEvents {
		if !form.MatchString(e.action) || i > 0 && ownEvents[i-1].action >= e.action {
			t.Errorf("%s is no action, or not in its place", e.action)
		}
		if slices.ContainsFunc(calls(), func(r row) bool { return r.action == e.action }) {
			t.Errorf("%s is the event of a call", e.action)
		}
	}
}
