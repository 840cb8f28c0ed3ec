package sqlmap

import (
	"errors"
	"testing"

	"github.com/privacyops/privacyops/services/participant/internal/participant"
)

func TestAViolatedConstraintIsKnown(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]bool{
		"SQLSTATE 23503": true, "SQLSTATE 23502": true, "SQLSTATE 40001": false,
		"SQLite code 787": true, "SQLite code 19": true, "SQLite code 5": false, "SQLite code x": false, "": false,
	} {
		if got := errors.Is(&DatabaseError{Doing: "erasing", Code: code}, participant.ErrConstraint); got != want {
			t.Errorf("%q: %v", code, got)
		}
	}
}
