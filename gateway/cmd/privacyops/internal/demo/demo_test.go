package demo_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/privacyops/privacyops/gateway/cmd/privacyops/internal/demo"
)

func TestTheStoryIsProved(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := demo.Run(t.Context(), demo.Options{Out: &out}); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	if lines := strings.Split(strings.TrimSpace(out.String()), "\n"); !strings.HasPrefix(lines[len(lines)-1], "PROVED") {
		t.Errorf("the last line does not say what was proved: %q", lines[len(lines)-1])
	}
}

func TestASkippedRowIsNamed(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	err := demo.Run(t.Context(), demo.Options{Out: &out, Sabotage: demo.SkipRow})
	if err == nil || !strings.Contains(err.Error(), "table submission_files") {
		t.Fatalf("the row that was left is not named: %v\n%s", err, &out)
	}
}

func TestAnUnknownSabotageIsRefused(t *testing.T) {
	t.Parallel()
	if err := demo.Run(t.Context(), demo.Options{Out: &bytes.Buffer{}, Sabotage: "nothing-of-the-kind"}); err == nil {
		t.Fatal("a sabotage that does not exist was played")
	}
}
