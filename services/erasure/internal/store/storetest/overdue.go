package storetest

import (
	"context"
	"time"

	"github.com/privacyops/privacyops/services/erasure/internal/erasure"
	"github.com/privacyops/privacyops/services/erasure/internal/store"
)

// overdue: what goes on though its time is over is found, the longest overdue first, and told of; what has ended is not.
func overdue(f *Fixture) {
	late, later, ended := f.Erasure("north"), f.Erasure("south"), f.Erasure("north")
	late.DueTime, later.DueTime, ended.DueTime, ended.State = Base, Base.Add(time.Hour), Base, erasure.Cancelled
	for _, e := range []*erasure.Erasure{later, late, ended} {
		f.Insert(e, anna)
	}
	for after, want := range map[time.Duration]int{-time.Microsecond: 0, 0: 1, time.Hour: 2} {
		got, err := f.Store.Overdue(context.Background(), Base.Add(after))
		if err != nil || len(got) != want || want > 0 && got[0].Erasure != string(late.ID) {
			f.T.Errorf("overdue after %v: %v, %v; want %d", after, got, err, want)
		}
	}
	before := len(f.Events())
	if err := f.Store.TellOverdue(context.Background(), store.AdvanceArgs{Controller: "north", Erasure: string(late.ID)}); err != nil {
		f.T.Fatal(err)
	}
	events := f.Events()
	if e := events[len(events)-1]; len(events) != before+1 || e.GetAction() != "erasure.overdue" || e.GetController() != "north" || e.GetResource() != late.Name() {
		f.T.Errorf("told: %v", events)
	}
}
