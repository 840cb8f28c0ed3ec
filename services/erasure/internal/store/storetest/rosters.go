package storetest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/privacyops/privacyops/libs/fault"
	"github.com/privacyops/privacyops/libs/outbox"
	"github.com/privacyops/privacyops/libs/sqldb"
	"github.com/privacyops/privacyops/services/erasure/internal/erasure"
	"github.com/privacyops/privacyops/services/erasure/internal/roster"
	"github.com/privacyops/privacyops/services/erasure/internal/rosters"
)

// Extract makes an extract of one school, so many days after the first.
func Extract(day int, users ...string) roster.Extract {
	x := roster.Extract{Institution: "A0A001", SchoolYear: "2025-2026", ExportTime: Base.AddDate(0, 0, day-30)}
	for _, u := range users {
		x.People = append(x.People, roster.Person{UserID: roster.UserID(u), Roles: roster.Roles(roster.Student)})
	}
	return x
}

func (f *Fixture) key(c string) rosters.Key {
	return func(u roster.UserID) roster.Pseudonym {
		return roster.Pseudonym(f.Keyring.Subject(c, "UNILOGIN", string(u)))
	}
}

// calling gives a handler's context: the call knows what the event is about.
func calling(ctx context.Context, c, action string) context.Context {
	return outbox.WithCall(ctx, &outbox.Call{Action: action, Kind: outbox.Modify, Controller: c, Actor: outbox.Actor{Kind: "CALLER", Ref: "usr_1"}})
}

// Import takes an extract in.
func (f *Fixture) Import(c string, x roster.Extract) *rosters.Import {
	f.T.Helper()
	i := &rosters.Import{Controller: c, ID: f.newID(), Institution: string(x.Institution), SHA256: strings.Repeat("a", 64), CreateTime: f.Clock.Now()}
	f.Write(func(ctx context.Context, tx sqldb.Tx) error {
		return f.Store.InsertImport(calling(ctx, c, "roster.import"), tx, i, x, f.key(c), func(previous roster.State) roster.Outcome {
			return roster.Diff(previous, x, roster.Options{Now: f.Clock.Now(), Key: f.key(c)})
		})
	})
	return i
}

// Settle confirms (APPLIED) or discards (DISCARDED) a held extract.
func (f *Fixture) Settle(i *rosters.Import, state string) (*rosters.Import, error) {
	s := rosters.Settlement{Controller: i.Controller, ID: i.ID, State: state, Key: f.key(i.Controller)}
	if state == rosters.Applied {
		s.Decide = func(previous roster.State, x roster.Extract) roster.Outcome {
			return roster.Diff(previous, x, roster.Options{Now: f.Clock.Now(), Key: f.key(i.Controller), Confirmed: true})
		}
	}
	return f.Store.SettleImport(calling(context.Background(), i.Controller, "roster.settle"), s)
}

func (f *Fixture) wantMembers(present, departed int64) {
	f.T.Helper()
	p := f.number(`SELECT COUNT(*) FROM roster_member WHERE departed_time = 0`)
	d := f.number(`SELECT COUNT(*) FROM roster_member WHERE departed_time > 0`)
	if p != present || d != departed {
		f.T.Errorf("%d people are present and %d have left, want %d and %d", p, d, present, departed)
	}
}

func (f *Fixture) wantImport(i *rosters.Import, state string, present, arrived, left, returned int) {
	f.T.Helper()
	got, err := f.Store.GetImport(context.Background(), i.Controller, i.ID)
	if err != nil {
		f.T.Fatal(err)
	}
	counts := []int{got.Present, got.Arrived, got.Left, got.Returned}
	if got.State != state || !slices.Equal(counts, []int{present, arrived, left, returned}) {
		f.T.Errorf("the extract is %s (%s), present, arrived, left, returned = %v", got.State, got.HeldReason, counts)
	}
}

func rostersApplied(f *Fixture) {
	first := f.Import("north", Extract(0, "a", "b", "c"))
	f.wantImport(first, rosters.Applied, 3, 3, 0, 0)
	f.wantMembers(3, 0)
	second := f.Import("north", Extract(1, "a", "b", "d"))
	f.wantImport(second, rosters.Applied, 3, 1, 1, 0)
	f.wantMembers(3, 1)
	third := f.Import("north", Extract(2, "a", "b", "c", "d"))
	f.wantImport(third, rosters.Applied, 4, 0, 0, 1)
	f.wantMembers(4, 0)
	again := f.Import("north", Extract(2, "a", "b", "c", "d"))
	f.wantImport(again, rosters.Applied, 4, 0, 0, 0)
	for _, c := range []string{"south", "east"} {
		if _, err := f.Store.GetImport(context.Background(), c, first.ID); !errors.Is(err, sqldb.ErrNoRows) {
			f.T.Errorf("getting a foreign one: %v", err)
		}
	}
	f.Import("south", Extract(0, "a")) // the same school under another controller is another one
	f.wantMembers(5, 0)
	if n := len(f.Events()); n != 5 {
		f.T.Errorf("%d events for 5 extracts", n)
	}
}

// rostersTogether: each extract is compared with what the one before it left, so everybody arrives once.
func rostersTogether(f *Fixture) {
	imports := make([]*rosters.Import, 6)
	var wg sync.WaitGroup
	for n := range imports {
		i := &rosters.Import{Controller: "north", ID: f.newID(), SHA256: strings.Repeat("a", 64), CreateTime: f.Clock.Now()}
		imports[n] = i
		wg.Go(func() {
			x := Extract(0, "a", "b", "c", "d")
			event := calling(context.Background(), "north", "roster.import")
			err := f.DB.Write(event, func(ctx context.Context, tx sqldb.Tx) error {
				return f.Store.InsertImport(ctx, tx, i, x, f.key("north"), func(previous roster.State) roster.Outcome {
					return roster.Diff(previous, x, roster.Options{Now: f.Clock.Now(), Key: f.key("north")})
				})
			})
			if err != nil {
				f.T.Error(err)
			}
		})
	}
	wg.Wait()
	arrived := 0
	for _, i := range imports {
		arrived += i.Arrived
	}
	if arrived != 4 {
		f.T.Errorf("of 4 people %d arrived", arrived)
	}
	f.wantMembers(4, 0)
}

// held takes in an extract that lacks most people.
func (f *Fixture) held() *rosters.Import {
	f.T.Helper()
	f.Import("north", Extract(0, "a", "b", "c", "d"))
	i := f.Import("north", Extract(1, "a"))
	f.wantImport(i, rosters.Held, 1, 0, 3, 0)
	f.wantMembers(4, 0)
	return i
}

func (f *Fixture) sealedExtracts() int64 {
	return f.number(`SELECT COUNT(*) FROM roster WHERE sealed_extract IS NOT NULL OR wrapped_key IS NOT NULL`)
}

func heldConfirmed(f *Fixture) {
	i := f.held()
	for range 2 { // the second time changes nothing
		got, err := f.Settle(i, rosters.Applied)
		if err != nil || got.State != rosters.Applied || got.HeldReason != string(roster.HeldMuchSmaller) {
			f.T.Fatalf("confirmed: %+v, %v", got, err)
		}
		f.wantImport(i, rosters.Applied, 1, 0, 3, 0)
		f.wantMembers(1, 3)
		if n := len(f.Events()); n != 3 || f.sealedExtracts() != 0 {
			f.T.Errorf("%d events, %d sealed extracts", n, f.sealedExtracts())
		}
	}
	if _, err := f.Settle(i, rosters.Discarded); !fault.Is(err, "ROSTER_SETTLED") {
		f.T.Errorf("discarding what was confirmed: %v", err)
	}
}

func heldDiscarded(f *Fixture) {
	i := f.held()
	if f.sealedExtracts() != 1 {
		f.T.Error("a held extract is not kept for its confirmation")
	}
	other := *i
	other.Controller = "south"
	if _, err := f.Settle(&other, rosters.Discarded); !errors.Is(err, sqldb.ErrNoRows) {
		f.T.Errorf("discarding a foreign one: %v", err)
	}
	for range 2 {
		if got, err := f.Settle(i, rosters.Discarded); err != nil || got.State != rosters.Discarded {
			f.T.Fatalf("discarded: %+v, %v", got, err)
		}
	}
	f.wantMembers(4, 0)
	if f.sealedExtracts() != 0 || len(f.Events()) != 3 {
		f.T.Errorf("%d sealed extracts, %d events", f.sealedExtracts(), len(f.Events()))
	}
	if _, err := f.Settle(i, rosters.Applied); !fault.Is(err, "ROSTER_SETTLED") {
		f.T.Errorf("confirming what was discarded: %v", err)
	}
}

func heldOvertaken(f *Fixture) {
	i := f.held()
	f.Import("north", Extract(2, "a", "b", "c", "e"))
	_, err := f.Settle(i, rosters.Applied)
	if !fault.Is(err, "ROSTER_OVERTAKEN") {
		f.T.Errorf("confirming what is older than the last: %v", err)
	}
	f.wantImport(i, rosters.Held, 1, 0, 3, 0)
	f.wantMembers(4, 1)
	if f.sealedExtracts() != 1 {
		f.T.Error("what failed to be confirmed can no longer be confirmed or discarded")
	}
}

func notConfirmable(f *Fixture) {
	f.Import("north", Extract(1, "a", "b"))
	truncated := Extract(2, "a")
	truncated.Truncated = true
	for reason, x := range map[roster.HeldReason]roster.Extract{roster.HeldTruncated: truncated, roster.HeldOlder: Extract(0, "a", "b")} {
		i := f.Import("north", x)
		if i.State != rosters.Held || i.HeldReason != string(reason) || f.sealedExtracts() != 0 {
			f.T.Errorf("%s: %s (%s), %d sealed", reason, i.State, i.HeldReason, f.sealedExtracts())
		}
		if _, err := f.Settle(i, rosters.Applied); !fault.Is(err, "ROSTER_NOT_CONFIRMABLE") {
			f.T.Errorf("confirming: %v", err)
		}
		if _, err := f.Settle(i, rosters.Discarded); err != nil {
			f.T.Errorf("discarding: %v", err)
		}
	}
	f.wantMembers(2, 0)
}

func rosterOfErased(f *Fixture) {
	f.Import("north", Extract(0, "a", "b", "c"))
	f.Import("south", Extract(0, "a"))
	ref := string(f.key("north")("a"))
	e := f.Insert(f.Erasure("north"), anna)
	w, _ := f.Take(e)
	w.State, w.VerifyTime = erasure.Completed, Base
	f.Save(erasure.Change{Erasure: w, DestroyIdentifiers: true, Tombstones: []string{ref}, Event: erasure.Event{Action: "erasure.complete"}})
	f.wantMembers(3, 0) // b and c, and a of the other controller: nothing is kept of who was erased
	f.Clock.Advance(time.Hour)
	i := f.Import("north", Extract(1, "a", "b", "c"))
	f.wantImport(i, rosters.Applied, 3, 1, 0, 0)
	if diff := cmp.Diff([]string{"ERASED_BEFORE: 1 people in the extract were erased before."}, i.Warnings); diff != "" {
		f.T.Errorf("warnings (-want +got):\n%s", diff)
	}
}
