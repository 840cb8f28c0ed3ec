package storetest

import (
	"context"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/erasure/internal/erasure"
	"github.com/privacyops/privacyops/services/erasure/internal/store"
)

// due lists what the sweeper sees so long after the present.
func (f *Fixture) due(after time.Duration) []store.AdvanceArgs {
	f.T.Helper()
	list, err := f.Store.Due(context.Background(), f.Clock.Now().Add(after), 10)
	if err != nil {
		f.T.Fatal(err)
	}
	return list
}

func (f *Fixture) wantDue(after time.Duration, want ...erasure.ID) {
	f.T.Helper()
	var got []erasure.ID
	for _, a := range f.due(after) {
		got = append(got, erasure.ID(a.Erasure))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		f.T.Errorf("due after %s (-want +got):\n%s", after, diff)
	}
}

func workLater(f *Fixture) {
	e := f.Insert(f.Erasure("north"), anna)
	w, _ := f.Take(e)
	f.Save(erasure.Change{Erasure: w, Event: erasure.Event{Action: "erasure.plan"}})
	if n := f.jobs(); n != 1 {
		f.T.Errorf("%d jobs: what can be done at once the worker itself does", n)
	}
	f.wantDue(store.Lease - 1)
	f.wantDue(store.Lease, e.ID) // unless it died
	w.NextAttempt = Base.Add(time.Hour)
	f.Save(erasure.Change{Erasure: w, Event: erasure.Event{Action: "erasure.plan"}})
	if n := f.jobs(); n != 2 {
		f.T.Errorf("%d jobs, want one for the next attempt", n)
	}
	f.wantDue(time.Hour-time.Second, nil...)
	f.wantDue(time.Hour, e.ID)
}

func dueWakeRenew(f *Fixture) {
	ctx := context.Background()
	e := f.Insert(f.Erasure("north"), anna)
	args := store.AdvanceArgs{Controller: "north", Erasure: string(e.ID)}
	f.wantDue(0, e.ID)
	check := func(err error) {
		f.T.Helper()
		if err != nil {
			f.T.Fatal(err)
		}
	}
	check(f.Store.Wake(ctx, args))
	if n := f.jobs(); n != 1 {
		f.T.Errorf("%d jobs: there was one already", n)
	}
	f.wantDue(store.Lease-1, nil...) // the job has its time
	f.wantDue(store.Lease, e.ID)
	w, _ := f.Take(e)
	f.Clock.Advance(20 * time.Second)
	check(f.Store.Renew(ctx, args))
	f.wantDue(store.Lease-1, nil...)
	f.Clock.Advance(store.Lease) // the worker died; a new job is made, whatever became of the old one
	check(f.Store.Wake(ctx, args))
	if n := f.jobs(); n != 2 {
		f.T.Errorf("%d jobs, want one for another worker", n)
	}
	// A lease that is renewed just after the work was left for later is set right by the next look.
	w.State, w.ApprovalExpires = erasure.AwaitingApproval, f.Clock.Now().Add(72*time.Hour)
	f.Save(erasure.Change{Erasure: w, Event: erasure.Event{Action: "erasure.plan"}})
	check(f.Store.Renew(ctx, args))
	f.wantDue(store.Lease, e.ID)
	check(f.Store.Wake(ctx, args))
	f.wantDue(72*time.Hour-1, nil...)
	f.wantDue(72*time.Hour, e.ID)
	f.change(e, func(e *erasure.Erasure) (bool, error) { return e.Cancel("r", f.Clock.Now()) })
	check(f.Store.Renew(ctx, args))
	f.wantDue(1000*time.Hour, nil...) // nothing wakes what has ended
}

// deadBeforeTaking: a worker may die when its job has been fetched and the erasure not yet been taken. The job counts as running
// for as long as one may run, and must not keep others away.
func deadBeforeTaking(f *Fixture) {
	ctx := context.Background()
	e := f.Insert(f.Erasure("north"), anna)
	for n := int64(1); n <= 3; n++ {
		err := f.DB.Write(ctx, func(ctx context.Context, tx sqldb.Tx) error {
			_, err := tx.Exec(ctx, `UPDATE river_job SET state = 'running'`)
			return err
		})
		if err != nil {
			f.T.Fatal(err)
		}
		f.Clock.Advance(store.Lease)
		for range 2 { // two replicas look at the same time
			if err := f.Store.Wake(ctx, store.AdvanceArgs{Controller: "north", Erasure: string(e.ID)}); err != nil {
				f.T.Fatal(err)
			}
		}
		if got := f.jobs(); got != n+1 {
			f.T.Fatalf("after %d deaths there are %d jobs, want one more than deaths", n, got)
		}
	}
}
