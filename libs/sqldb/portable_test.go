package sqldb_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/privacyops/privacyops/libs/sqldb"
)

func TestTimesSurviveTheirColumn(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		micros := rapid.Int64Range(-1<<53, 1<<53).Draw(t, "micros")
		zone := time.FixedZone("", rapid.IntRange(-12, 14).Draw(t, "hours")*3600)
		moment := time.UnixMicro(micros).In(zone)
		if got := sqldb.Time(sqldb.Micros(moment)); micros != 0 && !got.Equal(moment) {
			t.Fatalf("%s became %s", moment, got)
		}
	})
}

func TestZeroTimeIsZero(t *testing.T) {
	t.Parallel()
	if got := sqldb.Micros(time.Time{}); got != 0 {
		t.Errorf("Micros of the zero time = %d", got)
	}
	if got := sqldb.Time(0); !got.IsZero() {
		t.Errorf("Time(0) = %s", got)
	}
	if got := sqldb.Time(1_000_000).Location(); got != time.UTC {
		t.Errorf("Time is in %s", got)
	}
}

func TestBooleansSurviveTheirColumn(t *testing.T) {
	t.Parallel()
	for _, b := range []bool{true, false} {
		if sqldb.Truth(sqldb.Bool(b)) != b {
			t.Errorf("%t did not survive", b)
		}
	}
	if sqldb.Bool(true) != 1 || sqldb.Bool(false) != 0 {
		t.Error("booleans are not stored as 1 and 0")
	}
}
