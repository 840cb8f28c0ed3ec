package storetest

import (
	"context"
	"errors"

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/erasure/internal/erasure"
)

// movesAreNumbered: whoever follows hears of each new state once, after its commit, in numbers without gaps for each controller.
func movesAreNumbered(f *Fixture) {
	var heard []erasure.Move
	f.Store.Follow(func(m erasure.Move) { heard = append(heard, m) })
	north, south := f.Insert(f.Erasure("north")), f.Insert(f.Erasure("south"))
	event := outbox.Event{Controller: "north", Action: "erasure.cancel", Kind: outbox.Modify}
	change := func(state erasure.State, fail error) {
		_, err := f.Store.Change(context.Background(), "north", north.ID, event, func(e *erasure.Erasure) (bool, error) {
			e.State = state
			return true, fail
		})
		if !errors.Is(err, fail) {
			f.T.Fatal(err)
		}
	}
	refused := errors.New("refused")
	change(erasure.AwaitingApproval, refused) // is rolled back
	change(erasure.AwaitingApproval, nil)
	change(erasure.AwaitingApproval, nil) // a step within the state
	f.rollBack(func(ctx context.Context, tx sqldb.Tx) error { return f.Store.Insert(ctx, tx, f.Erasure("north"), nil) })
	change(erasure.Cancelled, nil)
	want := []erasure.Move{
		{Controller: "north", ID: north.ID, State: erasure.Planning, Sequence: 1},
		{Controller: "south", ID: south.ID, State: erasure.Planning, Sequence: 1},
		{Controller: "north", ID: north.ID, State: erasure.AwaitingApproval, Sequence: 2},
		{Controller: "north", ID: north.ID, State: erasure.Cancelled, Sequence: 3},
	}
	for i := range want {
		want[i].SubjectRef, want[i].Time = "sub_1", Base
	}
	if d := cmp.Diff(want, heard); d != "" {
		f.T.Error(d)
	}
}

// rollBack runs fn in a transaction that is given up.
func (f *Fixture) rollBack(fn func(ctx context.Context, tx sqldb.Tx) error) {
	f.T.Helper()
	enough := errors.New("enough")
	err := f.DB.Write(context.Background(), func(ctx context.Context, tx sqldb.Tx) error {
		if err := fn(ctx, tx); err != nil {
			return err
		}
		return enough
	})
	if !errors.Is(err, enough) {
		f.T.Fatal(err)
	}
}
