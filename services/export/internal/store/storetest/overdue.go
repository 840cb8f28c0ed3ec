package storetest

import (
	"context"
	"slices"
	"testing" //nolint:depguard // a conformance kit: it is run by the tests of each store
	"time"

	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/services/export/internal/export"
)

// overdueIsFound: what goes on though its time is over is found, the longest overdue first, and told of; what has ended is not.
func overdueIsFound(t *testing.T, o Opened) {
	ctx := context.Background()
	late, later, ended := work(t, "north", 1), work(t, "south", 2), work(t, "north", 3)
	late.Due, later.Due, ended.Due, ended.Settled = now, now.Add(lease), now, true
	o.insert(t, later, late, ended)
	for after, expected := range map[time.Duration][]export.Ref{-time.Microsecond: nil, 0: {late.Ref}, lease: {late.Ref, later.Ref}} {
		got, err := o.Overdue(ctx, now.Add(after))
		check(t, err)
		if !slices.Equal(got, expected) {
			t.Errorf("overdue after %v: %v, want %v", after, got, expected)
		}
	}
	check(t, o.TellOverdue(ctx, late.Ref))
	if e := o.Recorder.Events; len(e) != 1 || e[0].Action != "export.overdue" || e[0].Controller != "north" || e[0].Outcome != outbox.Failed {
		t.Errorf("told: %+v", e)
	}
}
