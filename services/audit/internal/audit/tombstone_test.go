package audit_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/services/audit/internal/audit"
)

func tombstone() audit.Tombstone {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	return audit.Tombstone{Origin: "audit.example/log/2026", Size: 12345, Root: []byte(strings.Repeat("\x0f", 32)), First: 700, Start: at,
		End: at.AddDate(1, 0, 0).Add(-time.Microsecond), Dropped: at.AddDate(6, 0, 1), Position: 99001,
		Numbers: map[audit.ControllerID]uint64{"": 40, "north": 9007, "south": 3298}}
}

// TestTombstoneGolden: a tombstone is read for as long as the log is; its form does not change.
func TestTombstoneGolden(t *testing.T) {
	t.Parallel()
	file := filepath.Join("testdata", "tombstone.golden")
	got := tombstone().Text()
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	again, err := audit.ParseTombstone(got)
	if diff := cmp.Diff(tombstone(), again); err != nil || diff != "" {
		t.Errorf("read again: %v\n%s", err, diff)
	}
}

// TestTombstoneOneSpelling alters each byte of a tombstone: what can still be read must be written as it was read.
func TestTombstoneOneSpelling(t *testing.T) {
	t.Parallel()
	text := tombstone().Text()
	for i := range len(text) {
		for _, b := range []byte{' ', '\n', '0', '+', 'A', 'x', 0} {
			altered := text[:i] + string(b) + text[i+1:]
			if s, err := audit.ParseTombstone(altered); err == nil && s.Text() != altered {
				t.Fatalf("byte %d as %q: read as something else", i, b)
			}
			if s, err := audit.ParseTombstone(text[:i] + string(b) + text[i:]); err == nil && s.Text() != text[:i]+string(b)+text[i:] {
				t.Fatalf("with %q before byte %d: read as something else", b, i)
			}
		}
		if _, err := audit.ParseTombstone(text[:i]); err == nil && text[i-1] != '\n' {
			t.Fatalf("cut off at %d: read", i)
		}
	}
}
